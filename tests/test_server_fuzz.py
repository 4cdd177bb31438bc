"""Whatever is sent, the answer is documented: never INTERNAL, never UNKNOWN."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from proto_fuzz import messages
from service import Service, read_error, refused, serving

from recsvc.errors import service_errors
from recsvc.serving.interceptors.access import CONTRACT

pytestmark = pytest.mark.asyncio(loop_scope="module")

ENDLESS = {"StreamPushes": 0.3}
"""Streams that do not end by themselves, and how many seconds each is listened to."""

METHODS: list[MethodDescriptor] = [
    method
    for file in CONTRACT
    for service in file.services_by_name.values()
    for method in service.methods
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Service, None]:
    folder: Path = tmp_path_factory.mktemp("fuzz")
    async with serving(folder, "tiny", max_wait_seconds=0.05) as running:
        yield running
        wrong = ("fault", "changes skipped", "record skipped", "feed failed, beginning again")
        assert [line for event in wrong for line in running.log_lines(event)] == []


async def answer(service: Service, method: MethodDescriptor, sent: Any) -> None:
    """Calls the method with bytes, so that messages may also be broken."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    channel: Any = service.channel  # its stubs ask for the serializers that are left out here
    if method.client_streaming:

        async def chunks() -> AsyncGenerator[bytes, None]:
            yield sent

        await channel.stream_unary(path)(chunks())
    elif method.server_streaming:
        async for _ in channel.unary_stream(path)(sent, timeout=ENDLESS.get(method.name)):
            pass
    else:
        await channel.unary_unary(path)(sent)


async def assert_documented(service: Service, method: MethodDescriptor, sent: bytes) -> None:
    try:
        await answer(service, method, sent)
    except grpc.aio.AioRpcError as error:
        told = read_error(error)
        if method.name in ENDLESS and told.code == "DEADLINE_EXCEEDED":
            return
        assert told.code not in ("INTERNAL", "UNKNOWN"), service.log_lines("fault")[-1:]
        assert told.reason in service_errors(), told
        assert service_errors()[told.reason].status == told.code
        assert "Traceback" not in told.message


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
async def test_every_message_has_a_documented_answer(
    service: Service, method: MethodDescriptor, data: st.DataObject
) -> None:
    message = data.draw(messages(GetMessageClass(method.input_type)))
    await assert_documented(service, method, message.SerializeToString())


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(method=st.sampled_from(METHODS), sent=st.binary(min_size=1, max_size=60))
async def test_bytes_that_are_no_message_are_the_callers_fault(
    service: Service, method: MethodDescriptor, sent: bytes
) -> None:
    told = await refused(answer(service, method, b"\xff" + sent))  # wire type 7 does not exist
    assert (told.code, told.reason) == ("INVALID_ARGUMENT", "MALFORMED_MESSAGE")
    assert "the bytes sent are no message" in told.message
