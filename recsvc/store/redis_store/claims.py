"""Claims: all of a lead's, and the answers to their request ids, live in the lead's bucket.

So a transition is one script in one slot of a cluster. Its participation event goes into that
bucket's change stream, too, not into that of the member: it happens with the claim or not at all.
Readers follow all buckets and take an event from any of them.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator

from recsvc.store import codec
from recsvc.store.claims import (
    REQUEST_ID_DAYS,
    ClaimAnswer,
    ClaimMove,
    ClaimState,
    ClaimStatus,
    StoredClaim,
)
from recsvc.store.codec import RecordKind
from recsvc.store.redis_store import scripts
from recsvc.store.redis_store.base import TenantBase, parse_position
from recsvc.store.redis_store.keys import BucketKeys, bucket_of
from recsvc.store.redis_store.scripts import Argument, Call
from recsvc.store.revision import Revision

_SCAN_COUNT = 1000
_KEEP_SECONDS = REQUEST_ID_DAYS * 86_400


class Claims(TenantBase):
    """The part of the store that knows who holds which lead."""

    async def move_claim(self, tenant: str, move: ClaimMove) -> ClaimAnswer:
        """See Store."""
        bucket = bucket_of(move.lead_id, await self.open_tenant(tenant))
        names = BucketKeys.of(tenant, bucket)
        touched = (
            names.claims(move.lead_id),
            names.holders,
            names.claim_answer(move.lead_id, move.request_id),
            names.records(RecordKind.LEAD),
            names.changes,
        )
        call = Call.run(bucket, scripts.MOVE_CLAIM, touched, _arguments(move))
        [answer] = await self._gateway.write([call])
        status, time_us, holders, capacity, entry = (part.decode() for part in answer)
        position = parse_position(entry.encode())
        return ClaimAnswer(
            ClaimStatus(status),
            int(time_us),
            int(holders),
            None if capacity == "-1" else int(capacity),
            Revision.of({bucket: position}),
        )

    async def claims(self, tenant: str, lead_id: str) -> list[StoredClaim]:
        """See Store."""
        bucket_count = await self._known_buckets(tenant)
        if not bucket_count:
            return []
        bucket = bucket_of(lead_id, bucket_count)
        look = Call(bucket, ("HGETALL", BucketKeys.of(tenant, bucket).claims(lead_id)))
        [found] = await self._gateway.read([look])
        claims = []
        for member, text in found.items():
            state, _, time_us = text.decode().partition(" ")
            claims.append(
                StoredClaim(lead_id, member.decode(), ClaimState(int(state)), int(time_us))
            )
        return sorted(claims, key=lambda claim: claim.member_id)

    async def holders(self, tenant: str) -> AsyncGenerator[dict[str, int], None]:
        """See Store."""
        for bucket in range(await self._known_buckets(tenant)):
            key = BucketKeys.of(tenant, bucket).holders
            cursor, begun = 0, False
            while cursor or not begun:
                begun = True
                step = Call(bucket, ("HSCAN", key, cursor, "COUNT", _SCAN_COUNT))
                [(cursor, fields)] = await self._gateway.read([step])
                yield {lead_id.decode(): int(count) for lead_id, count in fields.items()}


def _arguments(move: ClaimMove) -> list[Argument]:
    capacity = -1 if move.capacity is None else move.capacity
    record = b"" if move.closed_lead is None else move.closed_lead.data
    arguments: list[Argument] = [move.action, move.lead_id, move.member_id, move.to_member_id]
    arguments += [capacity, move.lead_fingerprint, int(move.refused), move.request_hash]
    arguments += [_KEEP_SECONDS, move.time_us, record]
    for event in move.events():
        arguments += [event.event_id, event.member_id, codec.encode_event(event)[0]]
    return arguments
