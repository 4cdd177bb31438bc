"""What ranking pairs reads, as one compiled record."""

from __future__ import annotations

from numba import njit

from features.regions import Middles
from recsvc.model.additive import AdditiveModel, Calibration
from recsvc.model.arrays import LeadColumns, MemberColumns
from recsvc.model.bundle import Bundle
from recsvc.model.compiled_record import Record, RecordType, define
from recsvc.model.pair_facts import (
    Facts,
    empty_lead_facts,
    empty_member_facts,
)
from recsvc.model.terms import TermContext


class _PairWorldType(RecordType):
    """Its type."""


class PairWorld(Record):
    """Some members and some leads; only compiled code looks inside.

    Facts are by row of the columns, or empty: then they are made for the rows that are asked for.
    """

    model: AdditiveModel
    calibration: Calibration
    context: TermContext
    middles: Middles
    members: MemberColumns
    member_facts: Facts
    leads: LeadColumns
    lead_facts: Facts


define(PairWorld, _PairWorldType)


@njit(cache=True)
def make_pair_world(
    model: AdditiveModel,
    calibration: Calibration,
    context: TermContext,
    middles: Middles,
    members: MemberColumns,
    member_facts: Facts,
    leads: LeadColumns,
    lead_facts: Facts,
) -> PairWorld:
    """The arrays stay where they are: a change in place is seen, another array is not."""
    return PairWorld(  # type: ignore[no-untyped-call]
        model, calibration, context, middles, members, member_facts, leads, lead_facts
    )


class PairWorlds:
    """The worlds of the segments of two tables. Owned by the snapshot's thread."""

    def __init__(
        self,
        bundle: Bundle,
        members: MemberColumns,
        member_facts: Facts,
        leads: LeadColumns,
        lead_facts: Facts,
    ) -> None:
        """Of a bundle: the columns of both bases and their records."""
        self._bundle = bundle
        self._members, self._member_facts = members, member_facts
        self._leads, self._lead_facts = leads, lead_facts
        self._kept: list[tuple[MemberColumns, LeadColumns, PairWorld]] = []

    def of(self, members: MemberColumns, leads: LeadColumns) -> PairWorld:
        """That of two segments, or of a draft; a tail's is made anew when the tail has grown."""
        for kept in self._kept:
            if kept[0] is members and kept[1] is leads:
                return kept[2]
        world = self._made(members, leads)
        # One of each kind is kept, the base's for good.
        old = [k for k in self._kept if self._kind(k[0], k[1]) != self._kind(members, leads)]
        self._kept = [*old, (members, leads, world)]
        return world

    def _kind(self, members: MemberColumns, leads: LeadColumns) -> tuple[bool, bool]:
        return members is self._members, leads is self._leads

    def _made(self, members: MemberColumns, leads: LeadColumns) -> PairWorld:
        bundle, (old_members, old_leads) = self._bundle, self._kind(members, leads)
        return make_pair_world(
            bundle.ranker,
            bundle.calibration,
            bundle.context,
            bundle.space.regions.middles,
            members,
            self._member_facts if old_members else empty_member_facts(0),
            leads,
            self._lead_facts if old_leads else empty_lead_facts(0),
        )
