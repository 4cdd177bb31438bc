"""Concurrent writing and reading back over gRPC, with the ledger knowing what was acknowledged."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.crash_ledger import Fault, Key, Ledger, Record, key_of
from features.entities import Event, EventKind, Lead, Member
from features.errors import RecsvcError
from recsvc.client import AsyncClient, EventReport, ImportReport
from recsvc.errors import NotFoundError
from recsvc.store.changes import batches_between
from recsvc.store.protocol import ChangeKind
from recsvc.store.redis_store import RedisStore
from recsvc.store.revision import NOTHING

_TOPICS = ("交通", "环保", "教育", "养老")
_KINDS = (EventKind.PUSHED, EventKind.SHOWN, EventKind.OPENED, EventKind.CLAIMED)
_LARGEST_BATCH = 5
_SPARE = 5
"""Every fifth record is about no event, so that it may be deleted."""
_READS_AT_A_TIME = 24
_EVENTS_AT_A_TIME = 500


class WrongAnswerError(RecsvcError):
    """A service in good health answered a call with something else than it must."""


@dataclass(frozen=True)
class Subjects:
    """Ids that were there from the start, for events to be about."""

    member_ids: tuple[str, ...]
    lead_ids: tuple[str, ...]


class Writer:
    """One client's share of a round: `count` members, leads and events in small batches, one call
    after the other, and between them changes and deletions of `older` records.
    """

    def __init__(
        self,
        client: AsyncClient,
        ledger: Ledger,
        name: str,
        round_number: int,
        rng: np.random.Generator,
        subjects: Subjects,
        older: Sequence[Record],
        on_acknowledged: Callable[[], None],
    ) -> None:
        self._client = client
        self._ledger = ledger
        self._name = name
        self._round = round_number
        self._rng = rng
        self._member_ids = list(subjects.member_ids)
        self._lead_ids = list(subjects.lead_ids)
        self._older = list(older)
        self._on_acknowledged = on_acknowledged

    async def run(self, count: int) -> None:
        """Writes until all is done; raises the ServiceError of the first call that fails."""
        done = 0
        while done < count:
            numbers = range(done, min(count, done + int(self._rng.integers(1, _LARGEST_BATCH + 1))))
            done = numbers.stop
            await self._put("members", [self._member(n) for n in numbers])
            await self._put("leads", [self._lead(n) for n in numbers])
            await self._record([self._event(n) for n in numbers])
            if self._older:
                await self._touch(self._older.pop())

    async def _put(self, what: str, records: Sequence[Record]) -> None:
        writes = [(key_of(record), record) for record in records]
        for key, record in writes:
            self._ledger.begin(self._round, key, record)
        report = await self._send(records)
        if report is not None and report.rejected_count:
            raise WrongAnswerError(f"rows were refused: {report.errors[:3]}")
        self._ledger.acknowledge(what, writes)
        for (_, identifier), record in writes:
            if not is_spare(record):
                known = self._member_ids if isinstance(record, Member) else self._lead_ids
                known.append(identifier)
        self._on_acknowledged()

    async def _send(self, records: Sequence[Record]) -> ImportReport | None:
        """A single record as an update, several as an import."""
        match records[0], len(records):
            case Member() as member, 1:
                await self._client.update_member(member, create=True)
            case Lead() as lead, 1:
                await self._client.update_lead(lead, create=True)
            case Member(), _:
                return await self._client.import_members(
                    [r for r in records if isinstance(r, Member)]
                )
            case _:
                return await self._client.import_leads([r for r in records if isinstance(r, Lead)])
        return None

    async def _touch(self, record: Record) -> None:
        """Deletes a spare record, or changes it."""
        if not is_spare(record) or self._rng.random() < 0.5:
            text = f"第{self._round}轮由{self._name}修改"
            new = (
                replace(record, expertise=text)
                if isinstance(record, Member)
                else replace(record, body=text)
            )
            await self._put("changes", [new])
            return
        key = key_of(record)
        self._ledger.begin(self._round, key, None)
        if isinstance(record, Member):
            await self._client.delete_member(record.member_id)
        else:
            await self._client.delete_lead(record.lead_id)
        self._ledger.acknowledge("deletions", [(key, None)])
        self._on_acknowledged()

    async def _record(self, events: Sequence[Event]) -> None:
        self._ledger.begin_events(self._round, events)
        report = await self._client.record(events)
        if report.recorded_count != len(events):
            raise WrongAnswerError(f"new events were not recorded: {report}")
        self._ledger.acknowledge_events(events)
        self._on_acknowledged()

    def _member(self, number: int) -> Member:
        topic = _TOPICS[number % len(_TOPICS)]
        return Member(
            member_id=f"{'spare' if number % _SPARE == 0 else 'm'}-{self._name}-{number}",
            name=f"委员{number}",
            expertise=f"长期从事{topic}工作",
            topics=(topic,),
            region_code="430104",
            latitude=28.0 + round(float(self._rng.random()), 6),
            longitude=112.9,
        )

    def _lead(self, number: int) -> Lead:
        topic = _TOPICS[number % len(_TOPICS)]
        return Lead(
            lead_id=f"{'spare' if number % _SPARE == 0 else 'l'}-{self._name}-{number}",
            create_time_us=_now_us(),
            title=f"关于{topic}的建议{number}",
            body=f"希望有关部门关注{topic}问题" * (1 + number % 4),
            topics=(topic,),
            region_code="430104",
            urgency=number % 4,
        )

    def _event(self, number: int) -> Event:
        return Event(
            kind=_KINDS[number % len(_KINDS)],
            time_us=_now_us(),
            member_id=str(self._rng.choice(self._member_ids[-_LARGEST_BATCH:])),
            lead_id=str(self._rng.choice(self._lead_ids[-_LARGEST_BATCH:])),
            event_id=f"e-{self._name}-{number}",
        )


async def read_back(client: AsyncClient, ledger: Ledger, keys: Sequence[Key]) -> None:
    """Gets records and compares each with what it must be."""
    turn = asyncio.Semaphore(_READS_AT_A_TIME)

    async def read(key: Key) -> None:
        kind, identifier = key
        getter: Callable[[str], Awaitable[Record]]
        getter = client.get_member if kind is Member else client.get_lead
        async with turn:
            try:
                found: Record | None = await getter(identifier)
            except NotFoundError:
                found = None
        ledger.observe(key, found)

    await asyncio.gather(*map(read, keys))


async def send_again(client: AsyncClient, ledger: Ledger, events: Sequence[Event]) -> None:
    """Acknowledged events must be answered as repeated; those in doubt may be new."""
    doubtful = list(ledger.doubtful_events.values())
    for batch in _chunks(events):
        report = await _record(client, ledger, batch)
        lost = (Fault.LOST, f"an event among {batch[0].event_id} …")
        ledger.faults += [lost] * report.recorded_count
    for batch in _chunks(doubtful):
        report = await _record(client, ledger, batch)
        ledger.settle_events(batch, report.repeated_count)


async def read_stream(url: str, tenant: str, ledger: Ledger) -> None:
    """Each recorded event must be in the store's change stream, once."""
    counts: Counter[str] = Counter()
    async with RedisStore(url) as store:
        until = await store.latest_revision(tenant)
        async for batch in batches_between(store, tenant, NOTHING, until):
            counts.update(c.event_id for c in batch.changes if c.kind is ChangeKind.EVENT)
    for event_id in ledger.events:
        if counts[event_id] != 1:
            fault = Fault.DUPLICATED if counts[event_id] else Fault.LOST
            ledger.faults.append((fault, f"event {event_id} in the change stream"))


async def _record(client: AsyncClient, ledger: Ledger, events: Sequence[Event]) -> EventReport:
    """Sends events; one that is refused has lost its member or lead."""
    report: EventReport = await client.record(events)
    ledger.faults += [(Fault.LOST, f"event {e.row_id}: {e.message}") for e in report.errors]
    return report


def is_spare(record: Record) -> bool:
    """Whether no event is about it."""
    return key_of(record)[1].startswith("spare-")


def _chunks(events: Sequence[Event]) -> list[Sequence[Event]]:
    return [events[i : i + _EVENTS_AT_A_TIME] for i in range(0, len(events), _EVENTS_AT_A_TIME)]


def _now_us() -> int:
    return time.time_ns() // 1_000
