"""The change stream of a tenant."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Protocol

from recsvc.store.revision import Revision
from recsvc.store.types import ChangeBatch


class Stream(Protocol):
    """Every write as an entry, in the order of its bucket."""

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
