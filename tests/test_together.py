"""Answers worked out in one stretch: each caller gets its own, whatever happens to the others."""

from __future__ import annotations

import asyncio
import time
from contextvars import ContextVar

import pytest

from recsvc.serving.together import Together

_WHO: ContextVar[str] = ContextVar("who")


def test_calls_that_come_one_by_one_are_answered_in_one_stretch_in_their_order() -> None:
    log: list[str] = []

    async def call(together: Together, name: str, turns: int) -> str:
        for _ in range(turns):
            await asyncio.sleep(0)
        log.append(f"came {name}")
        _WHO.set(name)

        def work() -> str:
            log.append(f"answered {_WHO.get()}")
            return f"for {_WHO.get()}"

        return await together.run(work)

    async def all_calls() -> list[str]:
        together = Together()
        return await asyncio.gather(*(call(together, n, t) for t, n in enumerate("abcd")))

    assert asyncio.run(all_calls()) == ["for a", "for b", "for c", "for d"]
    assert log == [f"came {n}" for n in "abcd"] + [f"answered {n}" for n in "abcd"]


def test_a_single_call_and_those_after_it_are_answered() -> None:
    async def calls() -> list[int]:
        together = Together()
        return [await together.run(lambda i=i: i) for i in range(3)]  # type: ignore[misc]

    assert asyncio.run(calls()) == [0, 1, 2]


def test_who_is_alone_does_not_wait() -> None:
    async def call() -> bool:
        together = Together()
        together.is_alone = lambda: True
        return together.run(lambda: 1).done()

    assert asyncio.run(call())


def test_an_error_is_its_callers_own_and_whoever_gave_up_costs_nothing() -> None:
    done: list[str] = []

    def fails() -> str:
        raise ValueError("this one")

    async def calls() -> None:
        together = Together()
        first, second = together.run(lambda: "a"), together.run(fails)
        third = together.run(lambda: done.append("given up"))
        fourth = together.run(lambda: "d")
        third.cancel()
        assert await first == "a"
        with pytest.raises(ValueError, match="this one"):
            await second
        assert await fourth == "d"

    asyncio.run(calls())
    assert done == []


def test_long_answers_let_the_event_loop_turn_between_them() -> None:
    turns: list[int] = []

    def work(i: int) -> int:
        time.sleep(0.005)  # longer than a stretch
        turns.append(len(ticks))
        return i

    ticks: list[None] = []

    async def tick() -> None:
        while True:
            ticks.append(None)
            await asyncio.sleep(0)

    async def calls() -> list[int]:
        ticking = asyncio.create_task(tick())
        together = Together()
        found = await asyncio.gather(*(together.run(lambda i=i: work(i)) for i in range(20)))  # type: ignore[misc]
        ticking.cancel()
        return found

    assert asyncio.run(calls()) == list(range(20))
    assert len(set(turns)) == 20
