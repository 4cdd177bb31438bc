"""Who holds which lead."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Protocol

from recsvc.store.claims import ClaimAnswer, ClaimMove, StoredClaim


class Claims(Protocol):
    """Claims, each moved in one step of the store."""

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
