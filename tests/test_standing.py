"""All that stands against a pair: the rules in plain Python once more, none of them left out."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from support.changes import Step, apply_steps
from support.plain import PlainWorld
from support.steps import steps
from support.worlds import DAY_US, NOW_US, make_event, tiny_bundle, tiny_dataset

from features.entities import Conflict, EventKind, Lead, LeadState
from recsvc.matching.filters import Eligibility
from recsvc.matching.masks import mask_leads
from recsvc.matching.pipeline import Pipeline
from recsvc.matching.queries import Wanted
from recsvc.matching.standing import all_verdicts
from recsvc.model.snapshot import Snapshot
from recsvc.model.verdicts import Verdict

ANYTHING = Eligibility()


def check_all_pairs(snapshot: Snapshot, world: PlainWorld, now_us: int) -> int:
    """How many pairs more than one rule stands against."""
    several = 0
    for member_id in world.members:
        row = snapshot.members.row(member_id)
        masked = mask_leads(snapshot, row, ANYTHING, now_us)
        for lead_id in world.leads:
            lead_row = snapshot.leads.row(lead_id)
            found = all_verdicts(snapshot, row, lead_row, ANYTHING, now_us)
            assert list(found) == world.all_verdicts(member_id, lead_id, now_us), (
                member_id,
                lead_id,
            )
            assert (found[0] if found else Verdict.KEPT) is masked.at(lead_row)
            several += len(found) > 1
    return several


def test_nothing_that_stands_against_a_pair_is_left_out() -> None:
    for now_us in (NOW_US, NOW_US - 100 * DAY_US):
        assert check_all_pairs(Snapshot(tiny_bundle()), PlainWorld.tiny(), now_us) > 20


@settings(max_examples=5)
@given(st.lists(steps, min_size=1, max_size=30))
def test_whatever_happens_all_of_it_is_told(happened: list[Step]) -> None:
    snapshot, world = Snapshot(tiny_bundle()), PlainWorld.tiny()
    for step in happened:
        world.take(step)
        apply_steps(snapshot, step)
    check_all_pairs(snapshot, world, NOW_US)


def test_an_auditor_hears_every_reason_in_order(snapshot: Snapshot) -> None:
    apply_steps(
        snapshot,
        replace(tiny_dataset().members[3], active=False),
        Lead("l90", author_id="m3", state=LeadState.WITHDRAWN, claim_capacity=0),
        Conflict("m3", lead_id="l90"),
        make_event(EventKind.DISMISSED, NOW_US - 2, 3, 90),
        make_event(EventKind.SEE_LESS, NOW_US - 1, 3, 90),
    )
    found = Pipeline(snapshot).explain("m3", "l90", NOW_US, Wanted(topics=("没有的",)))
    assert found.verdicts == (
        Verdict.CLOSED,
        Verdict.CAPACITY,
        Verdict.CONFLICT,
        Verdict.AUTHOR,
        Verdict.INACTIVE,
        Verdict.SEE_LESS,
        Verdict.DISMISSED,
        Verdict.NOT_ELIGIBLE,
    )
    assert found.rank is None


def test_eligibility_is_asked_like_a_list_asks_it(snapshot: Snapshot) -> None:
    pipeline = Pipeline(snapshot, clock=lambda: NOW_US)
    wanted = Wanted(topics=(tiny_dataset().leads[3].topics[0],), max_distance_km=80.0)
    row = snapshot.members.row("m3")
    for lead in tiny_dataset().leads:
        lead_row = snapshot.leads.row(lead.lead_id)
        plain = all_verdicts(snapshot, row, lead_row, ANYTHING, NOW_US)
        found = pipeline.explain("m3", lead.lead_id, wanted=wanted).verdicts
        alone = structs.replace(wanted, candidate_ids=(lead.lead_id,))
        assert pipeline.explain("m3", lead.lead_id, wanted=alone).verdicts == found
        assert found in (plain, (*plain, Verdict.NOT_ELIGIBLE))
        other = structs.replace(wanted, candidate_ids=("l0" if lead.lead_id != "l0" else "l1",))
        assert (
            pipeline.explain("m3", lead.lead_id, wanted=other).verdicts[-1] is Verdict.NOT_ELIGIBLE
        )
