"""The queue in front of the handlers: order, refusal by delay, room again."""

from __future__ import annotations

import asyncio

import pytest

from recsvc.serving.interceptors.gate import Gate

pytestmark = pytest.mark.asyncio


class Clock:
    """Time that passes when calls are answered, and work that taking calls in is."""

    def __init__(self) -> None:
        self.seconds = 100.0
        self.taken_in = 0.0

    def __call__(self) -> float:
        self.seconds += 0.000_002  # and a turn of the event loop is
        return self.seconds

    def worked(self) -> float:
        return self.taken_in


def gate_of(most_seconds: float, clock: Clock) -> Gate:
    return Gate(most_seconds, clock, clock.worked)


async def burst(gate: Gate, clock: Clock, count: int, seconds_each: float) -> list[str]:
    """So many calls at once, each of which takes so long; "r" for each refused one."""
    ended: list[str] = []

    async def call(number: int) -> None:
        clock.taken_in += 1.0
        if gate.refuses(full=False):
            ended.append("r")
            return
        await gate.turn(at_hand=count)
        clock.seconds += seconds_each
        ended.append(str(number))

    tasks = []
    for number in range(count):
        tasks.append(asyncio.create_task(call(number)))
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    return ended


async def test_turns_come_in_the_order_of_arrival() -> None:
    clock = Clock()
    assert await burst(gate_of(10.0, clock), clock, 40, 0.001) == [str(n) for n in range(40)]


async def test_who_would_wait_too_long_is_refused_and_the_others_are_answered() -> None:
    clock = Clock()
    gate = gate_of(0.5, clock)
    await burst(gate, clock, 20, 0.010)  # learns how long a call takes
    ended = await burst(gate, clock, 200, 0.010)
    answered = 200 - ended.count("r")
    assert 40 <= answered <= 70  # half a second's worth, and what was answered meanwhile


async def test_after_a_storm_there_is_room_at_once() -> None:
    clock = Clock()
    gate = gate_of(0.2, clock)
    await burst(gate, clock, 300, 0.010)
    assert await burst(gate, clock, 5, 0.010) == list("01234")


async def test_while_calls_are_refused_the_queue_is_kept_short() -> None:
    clock = Clock()
    gate = gate_of(0.6, clock)
    await burst(gate, clock, 20, 0.002)  # learns how long a call takes
    assert "r" not in await burst(gate, clock, 250, 0.002)  # a burst may wait for half a second
    first = await burst(gate, clock, 500, 0.002)
    again = await burst(gate, clock, 500, 0.002)
    assert 300 <= 500 - first.count("r") <= 400
    assert 25 <= 500 - again.count("r") <= 60  # a twentieth of a second's worth and a few
    clock.seconds += 2.0  # nobody was refused for a while
    assert "r" not in await burst(gate, clock, 250, 0.002)


async def test_a_worker_that_is_full_keeps_the_queue_short_too() -> None:
    """Where calls are short, as many as a worker takes are at hand before one would wait long."""
    clock = Clock()
    gate = gate_of(0.6, clock)
    await burst(gate, clock, 20, 0.002)  # learns how long a call takes
    assert gate.refuses(full=True)
    assert 25 <= 250 - (await burst(gate, clock, 250, 0.002)).count("r") <= 60
    clock.seconds += 2.0
    assert "r" not in await burst(gate, clock, 250, 0.002)


async def test_what_came_is_taken_in_before_the_next_is_served() -> None:
    clock = Clock()
    gate = gate_of(10.0, clock)
    seen: list[str] = []

    async def call(number: int) -> None:
        clock.taken_in += 1.0
        seen.append("in")
        await gate.turn(at_hand=99)
        seen.append("served")

    async def one_a_turn() -> list[asyncio.Task[None]]:
        """As gRPC hands calls over."""
        tasks = []
        for number in range(60):
            tasks.append(asyncio.create_task(call(number)))
            await asyncio.sleep(0)
        return tasks

    await asyncio.gather(*await one_a_turn())
    assert seen == ["in"] * 60 + ["served"] * 60


