"""Delivery: what is due is leased, asked about once more, and handed out, held back or dropped.

Between plan and delivery a lead may be taken, a member recused, a limit lowered, a pause declared:
each push is judged on a view that holds everything the store had acknowledged after it was leased.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from features.entities import Lead, Member
from recsvc.errors import NoModelError
from recsvc.matching.calendar import end_of_quiet_us
from recsvc.model.verdicts import Verdict
from recsvc.push.config import PushConfig
from recsvc.serving.view import View
from recsvc.serving.worker import TenantWorker
from recsvc.store.pushes import LeasedPush, Pause, Push, digest_id_of

EXPIRED = "EXPIRED"
CAPS_USED = "CAPS_USED"
MOST_A_BUCKET = 16
"""Pushes leased from each bucket at a time: what waits in a slow consumer's buffers ages."""
_HELD_US = 2_000_000
"""How soon pushes of a paused organization are looked at again."""


@dataclass(frozen=True, slots=True)
class Message:
    """What goes to a consumer in one piece: a push, or a member's digest."""

    pushes: tuple[Push, ...]
    digest_id: str
    repeated: bool


@dataclass
class _Fates:
    """What becomes of leased pushes."""

    sent: list[LeasedPush] = field(default_factory=list)
    held: list[tuple[str, int]] = field(default_factory=list)
    dropped: list[tuple[str, str]] = field(default_factory=list)


class Delivery:
    """Hands out the pushes of one tenant to one group."""

    def __init__(
        self,
        worker: TenantWorker,
        group: str,
        config: PushConfig,
        clock: Callable[[], int],
        newest: Callable[[], Awaitable[View]],
    ) -> None:
        self._worker = worker
        self._group = group
        self._config = config
        self._clock = clock
        self._newest = newest

    async def fetch(self, lease_seconds: float, digest: bool) -> tuple[list[Message], str]:
        """What is due and may go out now, and the revision of the view that said so.

        Raises StoreUnavailable, NoModelError, RevisionNotReachedError; what was leased then comes
        again when its lease ends.
        """
        store, tenant = self._worker.store, self._worker.tenant
        if "" in await store.pauses(tenant):
            return [], ""
        now_us = self._clock()
        leased = await store.take_pushes(
            tenant, self._group, now_us, lease_seconds, MOST_A_BUCKET, digest
        )
        if not leased:
            return [], ""
        view = await self._newest()
        # Asked after the lease: a pause that was acknowledged before is seen.
        fates = self._judge(view, leased, await store.pauses(tenant), now_us)
        if fates.dropped:
            await store.drop_pushes(tenant, fates.dropped, now_us)
        if fates.held:
            await store.return_pushes(tenant, self._group, fates.held)
        return await self._messages(fates.sent, digest), view.revision_text

    async def _messages(self, sent: Sequence[LeasedPush], digest: bool) -> list[Message]:
        if not digest:
            return [Message((lease.push,), "", lease.sent_before > 0) for lease in sent]
        by_member: dict[str, list[LeasedPush]] = defaultdict(list)
        for lease in sent:
            by_member[lease.push.member_id].append(lease)
        messages = []
        for member_id, leases in by_member.items():
            pushes = tuple(lease.push for lease in leases)
            digest_id = digest_id_of(member_id, [p.push_id for p in pushes])
            await self._worker.store.put_digest(
                self._worker.tenant, digest_id, [p.push_id for p in pushes]
            )
            repeated = all(lease.sent_before for lease in leases)
            messages.append(Message(pushes, digest_id, repeated))
        return messages

    def _judge(
        self, view: View, leased: Sequence[LeasedPush], pauses: Mapping[str, Pause], now_us: int
    ) -> _Fates:
        if view.pipeline is None:
            raise NoModelError("no model is active, so nothing can be checked before delivery")
        pairs = [(lease.push.member_id, lease.push.lead_id) for lease in leased]
        verdicts = view.pipeline.score_pairs(pairs, now_us).verdicts
        fates = _Fates()
        for lease, verdict in zip(leased, verdicts, strict=True):
            push = lease.push
            member = view.catalog.get(Member, push.member_id)
            lead = view.catalog.get(Lead, push.lead_id)
            until_us = self._held_until(view, member, lead, pauses, now_us)
            why = self._dropped_because(lease, member, verdict, now_us)
            if why:
                fates.dropped.append((push.push_id, why))
            elif until_us is not None:
                fates.held.append((push.push_id, until_us))
            else:
                fates.sent.append(lease)
        return fates

    def _dropped_because(
        self, lease: LeasedPush, member: Member | None, verdict: Verdict, now_us: int
    ) -> str:
        """Why a push must not be delivered at all, "" when it may."""
        if lease.push.expire_time_us <= now_us:
            return EXPIRED
        if member is None or verdict is not Verdict.KEPT:
            return Verdict.DELETED.name if member is None else verdict.name
        caps = self._config.caps
        week = week_cap(self._config, member)
        return CAPS_USED if lease.week_place >= week or lease.day_place >= caps.day else ""

    def _held_until(
        self,
        view: View,
        member: Member | None,
        lead: Lead | None,
        pauses: Mapping[str, Pause],
        now_us: int,
    ) -> int | None:
        """Until when a push has to wait, None when it need not."""
        places = {x.organization_id for x in (member, lead) if x is not None}
        if "" in pauses or any(pauses.get(place) for place in places if place):
            return now_us + _HELD_US
        if view.snapshot is None or member is None:
            return None
        tree = view.snapshot.organizations
        return end_of_quiet_us(tree.get(tree.find(member.organization_id)), now_us)


def week_cap(config: PushConfig, member: Member) -> int:
    """Most pushes of a member in seven days: the service's cap, or their own lower limit."""
    own = member.weekly_push_limit
    return config.caps.week if own is None else min(config.caps.week, own)


def push_ids(messages: Iterable[Message]) -> list[str]:
    """The ids of all pushes in messages."""
    return [push.push_id for message in messages for push in message.pushes]
