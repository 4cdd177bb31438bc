"""What Update and Import share: the organization tree, vectors of new leads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from features.entities import Conflict, Lead, Organization
from recsvc.errors import InvalidOrganizationTreeError
from recsvc.model.lead_readings import LeadReading, joined
from recsvc.serving.view import View
from recsvc.store.codec import Entity
from recsvc.store.protocol import Vectors

_READ_TOGETHER = 100
"""Splitting texts into words keeps the event loop waiting; more at a time are hardly cheaper."""


def check_tree(new: Organization, parents: Mapping[str, str]) -> None:
    """Raises InvalidOrganizationTreeError when the parents of `new` lead back to it."""
    parents = {**parents, new.organization_id: new.parent_id}
    seen, at = {new.organization_id}, new.parent_id
    while at:
        if at in seen:
            raise InvalidOrganizationTreeError(
                f"organization {new.organization_id!r} would be below itself: choose another "
                "parent_organization",
                field="parent_organization",
            )
        seen.add(at)
        at = parents.get(at, "")


def read_new(view: View | None, entities: Sequence[Entity]) -> LeadReading | None:
    """What the model of this worker reads of leads; None of anything else. From any thread."""
    leads = [e for e in entities if isinstance(e, Lead)]
    if view is None or view.snapshot is None or not leads or len(leads) < len(entities):
        return None
    parts = [leads[at : at + _READ_TOGETHER] for at in range(0, len(leads), _READ_TOGETHER)]
    return joined([view.snapshot.read_leads(part) for part in parts])


def kept_vectors(
    view: View | None, entities: Sequence[Entity], reading: LeadReading | None
) -> Vectors | None:
    """Vectors for all workers that serve this model; this one keeps the whole reading."""
    if view is None or view.snapshot is None or reading is None:
        return None
    view.snapshot.readings.keep([e for e in entities if isinstance(e, Lead)], reading)
    return Vectors(view.model_id, reading.vectors)


def member_of(entity: Entity) -> str:
    """The member that a conflict belongs to, "" for everything else."""
    return entity.member_id if isinstance(entity, Conflict) else ""
