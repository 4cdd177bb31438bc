"""Claims (领办): who holds which lead. What the store is asked, and what it answers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import IntEnum, StrEnum

import msgspec

from features.entities import Event, EventKind
from features.errors import DataError
from recsvc.store.codec import EncodedRecord
from recsvc.store.revision import NOTHING, Revision

REQUEST_ID_DAYS = 7
"""How long the answer to a request id is kept: a repeat within it gets the same answer."""


class ClaimState(IntEnum):
    """Where a claim is in its life (numbers equal the protobuf enum's); docs/claims.md draws it."""

    ACTIVE = 1
    RELEASED = 2
    TRANSFERRED = 3
    RESOLVED = 4


class ClaimAction(StrEnum):
    """What somebody wants done with a claim."""

    CLAIM = "claim"
    RELEASE = "release"
    TRANSFER = "transfer"
    RESOLVE = "resolve"


class ClaimStatus(StrEnum):
    """What became of it.

    DONE, FULL, NOT_HELD and HELD are kept as the answer to the request id; the others are not.
    """

    DONE = "done"
    FULL = "full"  # as many members hold the lead as may
    NOT_HELD = "not_held"  # the member does not hold the lead
    HELD = "held"  # a transfer to somebody who holds it already
    OTHER = "other"  # the request id stands for another request
    STALE = "stale"  # the lead changed since the caller read it
    REFUSED = "refused"  # the caller knew a reason not to, and no answer was kept


@dataclass(frozen=True, slots=True)
class ClaimMove:
    """One transition of one claim.

    `lead_fingerprint` is that of the record the caller has judged by, `capacity` None for no limit.
    `refused` asks only whether the request was answered before: the caller has a reason against it.
    `closed_lead` is the record of a resolved lead, which is stored in the same step.
    """

    action: ClaimAction
    lead_id: str
    member_id: str
    request_id: str
    time_us: int
    lead_fingerprint: str
    capacity: int | None = None
    to_member_id: str = ""
    refused: bool = False
    closed_lead: EncodedRecord | None = None
    push_id: str = ""
    attribution_token: str = ""

    @property
    def request_hash(self) -> str:
        """Equal for repeats of one request, whenever and by whichever worker they are sent."""
        parts = (self.action, self.lead_id, self.member_id, self.to_member_id)
        return hashlib.blake2b("\0".join(parts).encode(), digest_size=8).hexdigest()

    def events(self) -> tuple[Event, ...]:
        """The participation events of this transition: one, and for a transfer the new holder's."""
        first = self._event(_EVENT_KINDS[self.action], self.member_id, "")
        if self.action is not ClaimAction.TRANSFER:
            return (first,)
        return first, self._event(EventKind.CLAIMED, self.to_member_id, "+")

    def _event(self, kind: EventKind, member_id: str, mark: str) -> Event:
        named = f"{self.lead_id}\0{self.request_id}\0{self.request_hash}"
        digest = hashlib.blake2b(named.encode(), digest_size=12).hexdigest()
        return Event(
            kind,
            self.time_us,
            member_id,
            self.lead_id,
            event_id=f"claim:{digest}{mark}",
            push_id="" if mark else self.push_id,
            attribution_token="" if mark else self.attribution_token,
        )


_EVENT_KINDS = {
    ClaimAction.CLAIM: EventKind.CLAIMED,
    ClaimAction.RELEASE: EventKind.RELEASED,
    ClaimAction.TRANSFER: EventKind.TRANSFERRED,
    ClaimAction.RESOLVE: EventKind.RESOLVED,
}


@dataclass(frozen=True, slots=True)
class ClaimAnswer:
    """`time_us` is when the claim got where it is, `holders` how many held the lead then."""

    status: ClaimStatus
    time_us: int = 0
    holders: int = 0
    capacity: int | None = None
    revision: Revision = NOTHING


@dataclass(frozen=True, slots=True)
class StoredClaim:
    """One member's claim on one lead."""

    lead_id: str
    member_id: str
    state: ClaimState
    time_us: int


class _Count(msgspec.Struct):
    v: int
    n: int


_COUNT = msgspec.json.Decoder(_Count)


def decode_holders(payload: bytes) -> int:
    """How many members hold a lead, from a change of ChangeKind.CLAIM; raises DataError."""
    try:
        return _COUNT.decode(payload).n
    except msgspec.MsgspecError as error:
        raise DataError(f"unreadable change of a claim: {error}") from error