async def test_a_look_ends_when_nothing_is_left_to_take_in_though_somebody_always_comes() -> None:
    """Near the peak a call comes in every turn; looks that wait for silence would serve nobody."""
    clock = Clock()
    gate, ended = gate_of(10.0, clock), asyncio.Event()

    async def keep_coming() -> None:
        while not ended.is_set():
            clock.seconds += 0.000_01
            clock.taken_in += 0.000_002_5
            gate.refuses(full=False)
            await asyncio.sleep(0)

    coming = asyncio.create_task(keep_coming())
    begin = clock.seconds
    await gate.turn(at_hand=99)
    ended.set()
    await coming
    assert clock.seconds - begin < 0.14


async def room_in_a_storm(empty_turns: int) -> tuple[float, int]:
    """Seconds that a look took during which the event loop had nothing to do in so many turns for
    each that took a tenth of a millisecond, and how many may wait after it.
    """
    clock = Clock()
    gate, ended = gate_of(10.0, clock), asyncio.Event()
    await burst(gate, clock, 20, 0.000_25)  # learns how long a call takes
    assert gate.refuses(full=True)
    clock.seconds += 0.1  # the last look was a while ago

    async def turns() -> None:
        while not ended.is_set():
            for turn in range(1 + empty_turns):
                clock.seconds += 0.0 if turn else 0.000_1
                await asyncio.sleep(0)

    turning = asyncio.create_task(turns())
    begin = clock.seconds
    await gate.turn(at_hand=99)
    ended.set()
    await turning
    look_seconds = clock.seconds - begin
    gate.at_work = range(16)  # nobody is served while we count
    waiting = []
    while not gate.refuses(full=False):
        waiting.append(asyncio.create_task(gate.turn(at_hand=99)))
        await asyncio.sleep(0)
    for one in waiting:
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    return look_seconds, len(waiting)


async def test_in_a_storm_the_time_goes_into_refusing_until_nothing_is_left_to_refuse() -> None:
    """A loop that has nothing to do for two fifths of its time has refused all that came; one that
    has for a fifth answers a quarter as many before it looks again.
    """
    kept_up_seconds, room = await room_in_a_storm(empty_turns=33)
    behind_seconds, less_room = await room_in_a_storm(empty_turns=12)
    assert 0.0 < kept_up_seconds < 0.05
    assert 0.4 <= behind_seconds < 0.45
    assert less_room == pytest.approx(room / 4, rel=0.1)


async def test_a_few_may_wait_however_long_calls_take() -> None:
    clock = Clock()
    gate = gate_of(0.5, clock)
    for _ in range(2):
        assert "r" not in await burst(gate, clock, 16, 5.0)


async def test_who_gives_up_while_waiting_keeps_nobody_else_waiting() -> None:
    gate = Gate(10.0)
    turns = [asyncio.create_task(gate.turn(at_hand=99)) for _ in range(3)]
    await asyncio.sleep(0)
    turns[1].cancel()
    await asyncio.gather(*turns, return_exceptions=True)
    assert [t.cancelled() for t in turns] == [False, True, False]


async def test_nobody_gets_a_turn_while_many_wait_for_their_answers() -> None:
    gate, at_work = Gate(10.0), list(range(16))
    gate.at_work = at_work
    turns = [asyncio.create_task(gate.turn(at_hand=99)) for _ in range(3)]
    await asyncio.sleep(0.02)
    assert not any(turn.done() for turn in turns)
    at_work.pop()
    await asyncio.wait_for(asyncio.gather(*turns), 5.0)


@pytest.mark.parametrize("at_hand", [1, 16])
async def test_a_call_beside_few_others_does_not_wait(at_hand: int) -> None:
    gate = Gate(10.0)
    turn = gate.turn(at_hand=at_hand)
    with pytest.raises(StopIteration):  # it ends without a turn of the event loop
        turn.send(None)
