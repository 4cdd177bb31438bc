"""Activations, workers, leases."""

from __future__ import annotations

from typing import Protocol

from recsvc.store.revision import Revision
from recsvc.store.types import Activation, WorkerStatus


class Control(Protocol):
    """Which model is in force, who is at work, who may do what only one may do."""

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
