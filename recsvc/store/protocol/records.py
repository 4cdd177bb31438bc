"""Members, leads, organizations and conflicts, each the last that was stored."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from features.entities import Conflict, Lead, Member, Organization
from recsvc.store.codec import Entity, RecordKind
from recsvc.store.revision import Revision
from recsvc.store.types import Page, StoredRecord, Vectors


class Records(Protocol):
    """Records of entities, kept without expiry."""

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
