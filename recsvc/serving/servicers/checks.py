"""What Update and Import share: the organization tree, vectors of new leads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from features.entities import Conflict, Lead, Organization
from recsvc.errors import InvalidOrganizationTreeError
from recsvc.serving.view import View
from recsvc.store.codec import Entity
from recsvc.store.protocol import Vectors


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


def vectors_of(view: View | None, entities: Sequence[Entity]) -> Vectors | None:
    """Embeddings of leads by the model of this worker, for all workers that serve it."""
    leads = [e for e in entities if isinstance(e, Lead)]
    if view is None or view.snapshot is None or not leads or len(leads) < len(entities):
        return None
    return Vectors(view.model_id, view.snapshot.lead_vectors(leads))


def member_of(entity: Entity) -> str:
    """The member that a conflict belongs to, "" for everything else."""
    return entity.member_id if isinstance(entity, Conflict) else ""
