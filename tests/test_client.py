"""The client against a scripted server: what it sends, what it makes of answers, how it retries."""

from __future__ import annotations

import asyncio
import inspect
import math
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import grpc
import pytest
from fake_service import Script, serving
from grpc_health.v1 import health_pb2

from features.entities import (
    Conflict,
    Event,
    EventKind,
    Lead,
    LeadState,
    Member,
    Organization,
    Place,
)
from recsvc.client import (
    AsyncClient,
    Client,
    Eligibility,
    ImportReport,
    RetryPolicy,
    Timeouts,
    Tls,
)
from recsvc.convert.conflicts import conflict_to_proto
from recsvc.convert.leads import lead_to_proto
from recsvc.convert.members import member_to_proto
from recsvc.convert.organizations import organization_to_proto
from recsvc.errors import (
    ConfigError,
    DeadlineExceededError,
    MissingFieldError,
    NoPreviousModelError,
    NotFoundError,
    NotReadyError,
    OverloadedError,
    ServiceError,
    StoreUnavailableError,
    UnavailableError,
    UnknownMemberError,
    service_errors,
)
from recsvc.v1 import catalog_pb2, errors_pb2, model_pb2, participation_pb2
from recsvc.v1 import recommendation_pb2 as pb

LEAD = Lead(
    "l1",
    create_time_us=1_700_000_000_000_001,
    title="地铁口缺少无障碍坡道",
    body="轮椅无法通行",
    topics=("交通", "无障碍"),
    region_code="430102",
    latitude=28.2,
    longitude=112.9,
    urgency=2,
    claim_capacity=1,
)
MEMBER = Member("m1", name="王委员", topics=("交通",), places=(Place("STUDIO", 28.1, 113.0),))
ORGANIZATION = Organization("o1", "长沙市", "o0", 2, "4301", "OWN;CHILDREN")
FAST = RetryPolicy(attempts=4, first_seconds=0.001, longest_seconds=0.002)


