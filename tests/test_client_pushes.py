"""The client's claims and pushes against a scripted server."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import grpc
import pytest
from fake_service import Script, serving
from test_client import FAST, Blocking

from recsvc.client import Client
from recsvc.convert.pushes import plan_reason
from recsvc.errors import (
    AlreadyClaimedError,
    MissingFieldError,
    NotReadyError,
    StoreUnavailableError,
)
from recsvc.push.types import PushFacts, Source
from recsvc.v1 import claim_pb2, push_pb2

LEAD, MEMBER = "tenants/hn/leads/l1", "tenants/hn/members/m1"
PUSH = push_pb2.Push(
    name="tenants/hn/pushes/p1", member=MEMBER, lead=LEAD, wave=2, reasons=["与您的专业特长相符"]
)


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


def granted(state: claim_pb2.ClaimState.ValueType) -> dict[str, Any]:
    claim = claim_pb2.Claim(name=f"{LEAD}/claims/m1", member=MEMBER, state=state)
    return {"claim": claim, "revision": "0.7-1"}


def test_a_claim_is_tried_again_with_the_same_request_id(client: Any, script: Script) -> None:
    reply = claim_pb2.ClaimLeadResponse(**granted(claim_pb2.CLAIM_STATE_ACTIVE))
    script.on("ClaimLead", StoreUnavailableError("away", retry_after_seconds=0.001), reply)
    found = client.claim("l1", "m1", push_id="p1", attribution_token="t")
    assert (found.lead_id, found.member_id, found.state) == ("l1", "m1", "ACTIVE")
    first, second = (call.request for call in script.calls("ClaimLead"))
    assert first == second
    assert (first.lead, first.member, first.push_id) == (LEAD, MEMBER, "p1")
    assert len(first.request_id) == 36
    client.claim("l1", "m1")
    assert script.last("ClaimLead").request_id != first.request_id
    client.claim("l1", "m1", request_id="mine")
    assert script.last("ClaimLead").request_id == "mine"
    assert client.revision == "0.7-1"


def test_a_lead_that_is_taken_says_how_much_of_it(client: Any, script: Script) -> None:
    figures = {"claim_count": "2", "claim_capacity": "2"}
    script.on("ClaimLead", AlreadyClaimedError("taken", metadata=figures))
    with pytest.raises(AlreadyClaimedError) as caught:
        client.claim("l1", "m1")
    assert caught.value.metadata == figures


def test_the_other_steps_of_a_claim(client: Any, script: Script) -> None:
    states = claim_pb2.ClaimState
    script.on("ReleaseLead", claim_pb2.ReleaseLeadResponse(**granted(states.CLAIM_STATE_RELEASED)))
    script.on("TransferLead", claim_pb2.TransferLeadResponse(**granted(states.CLAIM_STATE_ACTIVE)))
    script.on("ResolveLead", claim_pb2.ResolveLeadResponse(**granted(states.CLAIM_STATE_RESOLVED)))
    assert client.release("l1", "m1", request_id="a").state == "RELEASED"
    assert client.transfer("l1", "m2", "m1", request_id="b").member_id == "m1"
    assert client.resolve("l1", "m1", request_id="c").state == "RESOLVED"
    assert script.last("TransferLead").to_member == MEMBER


def test_a_stream_that_breaks_off_goes_on(client: Any, script: Script) -> None:
    reply = push_pb2.StreamPushesResponse(pushes=[PUSH], revision="0.5-1")
    digest = push_pb2.StreamPushesResponse(pushes=[PUSH, PUSH], digest_id="d1")
    script.on(
        "StreamPushes",
        [reply, NotReadyError("drains", retry_after_seconds=0.001)],
        grpc.StatusCode.UNAVAILABLE,
        [reply, digest],
    )
    found = list(islice(client.stream_pushes("g", "c", digest=True, lease_seconds=9), 3))
    assert [(m.digest_id, len(m.pushes)) for m in found] == [("", 1), ("", 1), ("d1", 2)]
    push = found[0].pushes[0]
    assert (push.push_id, push.member_id, push.lead_id, push.wave) == ("p1", "m1", "l1", 2)
    assert (push.reasons, push.claim_probability) == (("与您的专业特长相符",), None)
    sent = script.last("StreamPushes")
    assert (sent.group, sent.consumer, sent.digest, sent.lease_seconds) == ("g", "c", True, 9)
    assert client.revision == "0.5-1"


def test_a_stream_that_cannot_be_says_so(client: Any, script: Script) -> None:
    script.on("StreamPushes", MissingFieldError("group is required", field="group"))
    with pytest.raises(MissingFieldError):
        next(client.stream_pushes("", "c"))
    script.on("StreamPushes", NotReadyError("drains", retry_after_seconds=0.001))
    with pytest.raises(NotReadyError):
        next(client.within(0.05).stream_pushes("g", "c"))


def test_plans_acknowledgements_and_pauses(client: Any, script: Script) -> None:
    unserved = push_pb2.UnservedLead(
        lead=LEAD, reason=push_pb2.UNSERVED_REASON_CAPS_USED, text="名额已用完"
    )
    plan = push_pb2.PlanPushesResponse(
        plan="x", pushes=[PUSH], unserved=[unserved], coverage=0.5, proved=True
    )
    script.on("PlanPushes", plan)
    found = client.plan_pushes(commit=True)
    assert script.last("PlanPushes").commit
    assert (found.plan_id, found.coverage, found.proved) == ("x", 0.5, True)
    assert [(u.lead_id, u.reason, u.text) for u in found.unserved] == [
        ("l1", "CAPS_USED", "名额已用完")
    ]
    script.on("AckPushes", push_pb2.AckPushesResponse(acked_count=1, repeated_count=2))
    report = client.ack_pushes("g", ["p1"], digest_ids=["d1"])
    assert (report.acked_count, report.repeated_count, report.errors) == (1, 2, ())
    sent = script.last("AckPushes")
    assert (list(sent.push_ids), list(sent.digest_ids)) == (["p1"], ["d1"])
    pause = push_pb2.PushPause(organization="tenants/hn/organizations/o1", reason="误推")
    script.on("PausePushes", push_pb2.PausePushesResponse(pauses=[pause]))
    assert [(p.organization_id, p.reason) for p in client.pause_pushes("o1")] == [("o1", "误推")]
    client.resume_pushes()
    sent = script.last("PausePushes")
    assert (sent.resume, sent.organization) == (True, "")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (Source.OPTIMUM, "全局方案选中"),
        (Source.REPAIR, "补选"),
        (Source.EXPLORED, "随机选取"),
        (Source.ARRIVAL, "收到后立即推送"),
    ],
)
def test_the_plans_reason_is_told_without_others(source: Source, words: str) -> None:
    plain = plan_reason(PushFacts(source, 0.0, 40, 2))
    assert words in plain
    assert "在40位候选委员中，按预计领办概率排第3位" in plain
    assert "名额已用满" not in plain
    priced = plan_reason(PushFacts(source, 0.0, 40, 2, lead_price=0.25, member_price=0.125))
    assert "该委员的推送名额已用满，再多一个名额预计价值0.125" in priced
    assert "该线索再多推送一位委员预计价值0.250" in priced
