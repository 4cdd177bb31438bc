"""Calls are taken in together: each once, until the server is stopped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from recsvc.serving import intake
from recsvc.serving.intake import Intake, can_take_more

_METHOD = "/test.Echo/Echo"


class Echo(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic in the stubs only
    """Answers with what it is asked, and remembers it."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.go_on = asyncio.Event()
        self.go_on.set()

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """Of one method."""
        if handler_call_details.method != _METHOD:
            return None
        return grpc.unary_unary_rpc_method_handler(self._answer)

    async def _answer(self, request: bytes, _: object) -> bytes:
        self.asked.append(request)
        await self.go_on.wait()
        return request


@asynccontextmanager
async def echoing() -> AsyncGenerator[tuple[Intake, Echo, grpc.aio.Channel]]:
    """A server, and a channel to it."""
    taken, echo = Intake(grpc.aio.server()), Echo()
    taken.add_generic_rpc_handlers((echo,))
    port = taken.server.add_insecure_port("127.0.0.1:0")
    await taken.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield taken, echo, channel
    await taken.server.stop(1.0)


def asking(channel: grpc.aio.Channel, method: str = _METHOD) -> Any:
    """Asks with bytes, and is told bytes."""
    return channel.unary_unary(method, bytes, bytes)


async def test_the_pinned_grpc_can_take_more() -> None:
    assert can_take_more(getattr(grpc.aio.server(), "_server", None))
    assert not can_take_more(None)


@pytest.mark.parametrize("together", [True, False])
async def test_every_call_is_answered_once(monkeypatch: pytest.MonkeyPatch, together: bool) -> None:
    if not together:
        monkeypatch.setattr(intake, "can_take_more", lambda _: False)
    async with echoing() as (taken, echo, channel):
        ask = asking(channel)
        told = [b"%d" % number for number in range(500)]
        assert await asyncio.gather(*(ask(each) for each in told)) == told
        assert sorted(echo.asked) == sorted(told)
        assert len(taken._taking) == (15 if together else 0)


async def test_what_nobody_knows_is_unimplemented() -> None:
    async with echoing() as (_, _, channel):
        other = asking(channel, "/test.Echo/Other")
        errors = await asyncio.gather(*(other(b"") for _ in range(40)), return_exceptions=True)
    codes = {error.code() for error in errors if isinstance(error, grpc.aio.AioRpcError)}
    assert (len(errors), codes) == (40, {grpc.StatusCode.UNIMPLEMENTED})


async def test_calls_at_hand_are_answered_when_it_stops_and_nothing_is_left() -> None:
    async with echoing() as (taken, echo, channel):
        ask = asking(channel)
        echo.go_on.clear()
        waiting = [asyncio.ensure_future(ask(b"%d" % number)) for number in range(40)]
        while len(echo.asked) < 40:
            await asyncio.sleep(0.01)
        stopping = asyncio.create_task(taken.server.stop(5.0))
        await asyncio.sleep(0.05)
        echo.go_on.set()
        assert len(await asyncio.gather(*waiting)) == 40
        await stopping
        ended, still = await asyncio.wait(taken._taking, timeout=5.0)
        assert not still
        assert all(task.exception() is None for task in ended)
