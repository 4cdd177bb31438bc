"""Changes taken in: what was acknowledged is in the next answer, in whatever order it came."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.asking import ALL, NEW_LEAD, NOBODY, base_lead, matched, offered
from support.changes import apply_steps
from support.worlds import (
    NOW_US,
    tiny_dataset,
)

from features.entities import Conflict, Event, EventKind, Lead, LeadState, Member, Organization
from recsvc.errors import UnknownLeadError, UnknownMemberError
from recsvc.matching.pipeline import Pipeline
from recsvc.matching.queries import ListQuery, ServingMode, Wanted
from recsvc.matching.updates import load_records
from recsvc.model.snapshot import Snapshot
from recsvc.store.codec import RecordKind, entity_id
from recsvc.store.types import StoredRecord


def test_an_imported_lead_is_offered_and_matched(snapshot: Snapshot, pipeline: Pipeline) -> None:
    with pytest.raises(UnknownLeadError, match="'new'"):
        pipeline.match("new", ALL)
    apply_steps(snapshot, NEW_LEAD)
    assert "new" in offered(pipeline, NOBODY)
    assert matched(pipeline, "new")
    found = pipeline.match("new", ALL)
    assert found.mode is ServingMode.COLD_START


def test_an_imported_member_has_a_list_by_what_is_known_of_them(
    snapshot: Snapshot, pipeline: Pipeline
) -> None:
    with pytest.raises(UnknownMemberError, match="'new'"):
        pipeline.recommend("new", ALL)
    apply_steps(snapshot, Member("new", expertise="道路、公交、停车"), Member("bare"))
    found = pipeline.recommend("new", ListQuery(count=3))
    assert found.mode is ServingMode.COLD_START
    assert {reason.group for reason in found.items[0].reasons} & {"EXPERTISE", "INTEREST"}
    nothing = pipeline.recommend("bare", ListQuery(count=3))
    assert nothing.mode is ServingMode.POPULARITY
    assert len(nothing.items) == 3


def test_a_changed_profile_changes_the_list(snapshot: Snapshot, pipeline: Pipeline) -> None:
    before = offered(pipeline, "m36")
    apply_steps(snapshot, Member("m36", expertise="噪声、污水、扬尘", topics=("环保",)))
    after = offered(pipeline, "m36")
    assert after[:5] != before[:5]
    first = pipeline.recommend("m36", ListQuery(count=1)).items[0]
    leads, local = snapshot.leads.locate(first.row)
    names = snapshot.bundle.space.topics.names
    assert names.row("环保") in leads.topics[local].tolist()


@pytest.mark.parametrize("kind", [EventKind.DISMISSED, EventKind.CLAIMED, EventKind.SEE_LESS])
def test_what_a_member_has_done_with_never_comes_back(
    snapshot: Snapshot, pipeline: Pipeline, kind: EventKind
) -> None:
    apply_steps(snapshot, NEW_LEAD)
    for lead_id in (offered(pipeline, NOBODY)[0], "new"):
        apply_steps(snapshot, Event(kind, NOW_US, NOBODY, lead_id))
        assert lead_id not in offered(pipeline, NOBODY)
        assert NOBODY not in matched(pipeline, lead_id)
    # Neither an edit, nor a deletion and return of either side brings it back.
    apply_steps(snapshot, replace(NEW_LEAD, title="另一个题目"), (RecordKind.MEMBER, NOBODY))
    apply_steps(snapshot, Member(NOBODY, name="改名"), (RecordKind.LEAD, "new"), NEW_LEAD)
    assert "new" not in offered(pipeline, NOBODY)
    assert offered(pipeline, NOBODY)


def test_an_author_is_never_offered_their_own_lead(snapshot: Snapshot, pipeline: Pipeline) -> None:
    apply_steps(snapshot, replace(NEW_LEAD, author_id=NOBODY))
    assert "new" not in offered(pipeline, NOBODY)
    assert NOBODY not in matched(pipeline, "new")
    apply_steps(snapshot, replace(NEW_LEAD, author_id="m13"))
    assert "new" in offered(pipeline, NOBODY)


@pytest.mark.parametrize(
    "gone",
    [
        replace(NEW_LEAD, state=LeadState.WITHDRAWN, close_time_us=NOW_US),
        replace(NEW_LEAD, state=LeadState.CLAIMED),
        replace(NEW_LEAD, claim_capacity=0),
    ],
)
def test_a_lead_that_is_gone_is_offered_to_nobody_until_it_is_back(
    snapshot: Snapshot, pipeline: Pipeline, gone: Lead
) -> None:
    apply_steps(snapshot, NEW_LEAD)
    apply_steps(snapshot, gone)
    assert matched(pipeline, "new") == []
    for member_id in tiny_dataset().member_ids:
        assert "new" not in offered(pipeline, member_id)
    apply_steps(snapshot, NEW_LEAD)
    assert "new" in offered(pipeline, NOBODY)


def test_a_deleted_member_or_lead_is_unknown_until_imported_again(
    snapshot: Snapshot, pipeline: Pipeline
) -> None:
    first = offered(pipeline, "m5")
    assert "m5" in matched(pipeline, "l67")
    member = snapshot.members.record(snapshot.members.row("m5"))
    lead = base_lead(int(first[0][1:]))
    deletions = (RecordKind.MEMBER, "m5"), (RecordKind.LEAD, lead.lead_id)
    apply_steps(snapshot, *deletions)
    with pytest.raises(UnknownMemberError):
        pipeline.recommend("m5", ALL)
    with pytest.raises(UnknownLeadError):
        pipeline.explain("m4", lead.lead_id)
    assert lead.lead_id not in offered(pipeline, NOBODY)
    assert "m5" not in matched(pipeline, "l67")
    apply_steps(snapshot, *deletions)  # what is unknown already stays so
    load_records(snapshot, RecordKind.MEMBER, [StoredRecord(RecordKind.MEMBER, "m5", "", member)])
    apply_steps(snapshot, lead)
    assert offered(pipeline, "m5") == first


def test_recusals_and_organizations_come_and_go(snapshot: Snapshot, pipeline: Pipeline) -> None:
    apply_steps(snapshot, replace(NEW_LEAD, organization_id="far"), Member("mine", "own"))
    assert "new" in offered(pipeline, "mine")
    apply_steps(snapshot, Organization("own", jurisdiction="OWN"))
    assert "new" not in offered(pipeline, "mine")
    apply_steps(snapshot, (RecordKind.ORGANIZATION, "own"))
    assert "new" in offered(pipeline, "mine")
    conflict = Conflict("mine", organization_id="far")
    apply_steps(snapshot, conflict)
    assert "new" not in offered(pipeline, "mine")
    assert "mine" not in matched(pipeline, "new")
    apply_steps(snapshot, (RecordKind.CONFLICT, entity_id(conflict)))
    assert "new" in offered(pipeline, "mine")
    apply_steps(snapshot, (RecordKind.CONFLICT, "nobody~0"), (RecordKind.ORGANIZATION, "nobody"))


def test_eligibility_and_candidates_reach_the_tail(snapshot: Snapshot, pipeline: Pipeline) -> None:
    apply_steps(snapshot, NEW_LEAD)
    wanted = Wanted(candidate_ids=("new", "l16", "nobody"))
    found = pipeline.recommend(NOBODY, ListQuery(wanted=wanted))
    assert {item.id for item in found.items} == {"new", "l16"}
    assert found.unknown_candidates == 1
