"""What the service asks of its store. Nothing here knows Redis.

The store is the truth: members, leads, organizations and conflicts live in it without expiry, and
every write is also an entry of the tenant's change stream, from which workers build their memory.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from features.entities import Conflict, Event, Lead, Member, Organization
from recsvc.store.claims import ClaimAnswer, ClaimMove, StoredClaim
from recsvc.store.codec import DELETED, Entity, RecordKind, Tombstone
from recsvc.store.pushes import (
    AckStatus,
    LeasedPush,
    NewPush,
    Pause,
    PushPlace,
    PutStatus,
    StoredPush,
)
from recsvc.store.revision import Revision
from recsvc.store.types import (
    DEFAULT_BUCKETS,
    EVENT_ID_DAYS,
    Activation,
    Change,
    ChangeBatch,
    ChangeKind,
    Durability,
    EventOutcome,
    EventStatus,
    Page,
    PageTokenError,
    RevisionTrimmedError,
    StaleWriteError,
    StoredRecord,
    StoreError,
    StoreUnavailable,
    Vectors,
    WorkerStatus,
)

__all__ = [
    "DEFAULT_BUCKETS",
    "DELETED",
    "EVENT_ID_DAYS",
    "Activation",
    "Change",
    "ChangeBatch",
    "ChangeKind",
    "Durability",
    "EventOutcome",
    "EventStatus",
    "Page",
    "PageTokenError",
    "RecordKind",
    "Revision",
    "RevisionTrimmedError",
    "StaleWriteError",
    "Store",
    "StoreError",
    "StoreUnavailable",
    "StoredRecord",
    "Tombstone",
    "Vectors",
    "WorkerStatus",
]


class Store(Protocol):
    """The seam between the service and its store; every method may raise StoreUnavailable."""

    async def open_tenant(self, tenant: str, bucket_count: int = DEFAULT_BUCKETS) -> int:
        """Create the tenant unless it exists; its bucket count, fixed when it was created.

        Writes, leases and `changes` do this by themselves; reads of an unknown tenant are empty.
        """
        ...

    async def tenants(self) -> list[str]:
        """All tenants, sorted."""
        ...

    async def put(
        self, tenant: str, entities: Sequence[Entity], vectors: Vectors | None = None
    ) -> Revision:
        """Store entities of any kind; the last of several with one id wins.

        An entity whose stored content is the same already makes no new change.
        """
        ...

    async def put_members(
        self, tenant: str, members: Sequence[Member], vectors: Vectors | None = None
    ) -> Revision: ...

    async def put_leads(
        self, tenant: str, leads: Sequence[Lead], vectors: Vectors | None = None
    ) -> Revision: ...

    async def put_organizations(
        self, tenant: str, organizations: Sequence[Organization]
    ) -> Revision: ...

    async def put_conflicts(self, tenant: str, conflicts: Sequence[Conflict]) -> Revision: ...

    async def replace(
        self, tenant: str, entity: Entity, expected: str, vectors: Vectors | None = None
    ) -> Revision:
        """Store an entity if the record still has the fingerprint `expected`.

        DELETED stands for "absent or deleted". Raises StaleWriteError.
        """
        ...

    async def delete(self, tenant: str, kind: RecordKind, ids: Sequence[str]) -> Revision:
        """Leave tombstones, also for ids never stored; what is deleted already stays as it is.

        A member's conflicts go with the member.
        """
        ...

    async def get(self, tenant: str, kind: RecordKind, identifier: str) -> StoredRecord | None:
        """The record, None when absent or deleted."""
        ...

    async def get_many(
        self, tenant: str, kind: RecordKind, ids: Sequence[str]
    ) -> dict[str, StoredRecord]:
        """The records that exist, by id."""
        ...

    def scan(self, tenant: str, kind: RecordKind) -> AsyncGenerator[list[StoredRecord], None]:
        """All records and tombstones in batches; one written meanwhile may come twice."""
        ...

    async def page(
        self, tenant: str, kind: RecordKind, page_size: int, page_token: str = ""
    ) -> Page:
        """At most `page_size` live records, in no particular order; raises PageTokenError."""
        ...

    async def record_events(
        self, tenant: str, events: Sequence[Event]
    ) -> tuple[list[EventOutcome], Revision]:
        """Append events (with id and member); outcomes in their order."""
        ...

    async def move_claim(self, tenant: str, move: ClaimMove) -> ClaimAnswer:
        """One transition of a claim, never beyond the lead's capacity, with its events.

        The same request id gets the same answer for REQUEST_ID_DAYS.
        """
        ...

    async def claims(self, tenant: str, lead_id: str) -> list[StoredClaim]:
        """All claims there ever were on a lead, each in its last state, by member."""
        ...

    def holders(self, tenant: str) -> AsyncGenerator[dict[str, int], None]:
        """How many members hold each lead, for those held by any; in batches."""
        ...

    async def put_pushes(
        self, tenant: str, pushes: Sequence[NewPush], token: int, now_us: int
    ) -> list[PutStatus]:
        """Put pushes into the outbox, each once, within the caps of their members.

        `token` is the planner's fencing token; raises FencedError when a later one was seen.
        """
        ...

    async def join_group(self, tenant: str, group: str) -> None:
        """Make a group of consumers known: it gets what is not acknowledged, and what comes."""
        ...

    async def take_pushes(
        self,
        tenant: str,
        group: str,
        now_us: int,
        lease_seconds: float,
        most: int,
        together: bool = False,
    ) -> list[LeasedPush]:
        """Lease due pushes to a consumer, at most `most` a bucket.

        First those whose lease has ended. `together`: with all other due pushes of their members.
        """
        ...

    async def return_pushes(self, tenant: str, group: str, due: Sequence[tuple[str, int]]) -> None:
        """Have leased pushes wait again, each until a time, as if they had not been handed out."""
        ...

    async def drop_pushes(self, tenant: str, ended: Sequence[tuple[str, str]], now_us: int) -> None:
        """End pushes that must not be delivered any more: (push id, why)."""
        ...

    async def ack_pushes(
        self, tenant: str, group: str, events: Sequence[Event], now_us: int
    ) -> tuple[list[AckStatus], Revision]:
        """End pushes as delivered, by their PUSHED events (with push id), recorded once each."""
        ...

    async def pushes(self, tenant: str, push_ids: Sequence[str]) -> dict[str, StoredPush]:
        """The pushes that are known, by id."""
        ...

    def open_pushes(self, tenant: str) -> AsyncGenerator[list[StoredPush], None]:
        """All pushes that nobody has acknowledged and that were not dropped, in batches."""
        ...

    async def list_pushes(
        self, tenant: str, after: PushPlace, most: int
    ) -> tuple[list[StoredPush], PushPlace | None]:
        """All pushes whose records are kept, a part of them, and where to go on (None: the end)."""
        ...

    async def put_digest(self, tenant: str, digest_id: str, push_ids: Sequence[str]) -> None:
        """Remember which pushes a digest holds."""
        ...

    async def digests(self, tenant: str, digest_ids: Sequence[str]) -> dict[str, list[str]]:
        """The push ids of the digests that are known."""
        ...

    async def save_plan(
        self, tenant: str, plan_id: str, pushes: Sequence[NewPush], turn_us: int | None = None
    ) -> None:
        """Write a plan down, before its pushes are put, and which turn of the schedule it was."""
        ...

    async def planned_turn_us(self, tenant: str) -> int | None:
        """The last turn of the schedule that was planned, None before the first."""
        ...

    async def set_planned_turn(self, tenant: str, turn_us: int) -> None:
        """Count a turn as planned, whichever was before."""
        ...

    async def open_plans(self, tenant: str) -> list[str]:
        """Plans that were written down and not closed."""
        ...

    async def plan_part(self, tenant: str, plan_id: str, number: int) -> list[NewPush]:
        """The pushes of the 0-based part of a plan, none beyond the last."""
        ...

    async def close_plan(self, tenant: str, plan_id: str) -> None:
        """All pushes of a plan are in the outbox."""
        ...

    async def pause(self, tenant: str, pause: Pause) -> None:
        """Stop pushes of an organization, or of the whole tenant, until they are resumed."""
        ...

    async def resume(self, tenant: str, organization_id: str) -> None:
        """End a pause."""
        ...

    async def pauses(self, tenant: str) -> dict[str, Pause]:
        """Who is paused, by organization id ("" for the tenant)."""
        ...

    def changes(self, tenant: str, after: Revision) -> AsyncGenerator[ChangeBatch, None]:
        """All changes after a revision, then new ones as they come, without end.

        Raises StoreUnavailable when the connection is lost (`follow` goes on by itself) and
        RevisionTrimmedError. Close the iterator (`contextlib.aclosing`) when leaving it early.
        """
        ...

    async def latest_revision(self, tenant: str) -> Revision:
        """The revision of the last write."""
        ...

    async def trim(self, tenant: str, revision: Revision) -> int:
        """Drop changes before a revision that all readers have passed; how many went."""
        ...

    async def activate(self, tenant: str, activation: Activation) -> Revision:
        """Append an activation record."""
        ...

    async def activations(self, tenant: str) -> list[Activation]:
        """All activation records, oldest first; the last one is in force."""
        ...

    async def report_worker(self, tenant: str, status: WorkerStatus, ttl_seconds: float) -> None:
        """A worker's heartbeat, forgotten after `ttl_seconds`; 0 forgets at once."""
        ...

    async def workers(self, tenant: str) -> list[WorkerStatus]:
        """The workers whose heartbeat is alive, by id."""
        ...

    async def acquire_lease(
        self, tenant: str, name: str, owner: str, ttl_seconds: float
    ) -> int | None:
        """A fencing token when the lease is free or already this owner's, else None.

        Tokens of one name only grow; an owner that still holds the lease gets its token again.
        """
        ...

    async def renew_lease(self, tenant: str, name: str, token: int, ttl_seconds: float) -> bool:
        """Prolong a lease; False when it was lost."""
        ...

    async def release_lease(self, tenant: str, name: str, token: int) -> bool:
        """Give a lease back; False when it was lost before."""
        ...

    async def check_durability(self) -> Durability:
        """What the server promises about persistence (of a cluster: its weakest primary)."""
        ...

    async def ping(self) -> None:
        """Return when the store answers."""
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...