class Blocking:
    """An AsyncClient seen as a Client, so that one test covers both."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self._client = AsyncClient(*args, **options)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if name == "within":
            return self._within
        return self._wrapped(found) if callable(found) else found

    def _within(self, seconds: float) -> Blocking:
        other = Blocking.__new__(Blocking)
        other._loop, other._client = self._loop, self._client.within(seconds)
        return other

    def _wrapped(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **options: Any) -> Any:
            result = method(*args, **options)
            if isinstance(result, AsyncIterator):
                return self._iterate(result)
            return self._loop.run_until_complete(result) if inspect.isawaitable(result) else result

        return run

    def _iterate(self, items: AsyncIterator[Any]) -> Iterator[Any]:
        while True:
            try:
                yield self._loop.run_until_complete(anext(items))
            except StopAsyncIteration:
                return

    def finish(self) -> None:
        """Closes the client and its loop."""
        self._loop.run_until_complete(self._client.close())
        self._loop.close()


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture(params=["blocking", "asynchronous"])
def client(request: pytest.FixtureRequest, script: Script) -> Iterator[Any]:
    with serving(script) as address:
        options: dict[str, Any] = {"tenant": "hn", "token": "secret", "retry": FAST}
        if request.param == "blocking":
            with Client(address, **options) as made:
                yield made
        else:
            wrapped = Blocking(address, **options)
            yield wrapped
            wrapped.finish()


def item(**fields: Any) -> pb.RecommendedLead:
    return pb.RecommendedLead(lead="tenants/hn/leads/l1", score=1.5, **fields)


def test_recommend_sends_the_whole_question(client: Any, script: Script) -> None:
    script.on("RecommendLeads", pb.RecommendLeadsResponse())
    wanted = Eligibility(("交通",), ("o1",), "43", 12.5, ("l1", "l2"))
    client.recommend(
        "m1",
        count=7,
        page_token="p",
        eligibility=wanted,
        diversity=0.0,
        full=True,
        as_of_us=1_500_000,
    )
    sent = script.last("RecommendLeads")
    assert (sent.member, sent.page_size, sent.page_token) == ("tenants/hn/members/m1", 7, "p")
    assert (sent.view, sent.diversity, sent.HasField("diversity")) == (pb.VIEW_FULL, 0.0, True)
    assert (sent.as_of_time.seconds, sent.as_of_time.nanos) == (1, 500_000_000)
    asked = sent.eligibility
    assert (list(asked.topics), asked.region_code, asked.max_distance_km) == (["交通"], "43", 12.5)
    assert list(asked.organizations) == ["tenants/hn/organizations/o1"]
    assert list(asked.candidates) == ["tenants/hn/leads/l1", "tenants/hn/leads/l2"]
    client.recommend("m1")
    plain = script.last("RecommendLeads")
    assert (plain.page_size, plain.view) == (10, pb.VIEW_BASIC)
    assert not any(map(plain.HasField, ("diversity", "eligibility", "as_of_time")))


def test_a_list_becomes_plain_types(client: Any, script: Script) -> None:
    reasons = [pb.Reason(code=pb.REASON_CODE_PLACE, weight=0.5, text="距您约1.2公里")]
    terms = [pb.ScoreTerm(code=99, feature="new", value=math.nan, weight=-0.5)]  # type: ignore[arg-type]
    known = item(
        claim_probability=0.0,
        distance_km=1.2,
        position=3,
        diversity_adjustment=-0.25,
        reasons=reasons,
        terms=terms,
        resource=lead_to_proto(LEAD, "hn"),
    )
    reply = pb.RecommendLeadsResponse(
        leads=[known, item()],
        next_page_token="next",
        attribution_token="token",
        model_version="v1",
        serving_mode=pb.SERVING_MODE_COLD_START,
        baseline=-2.0,
        eligible_count=9,
        removed=[pb.RemovedCount(reason=pb.FILTER_REASON_AUTHOR, count=4)],
    )
    script.on("RecommendLeads", reply)
    found = client.recommend("m1")
    first, second = found
    assert (first.lead_id, first.position, first.score, first.lead) == ("l1", 3, 1.5, LEAD)
    assert (first.claim_probability, second.claim_probability) == (0.0, None)
    assert (first.distance_km, second.distance_km, first.diversity_adjustment) == (1.2, None, -0.25)
    assert [(r.code, r.weight, r.text) for r in first.reasons] == [("PLACE", 0.5, "距您约1.2公里")]
    assert (first.terms[0].code, first.terms[0].feature) == ("99", "new")
    assert math.isnan(first.terms[0].value)
    info = found.info
    assert (info.attribution_token, info.model_version, info.next_page_token) == (
        "token",
        "v1",
        "next",
    )
    assert (info.serving_mode, info.baseline, info.eligible_count) == ("COLD_START", -2.0, 9)
    assert info.removed == {"AUTHOR": 4}
    assert (len(found), second.lead, second.reasons) == (2, None, ())


def test_an_empty_candidate_list_is_refused_because_it_would_mean_any(client: Any) -> None:
    with pytest.raises(MissingFieldError, match="None stands for any"):
        client.recommend("m1", eligibility=Eligibility(candidate_ids=()))


def test_match_takes_an_id_or_a_draft(client: Any, script: Script) -> None:
    member = pb.MatchedMember(
        member="tenants/hn/members/m1", score=2.0, resource=member_to_proto(MEMBER, "hn")
    )
    script.on("MatchMembers", pb.MatchMembersResponse(members=[member]))
    found = client.match("l1", count=3, eligibility=Eligibility(candidate_ids=("m1",)))
    sent = script.last("MatchMembers")
    assert (sent.parent, sent.lead, sent.page_size) == ("tenants/hn", "tenants/hn/leads/l1", 3)
    assert list(sent.eligibility.candidates) == ["tenants/hn/members/m1"]
    assert [(m.member_id, m.score, m.member) for m in found] == [("m1", 2.0, MEMBER)]
    client.match(LEAD)
    draft = script.last("MatchMembers").draft
    assert (draft.title, draft.body, list(draft.topics)) == (
        LEAD.title,
        LEAD.body,
        ["交通", "无障碍"],
    )
    assert (draft.location.latitude, draft.region_code, draft.urgency) == (28.2, "430102", 2)


def test_recommend_many_goes_out_by_the_thousand_and_keeps_the_order(
    client: Any, script: Script
) -> None:
    def answer(request: pb.BatchRecommendLeadsRequest) -> list[Any]:
        half = len(request.members) // 2
        return [
            pb.BatchRecommendLeadsResponse(
                results=[
                    pb.MemberRecommendation(
                        member=m, reply=pb.RecommendLeadsResponse(leads=[item()])
                    )
                    for m in part
                ]
            )
            for part in (request.members[:half], request.members[half:])
        ]

    script.on("BatchRecommendLeads", answer)
    members = [f"m{i}" for i in range(2_500)]
    found = list(client.recommend_many(iter(members), count=1))
    assert [outcome.member_id for outcome in found] == members
    assert all(outcome.leads is not None and len(outcome.leads) == 1 for outcome in found)
    sizes = [len(call.request.members) for call in script.calls("BatchRecommendLeads")]
    assert sizes == [1_000, 1_000, 500]


def test_one_bad_member_of_a_batch_has_its_own_error(client: Any, script: Script) -> None:
    error = errors_pb2.RowError(reason=errors_pb2.ERROR_REASON_UNKNOWN_MEMBER, message="no m2")
    result = pb.MemberRecommendation(member="tenants/hn/members/m2", error=error)
    script.on("BatchRecommendLeads", pb.BatchRecommendLeadsResponse(results=[result]))
    (outcome,) = client.recommend_many(["m2"])
    assert (outcome.member_id, outcome.leads) == ("m2", None)
    assert isinstance(outcome.error.error, UnknownMemberError)


def test_a_batch_is_asked_again_only_before_its_answer_begins(client: Any, script: Script) -> None:
    busy = OverloadedError("busy", retry_after_seconds=0.001)
    result = pb.MemberRecommendation(
        member="tenants/hn/members/m1", reply=pb.RecommendLeadsResponse()
    )
    begun = pb.BatchRecommendLeadsResponse(results=[result])
    script.on("BatchRecommendLeads", busy, [begun], [begun, busy])
    assert len(list(client.recommend_many(["m1"]))) == 1
    found = client.recommend_many(["m1"])
    assert next(found).member_id == "m1"
    with pytest.raises(OverloadedError):
        next(found)
    assert len(script.calls("BatchRecommendLeads")) == 3


def test_pairs_are_sent_as_indexes(client: Any, script: Script) -> None:
    reply = pb.ScorePairsResponse(
        scores=[0.5, math.nan, 0.25],
        claim_probabilities=[0.1, math.nan, 0.2],
        filter_reasons=[
            pb.FILTER_REASON_UNSPECIFIED,
            pb.FILTER_REASON_NOT_FOUND,
            pb.FILTER_REASON_AUTHOR,
        ],
    )
    script.on("ScorePairs", reply)
    found = client.score_pairs([("m1", "l1"), ("m2", "l1"), ("m1", "l2")])
    sent = script.last("ScorePairs")
    assert [name[-2:] for name in sent.members] == ["m1", "m2"]
    assert list(sent.member_indexes) == [0, 1, 0]
    assert list(sent.lead_indexes) == [0, 0, 1]
    assert [(p.member_id, p.lead_id) for p in found] == [("m1", "l1"), ("m2", "l1"), ("m1", "l2")]
    assert [p.filter_reason for p in found] == ["", "NOT_FOUND", "AUTHOR"]
    assert [p.claim_probability for p in found] == [0.1, None, 0.2]
    reply.claim_probabilities[:] = []
    assert [p.claim_probability for p in client.score_pairs([("m1", "l1")] * 3)] == [None] * 3


def test_explain_asks_about_a_pair_a_reply_or_a_push(client: Any, script: Script) -> None:
    verdict = pb.FilterVerdict(reason=pb.FILTER_REASON_CAPACITY, text="名额已满")
    reply = pb.ExplainResponse(
        member="tenants/hn/members/m1",
        lead="tenants/hn/leads/l1",
        blocked_by=[verdict],
        score=1.0,
    )
    reply.decision_time.FromMicroseconds(5)
    script.on("Explain", reply)
    found = client.explain("m1", "l1", eligibility=Eligibility(region_code="43"))
    assert script.last("Explain").pair.lead == "tenants/hn/leads/l1"
    assert script.last("Explain").eligibility.region_code == "43"
    assert (found.shown, found.rank, found.claim_probability) == (False, None, None)
    assert [(b.reason, b.text) for b in found.blocked_by] == [("CAPACITY", "名额已满")]
    assert (found.member_id, found.lead_id, found.decision_time_us) == ("m1", "l1", 5)
    client.explain_reply("t", "m1", "l1")
    assert script.last("Explain").attributed.attribution_token == "t"
    assert script.last("Explain").attributed.pair.member == "tenants/hn/members/m1"
    client.explain_push("p1")
    assert script.last("Explain").push_id == "p1"


def test_lists_follow_their_pages(client: Any, script: Script) -> None:
    def answer(request: catalog_pb2.ListLeadsRequest) -> catalog_pb2.ListLeadsResponse:
        page = int(request.page_token or "0")
        leads = [] if page == 1 else [lead_to_proto(Lead(f"l{page}"), "hn")]
        return catalog_pb2.ListLeadsResponse(
            leads=leads, next_page_token=str(page + 1) if page < 2 else ""
        )

    script.on("ListLeads", answer)
    found = list(client.list_leads(states=[LeadState.OPEN], organization_ids=["o1"]))
    assert [lead.lead_id for lead in found] == ["l0", "l2"]
    assert list(script.last("ListLeads").states) == [1]
    assert list(script.last("ListLeads").organizations) == ["tenants/hn/organizations/o1"]
    assert len(script.calls("ListLeads")) == 3


def test_updates_write_all_or_the_named_fields(client: Any, script: Script) -> None:
    now = catalog_pb2.UpdateLeadResponse(lead=lead_to_proto(LEAD, "hn"))
    script.on("UpdateLead", now)
    assert client.update_lead(LEAD, create=True) == LEAD
    sent = script.last("UpdateLead")
    assert (sent.lead, sent.allow_missing) == (lead_to_proto(LEAD, "hn"), True)
    assert list(sent.update_mask.paths) == ["*"]
    client.update_lead(LEAD, fields=("title", "latitude", "longitude", "claim_capacity"))
    mask = script.last("UpdateLead").update_mask.paths
    assert list(mask) == ["title", "location", "claim_capacity"]
    with pytest.raises(ValueError, match="no field 'tittle'"):
        client.update_lead(LEAD, fields=("tittle",))


def test_a_conflict_has_one_target_and_an_id_of_the_service(client: Any, script: Script) -> None:
    conflict = Conflict("m1", author_id="a1", reason="亲属")
    stored = catalog_pb2.UpdateConflictResponse()
    stored.conflict.name = "tenants/hn/members/m1/conflicts/abc"
    stored.conflict.author_id = "a1"
    stored.conflict.reason = "亲属"
    script.on("UpdateConflict", stored)
    script.on("DeleteConflict", catalog_pb2.DeleteConflictResponse())
    assert client.add_conflict(conflict) == conflict
    assert script.last("UpdateConflict").conflict.name == "tenants/hn/members/m1/conflicts/-"
    assert client.delete_conflict(conflict) is None
    name = script.last("DeleteConflict").name
    assert name.startswith("tenants/hn/members/m1/conflicts/")
    assert not name.endswith("-")
    with pytest.raises(ValueError, match="one thing"):
        client.add_conflict(Conflict("m1", author_id="a1", lead_id="l1"))


@pytest.mark.parametrize("kind", ["member", "lead", "organization"])
def test_each_kind_is_read_listed_written_and_deleted(
    client: Any, script: Script, kind: str
) -> None:
    entity, to_proto = {
        "member": (MEMBER, member_to_proto),
        "lead": (LEAD, lead_to_proto),
        "organization": (ORGANIZATION, organization_to_proto),
    }[kind]
    title, identifier = kind.title(), getattr(entity, f"{kind}_id")
    message = to_proto(entity, "hn")  # type: ignore[operator]
    answer = {verb: getattr(catalog_pb2, f"{verb}{title}Response") for verb in ("Get", "Update")}
    script.on(f"Get{title}", answer["Get"](**{kind: message}))
    script.on(f"Update{title}", answer["Update"](**{kind: message}))
    script.on(f"Delete{title}", getattr(catalog_pb2, f"Delete{title}Response")())
    page = getattr(catalog_pb2, f"List{title}sResponse")(**{f"{kind}s": [message]})
    script.on(f"List{title}s", page)
    assert getattr(client, f"get_{kind}")(identifier) == entity
    assert script.last(f"Get{title}").name == message.name
    assert list(getattr(client, f"list_{kind}s")()) == [entity]
    assert script.last(f"List{title}s").parent == "tenants/hn"
    assert getattr(client, f"update_{kind}")(entity) == entity
    sent = script.last(f"Update{title}")
    assert (getattr(sent, kind), sent.allow_missing) == (message, False)
    assert getattr(client, f"delete_{kind}")(identifier) is None
    sent = script.last(f"Delete{title}")
    assert (sent.name, sent.allow_missing) == (message.name, False)


def test_conflicts_are_listed_for_one_member_or_for_all(client: Any, script: Script) -> None:
    conflict = Conflict("m1", organization_id="o1")
    message = conflict_to_proto(conflict, "hn")
    script.on("ListConflicts", catalog_pb2.ListConflictsResponse(conflicts=[message]))
    assert list(client.list_conflicts("m1")) == [conflict]
    assert script.last("ListConflicts").parent == "tenants/hn/members/m1"
    assert list(client.list_conflicts()) == [conflict]
    assert script.last("ListConflicts").parent == "tenants/hn/members/-"


def test_pairs_can_be_scored_as_of_a_time(client: Any, script: Script) -> None:
    script.on("ScorePairs", pb.ScorePairsResponse())
    assert client.score_pairs([], as_of_us=2_000_001) == []
    sent = script.last("ScorePairs").as_of_time
    assert (sent.seconds, sent.nanos) == (2, 1_000)


def summary(messages: list[Any], *errors: errors_pb2.RowError) -> Any:
    count = sum(len(message.leads) for message in messages)
    return catalog_pb2.ImportLeadsResponse(
        summary=catalog_pb2.ImportSummary(
            row_count=count, imported_count=count - len(errors), rejected_count=len(errors)
        ),
        errors=errors,
        revision="0.5-0",
    )


def test_an_import_goes_out_in_parts_and_reports_each(client: Any, script: Script) -> None:
    bad = errors_pb2.RowError(row_index=7, reason=errors_pb2.ERROR_REASON_INVALID_NAME)
    script.on("ImportLeads", lambda messages: summary(messages, bad))
    progress: list[ImportReport] = []
    rows = (Lead(f"l{i}") for i in range(9_500))
    report = client.import_leads(rows, progress=progress.append)
    parts = [[len(m.leads) for m in call.request] for call in script.calls("ImportLeads")]
    assert parts == [[1_000] * 8, [1_000, 500]]
    assert {m.parent for call in script.calls("ImportLeads") for m in call.request} == {
        "tenants/hn"
    }
    names = [
        lead.name for call in script.calls("ImportLeads") for m in call.request for lead in m.leads
    ]
    assert names == [f"tenants/hn/leads/l{i}" for i in range(9_500)]
    assert (report.row_count, report.imported_count, report.rejected_count) == (9_500, 9_498, 2)
    assert [error.row_index for error in report.errors] == [7, 8_007]
    assert [p.row_count for p in progress] == [8_000, 9_500]
    assert client.revision == "0.5-0"


def test_large_rows_make_smaller_messages(client: Any, script: Script) -> None:
    script.on("ImportLeads", summary)
    client.import_leads(Lead(f"l{i}", body="字" * 100_000) for i in range(20))
    messages = [m for call in script.calls("ImportLeads") for m in call.request]
    assert [len(m.leads) for m in messages] == [6, 6, 6, 2]
    assert max(m.ByteSize() for m in messages) < 2_100_000


def test_an_import_of_nothing_sends_nothing(client: Any, script: Script) -> None:
    assert client.import_leads([]).row_count == 0
    assert client.record([]).recorded_count == 0
    assert script.received == []


def test_a_part_that_failed_is_sent_again(client: Any, script: Script) -> None:
    down = StoreUnavailableError("down", retry_after_seconds=0.001)
    script.on("ImportLeads", down, summary)
    assert client.import_leads([LEAD]).imported_count == 1
    first, second = script.calls("ImportLeads")
    assert first.request == second.request


def test_events_get_ids_that_survive_a_retry(client: Any, script: Script) -> None:
    down = StoreUnavailableError("down", retry_after_seconds=0.001)
    bad = errors_pb2.RowError(row_index=2, reason=errors_pb2.ERROR_REASON_UNKNOWN_LEAD)
    reply = participation_pb2.RecordEventsResponse(
        recorded_count=900, repeated_count=99, errors=[bad]
    )
    script.on("RecordEvents", down, reply)
    event = Event(EventKind.DISMISSED, 5, "m1", "l1", position=0, propensity=0.5)
    report = client.record([event] * 1_500)
    assert (report.recorded_count, report.repeated_count, report.rejected_count) == (1_800, 198, 2)
    assert [error.row_index for error in report.errors] == [2, 1_002]
    first, again, rest = (call.request.events for call in script.calls("RecordEvents"))
    assert [e.event_id for e in first] == [e.event_id for e in again]
    ids = [e.event_id for e in (*again, *rest)]
    assert len(set(ids)) == 1_500
    assert (first[0].kind, first[0].event_time.nanos, first[0].propensity) == (12, 5_000, 0.5)
    assert first[0].HasField("position")
    client.record([Event(EventKind.SEE_LESS, 5, "m1", event_id="e1", topic="交通")])
    (sent,) = script.last("RecordEvents").events
    assert (sent.event_id, sent.lead, sent.topic, sent.HasField("position")) == (
        "e1",
        "",
        "交通",
        False,
    )


def test_reads_ask_for_what_was_written(client: Any, script: Script) -> None:
    script.on("DeleteLead", catalog_pb2.DeleteLeadResponse(revision="1.7-0"))
    script.on("RecommendLeads", pb.RecommendLeadsResponse(revision="0.3-0_1.5-2"))
    client.recommend("m1")
    assert script.last("RecommendLeads").min_revision == ""
    client.delete_lead("l1", missing_ok=True)
    assert script.last("DeleteLead").allow_missing
    client.recommend("m1")
    assert script.last("RecommendLeads").min_revision == client.revision == "0.3-0_1.7-0"
    client.within(1.0).see("2.1-1")
    client.recommend("m1")
    assert script.last("RecommendLeads").min_revision == "0.3-0_1.7-0_2.1-1"
    client.forget()
    assert client.revision == ""
    script.on("RecommendLeads", pb.RecommendLeadsResponse(revision="another form"))
    client.recommend("m1")
    assert client.revision == ""


@pytest.mark.parametrize("kind", service_errors().values(), ids=lambda kind: kind.reason)
def test_every_reason_comes_back_as_its_class(kind: type[ServiceError]) -> None:
    script = Script()
    sent = kind("why", field="member", resource="tenants/hn/members/x", metadata={"k": "v"})
    script.on("GetMember", sent)
    retry = RetryPolicy(attempts=1)
    with (
        serving(script) as address,
        Client(address, connections=1, retry=retry) as client,
        pytest.raises(kind) as caught,
    ):
        client.get_member("x")
    found = caught.value
    assert type(found) is kind
    assert (found.message, found.field, found.resource) == (sent.message, sent.field, sent.resource)
    assert found.metadata == {"k": "v"}
    assert found.retry_after_seconds == pytest.approx(sent.retry_after_seconds)


def test_an_error_without_a_known_reason_goes_by_its_status(client: Any, script: Script) -> None:
    script.on("GetMember", grpc.StatusCode.NOT_FOUND)
    with pytest.raises(NotFoundError, match="not found"):
        client.get_member("x")
    assert len(script.calls("GetMember")) == 1
    with pytest.raises(ServiceError, match="does not know this method"):
        client.get_lead("x")


def test_it_tries_again_when_the_service_says_so(client: Any, script: Script) -> None:
    down = StoreUnavailableError("down", retry_after_seconds=0.15)
    reply = catalog_pb2.UpdateMemberResponse(member=member_to_proto(MEMBER, "hn"))
    script.on("UpdateMember", down, reply)
    started = time.monotonic()
    assert client.update_member(MEMBER) == MEMBER
    assert 0.15 <= time.monotonic() - started < 2.0
    first, second = script.calls("UpdateMember")
    assert first.peer != second.peer
    assert second.seconds_left < first.seconds_left - 0.05
    script.on("UpdateMember", StoreUnavailableError("down", retry_after_seconds=0.001))
    with pytest.raises(StoreUnavailableError):
        client.update_member(MEMBER)
    assert len(script.calls("UpdateMember")) == 2 + FAST.attempts


def test_it_gives_up_when_waiting_would_outlast_the_call(client: Any, script: Script) -> None:
    script.on("UpdateMember", StoreUnavailableError("down", retry_after_seconds=5.0))
    started = time.monotonic()
    with pytest.raises(StoreUnavailableError):
        client.within(0.5).update_member(MEMBER)
    assert time.monotonic() - started < 0.5
    assert len(script.calls("UpdateMember")) == 1


def test_a_rollback_is_never_tried_again(client: Any, script: Script) -> None:
    script.on("RollbackModel", StoreUnavailableError("down", retry_after_seconds=0.001))
    with pytest.raises(StoreUnavailableError):
        client.rollback_model()
    script.on("RollbackModel", NoPreviousModelError("none"))
    with pytest.raises(NoPreviousModelError):
        client.rollback_model(reason="bad")
    assert len(script.calls("RollbackModel")) == 2


def test_connections_are_used_in_turn_and_the_token_is_sent(client: Any, script: Script) -> None:
    script.on("RecommendLeads", pb.RecommendLeadsResponse())
    for _ in range(8):
        client.recommend("m1")
    calls = script.calls("RecommendLeads")
    assert len({call.peer for call in calls}) == 4
    assert {call.metadata["authorization"] for call in calls} == {"Bearer secret"}
    assert all(4.0 < call.seconds_left < 5.5 for call in calls)


def test_a_deadline_is_told(client: Any, script: Script) -> None:
    def slow(_: Any) -> pb.RecommendLeadsResponse:
        time.sleep(0.3)
        return pb.RecommendLeadsResponse()

    script.on("RecommendLeads", slow)
    with pytest.raises(DeadlineExceededError, match="within"):
        client.within(0.1).recommend("m1")


@pytest.mark.parametrize("make", [Client, Blocking])
def test_nobody_there(make: Any) -> None:
    client = make("127.0.0.1:1", retry=FAST, timeouts=Timeouts(read_seconds=2.0))
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:1.*recsvc serve"):
        client.recommend("m1")
    with pytest.raises(NotReadyError, match="does not serve"):
        client.wait_until_serving(0.2)
    client.close()
    if isinstance(client, Blocking):
        client.finish()


def test_waiting_until_every_connection_serves(client: Any, script: Script) -> None:
    states = health_pb2.HealthCheckResponse
    wait, good = states(status=states.NOT_SERVING), states(status=states.SERVING)
    script.on("Check", wait, good, good, wait, good)
    client.wait_until_serving(5.0)
    assert len(script.calls("Check")) == 8
    script.on("Check", wait)
    with pytest.raises(NotReadyError, match="no model yet"):
        client.wait_until_serving(0.2)


def test_models_and_workers(client: Any, script: Script) -> None:
    model = model_pb2.Model(
        name="tenants/hn/models/v1",
        state=model_pb2.MODEL_STATE_ACTIVE,
        embeddings=["als"],
        metrics=[model_pb2.ModelMetric(metric="ndcg@10", cohort="all", value=0.5)],
        checks=[model_pb2.GateCheck(check="members_differ", passed=True, detail="0.9")],
    )
    model.create_time.FromMicroseconds(8)
    script.on("ListModels", model_pb2.ListModelsResponse(models=[model]))
    script.on("GetModel", model_pb2.GetModelResponse(model=model))
    script.on("ActivateModel", model_pb2.ActivateModelResponse(model=model, revision="1.1-0"))
    (found,) = client.list_models()
    assert found == client.get_model("v1") == client.activate_model("v1", reason="better")
    assert script.last("ActivateModel").reason == "better"
    assert client.revision == "1.1-0"
    assert (found.model_id, found.state, found.create_time_us) == ("v1", "ACTIVE", 8)
    assert (found.training_start_time_us, found.embeddings) == (0, ("als",))
    assert (found.metrics[0].metric, found.checks[0].passed) == ("ndcg@10", True)
    worker = model_pb2.WorkerStatus(worker="w1", serving=True, model="tenants/hn/models/v1")
    durability = model_pb2.StoreDurability(server="valkey 9", durable=True, append_only=False)
    script.on("ListWorkers", model_pb2.ListWorkersResponse(workers=[worker], durability=durability))
    workers = client.list_workers()
    assert [(w.worker_id, w.model_id, w.serving) for w in workers.workers] == [("w1", "v1", True)]
    assert (workers.durability.server, workers.durability.append_only) == ("valkey 9", False)


async def test_an_asynchronous_import_takes_asynchronous_rows(script: Script) -> None:
    async def rows() -> AsyncIterator[Lead]:
        for i in range(3):
            await asyncio.sleep(0)
            yield Lead(f"l{i}")

    script.on("ImportLeads", summary)
    with serving(script) as address:
        async with AsyncClient(address) as client:
            report = await client.import_leads(rows())
    assert report.imported_count == 3


async def test_a_cancelled_call_ends_at_once(script: Script) -> None:
    script.on("RecommendLeads", StoreUnavailableError("down", retry_after_seconds=4.0))
    with serving(script) as address:
        async with AsyncClient(address) as client:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.recommend("m1"), 0.2)


def test_both_clients_have_the_same_methods() -> None:
    methods = {
        kind: {name for name in vars(kind) if not name.startswith("_")}
        for kind in (Client, AsyncClient)
    }
    assert methods[Client] == methods[AsyncClient]
    assert "recommend" in methods[Client]
    for name in methods[Client] - {"close", "wait_until_serving"}:
        assert getattr(Client, name).__doc__, name
        assert inspect.signature(getattr(Client, name)) == inspect.signature(
            getattr(AsyncClient, name)
        )


def test_it_loads_without_the_server(tmp_path: Any) -> None:
    code = (
        "import sys, recsvc.client; heavy = {'numba', 'faiss', 'redis', 'scipy', 'sklearn', "
        "'lightgbm', 'polars', 'pyarrow'} & set(sys.modules); sys.exit(str(heavy) if heavy else 0)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_settings_that_cannot_be_used(tmp_path: Any) -> None:
    with pytest.raises(ConfigError, match="at least one"):
        Client(connections=0)
    with pytest.raises(ConfigError, match="certificate and key"):
        Client(tls=Tls(certificate=tmp_path / "c.pem"))
    with pytest.raises(ConfigError, match="cannot be read"):
        Client(tls=Tls(authority=tmp_path / "none.pem"))


def test_tls_both_ways(tmp_path: Any, script: Script) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", "/CN=recsvc.test"),
            *("-addext", "subjectAltName=DNS:recsvc.test"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    pair = (key.read_bytes(), certificate.read_bytes())
    credentials = grpc.ssl_server_credentials([pair], pair[1], require_client_auth=True)
    script.on("RecommendLeads", pb.RecommendLeadsResponse(model_version="v1"))
    known = Tls(certificate, certificate, key, server_name="recsvc.test")
    with serving(script, credentials) as address:
        with Client(address, tls=known) as client:
            assert client.recommend("m1").info.model_version == "v1"
        stranger = Tls(certificate, server_name="recsvc.test")
        with Client(address, tls=stranger, retry=FAST) as client, pytest.raises(UnavailableError):
            client.recommend("m1")
        with Client(address, retry=FAST) as client, pytest.raises(UnavailableError, match="TLS"):
            client.recommend("m1")
