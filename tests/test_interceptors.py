"""Around every call: tokens and roles, admission, errors without traces, metrics, log lines."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.protobuf.timestamp_pb2 import Timestamp
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from proto_fuzz import method_kinds
from service import PARENT, Metadata, Service, read_error, refused, serving

from recsvc.errors import UnauthenticatedError
from recsvc.serving.interceptors import Authenticator, Role
from recsvc.serving.interceptors.access import method_roles
from recsvc.settings import RoleName, Token
from recsvc.v1 import catalog_pb2
from recsvc.v1 import recommendation_pb2 as pb

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROLES: tuple[RoleName, ...] = ("platform", "operator", "trainer", "auditor")
ANY_LIST = pb.RecommendLeadsRequest(member=f"{PARENT}/members/m0")


def token(role: RoleName, tenant: str = "default") -> Token:
    digest = hashlib.sha256(f"{tenant}-{role}".encode()).hexdigest()
    return Token(sha256=digest, tenant=tenant, role=role, name=f"{role}'s desk")


def bearer(role: str, tenant: str = "default") -> Metadata:
    return (("authorization", f"Bearer {tenant}-{role}"),)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Service, None]:
    tokens = [token(role).model_dump() for role in ROLES]
    tokens.append(token("operator", "second").model_dump())
    async with serving(
        tmp_path_factory.mktemp("access"),
        "tiny",
        tokens=tokens,
        tenants=("default", "second"),
        max_in_flight=20,
    ) as running:
        yield running


async def call(service: Service, path: str, metadata: Metadata) -> str:
    """The reason that an empty request gets, "" for none."""
    channel: Any = service.channel
    kind = method_kinds()[path]
    made = getattr(channel, kind)(path)
    sent: Any = b""
    if kind == "stream_unary":

        async def nothing() -> AsyncGenerator[bytes, None]:
            yield b""

        sent = nothing()
    try:
        found = made(sent, metadata=metadata)
        if kind == "unary_stream":
            async for _ in found:
                pass
        else:
            await found
    except grpc.aio.AioRpcError as error:
        return read_error(error).reason
    return ""


@pytest.mark.parametrize("path", sorted(method_roles()))
async def test_each_method_is_for_the_roles_that_the_contract_names(
    service: Service, path: str
) -> None:
    for role in ROLES:
        denied = await call(service, path, bearer(role)) == "ROLE_NOT_ALLOWED"
        assert denied == (Role[role.upper()] not in method_roles()[path])
    assert await call(service, path, ()) == "UNAUTHENTICATED"
    assert await call(service, path, bearer("nobody")) == "UNAUTHENTICATED"


async def test_every_method_of_the_contract_has_roles() -> None:
    assert all(method_roles().values())
    assert len(method_roles()) == 42


@pytest.mark.parametrize(
    "metadata",
    [
        (),
        (("authorization", "default-operator"),),
        (("authorization", "Basic default-operator"),),
        (("authorization", "Bearer "),),
        (("Authorization-Bearer", "default-operator"),),
    ],
)
async def test_other_ways_to_send_a_token_are_none(metadata: Metadata) -> None:
    authenticator = Authenticator([token("operator")], ["default"])
    with pytest.raises(UnauthenticatedError) as raised:
        authenticator.admit("/recsvc.v1.CatalogService/GetMember", metadata)
    assert "authorization: Bearer" in raised.value.message


async def test_the_scheme_is_read_in_any_case() -> None:
    authenticator = Authenticator([token("auditor")], ["default"])
    metadata = (("authorization", "bearer default-auditor"),)
    caller = authenticator.admit("/recsvc.v1.CatalogService/GetMember", metadata)
    assert (caller.role, caller.actor) == (Role.AUDITOR, "auditor's desk (auditor)")


async def test_another_tenant_is_denied_whether_it_exists_or_not(service: Service) -> None:
    for tenant in ("second", "never"):
        request = catalog_pb2.GetMemberRequest(name=f"tenants/{tenant}/members/m0")
        told = await refused(service.catalog.GetMember(request, metadata=bearer("operator")))
        assert (told.code, told.reason) == ("PERMISSION_DENIED", "PERMISSION_DENIED")
        assert tenant not in told.message.replace("tenant", "")
    request = catalog_pb2.GetMemberRequest(name="tenants/second/members/m0")
    theirs = bearer("operator", "second")
    told = await refused(service.catalog.GetMember(request, metadata=theirs))
    assert told.reason == "UNKNOWN_MEMBER"


async def test_only_operators_and_auditors_ask_about_the_past(service: Service) -> None:
    request = pb.RecommendLeadsRequest(
        member=ANY_LIST.member, as_of_time=Timestamp(seconds=1_700_000_000)
    )
    for role in ROLES:
        asked = service.recommendation.RecommendLeads(request, metadata=bearer(role))
        if role in ("operator", "auditor"):
            await asked
        else:
            told = await refused(asked)
            assert (told.reason, told.field) == ("ROLE_NOT_ALLOWED", "as_of_time")


async def test_health_and_reflection_need_no_token(service: Service) -> None:
    health: Any = health_pb2_grpc.HealthStub(service.channel)
    reply = await health.Check(health_pb2.HealthCheckRequest())
    assert reply.status == health_pb2.HealthCheckResponse.SERVING
    reflection: Any = reflection_pb2_grpc.ServerReflectionStub(service.channel)

    async def ask() -> AsyncGenerator[Any, None]:
        yield reflection_pb2.ServerReflectionRequest(list_services="")

    async for answer in reflection.ServerReflectionInfo(ask()):
        names = {s.name for s in answer.list_services_response.service}
        assert "recsvc.v1.RecommendationService" in names
        break


async def test_more_calls_than_there_is_room_for_are_told_when_to_come_back(
    service: Service,
) -> None:
    who = bearer("operator")
    waits = pb.RecommendLeadsRequest(member=ANY_LIST.member, min_revision="0.9999999999999-0")
    outcomes = await asyncio.gather(
        *(refused(service.recommendation.RecommendLeads(waits, metadata=who, timeout=0.5))
          for _ in range(35))
    )  # fmt: skip
    told = [o.reason for o in outcomes]
    assert told.count("REVISION_NOT_REACHED") == 20
    assert told.count("OVERLOADED") == 15
    overloaded = [o for o in outcomes if o.reason == "OVERLOADED"]
    assert {o.code for o in overloaded} == {"RESOURCE_EXHAUSTED"}
    assert all(o.retry_seconds for o in overloaded)
    await service.recommendation.RecommendLeads(ANY_LIST, metadata=who)  # and there is room again


@pytest.mark.parametrize("traced", [False, True])
async def test_refused_calls_of_any_kind_are_told_the_same_and_share_a_line(
    tmp_path: Path, traced: bool
) -> None:
    one_of_each = {kind: path for path, kind in sorted(method_kinds().items())}
    assert set(one_of_each) == {"unary_unary", "unary_stream", "stream_unary"}
    waits = pb.RecommendLeadsRequest(member=ANY_LIST.member, min_revision="0.9999999999999-0")
    tracing = {"enabled": traced}
    async with serving(tmp_path, "tiny", max_in_flight=1, tracing=tracing) as service:
        first = asyncio.create_task(
            refused(service.recommendation.RecommendLeads(waits, timeout=30.0))
        )
        await asyncio.sleep(0.2)  # it is inside
        for path in [*one_of_each.values()] * 3:
            assert await call(service, path, ()) == "OVERLOADED"
        first.cancel()
        await service.server.stop(0.0)
        lines = [line for line in service.log_lines("call") if line["reason"] == "OVERLOADED"]
        counts = dict.fromkeys(one_of_each.values(), 0)
        for line in lines:
            assert line["status"] == "RESOURCE_EXHAUSTED"
            counts[line["method"]] += line["calls"]
        assert set(counts.values()) == {3}
        text = service.metrics.text()
        for path in counts:
            labels = f'method="{path}",reason="OVERLOADED",status="RESOURCE_EXHAUSTED"'
            assert f"recsvc_calls_total{{{labels}}} 3.0" in text
            assert f'recsvc_call_seconds_count{{method="{path}"}} 3.0' in text


async def test_a_fault_says_nothing_but_where_it_is_logged(tmp_path: Path) -> None:
    async with serving(tmp_path, "tiny") as service:
        live = service.server.workers["default"].live
        assert live is not None
        live.pipeline = _Broken()  # type: ignore[assignment]
        for call_ in (
            service.recommendation.RecommendLeads(ANY_LIST),
            service.recommendation.BatchRecommendLeads(
                pb.BatchRecommendLeadsRequest(parent=PARENT, members=[ANY_LIST.member])
            ),
        ):
            told = await refused(call_)
            assert (told.code, told.reason) == ("INTERNAL", "INTERNAL")
            assert "secret" not in told.message
            assert told.metadata["log_id"] in told.message
            logged = {line["log_id"]: line for line in service.log_lines("fault")}
            line = logged[told.metadata["log_id"]]
            assert "RuntimeError: a secret of the service" in line["exception"]


class _Broken:
    """A pipeline with a bug."""

    def recommend(self, *_: object) -> None:
        raise RuntimeError("a secret of the service")


async def test_each_call_is_a_line_and_a_number(service: Service) -> None:
    who = bearer("platform")
    reply = await service.recommendation.RecommendLeads(ANY_LIST, metadata=who)
    line = service.log_lines("call")[-1]
    assert line["attribution_token"] == reply.attribution_token
    assert (line["method"], line["status"]) == (
        "/recsvc.v1.RecommendationService/RecommendLeads",
        "OK",
    )
    assert (line["caller"], line["tenant"]) == ("platform's desk (platform)", "default")
    nobody = pb.RecommendLeadsRequest(member=f"{PARENT}/members/nobody")
    await refused(service.recommendation.RecommendLeads(nobody, metadata=who))
    service.server.write_down()
    text = service.metrics.text()
    assert (
        'recsvc_calls_total{method="/recsvc.v1.RecommendationService/RecommendLeads",'
        'reason="UNKNOWN_MEMBER",status="NOT_FOUND"} 1.0'
    ) in text
    assert 'recsvc_stage_seconds_count{stage="rank"}' in text
    assert 'recsvc_removed_total{filter="already_taken"}' in text
    assert 'recsvc_workers_serving{model="tiny",tenant="default"} 1.0' in text
    for _ in range(100):
        if "recsvc_calls_in_flight 0.0" in service.metrics.text():
            break
        await asyncio.sleep(0.01)
    assert "recsvc_calls_in_flight 0.0" in service.metrics.text()  # the worker wrote it down itself


async def test_a_call_that_is_given_up_is_counted_as_such(service: Service) -> None:
    request = catalog_pb2.GetMemberRequest(name=ANY_LIST.member, min_revision="0.9999999999999-0")
    waiting = service.catalog.GetMember(request, metadata=bearer("operator"))
    await asyncio.sleep(0.1)
    waiting.cancel()
    for _ in range(100):
        if any(line["status"] == "CANCELLED" for line in service.log_lines("call")):
            return
        await asyncio.sleep(0.01)
    raise AssertionError(service.log_lines("call")[-1])
