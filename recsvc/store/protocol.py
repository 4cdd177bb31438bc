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
