"""Activations, workers and leases: what belongs to the tenant as a whole."""

from __future__ import annotations

import msgspec

from features.errors import DataError
from recsvc.store.redis_store import scripts
from recsvc.store.redis_store.base import TenantBase, control_keys, reached
from recsvc.store.redis_store.keys import CONTROL_BUCKET
from recsvc.store.redis_store.scripts import Call
from recsvc.store.revision import Revision
from recsvc.store.types import Activation, WorkerStatus


class Control(TenantBase):
    """The part of the store that coordinates processes."""

    async def activate(self, tenant: str, activation: Activation) -> Revision:
        """See Store."""
        await self.open_tenant(tenant)
        names = control_keys(tenant)
        arguments = (activation.model_version, msgspec.json.encode(activation))
        both = (names.activations, names.changes)
        call = Call.run(CONTROL_BUCKET, scripts.ACTIVATE, both, arguments)
        return reached([call], await self._gateway.write([call]))

    async def activations(self, tenant: str) -> list[Activation]:
        """See Store."""
        call = Call(CONTROL_BUCKET, ("LRANGE", control_keys(tenant).activations, 0, -1))
        [records] = await self._gateway.read([call])
        return [msgspec.json.decode(record, type=Activation) for record in records]

    async def report_worker(self, tenant: str, status: WorkerStatus, ttl_seconds: float) -> None:
        """See Store."""
        await self.open_tenant(tenant)
        milliseconds = 0 if ttl_seconds == 0 else _milliseconds(ttl_seconds)
        arguments = (status.worker_id, msgspec.json.encode(status), milliseconds)
        key = control_keys(tenant).workers
        await self._gateway.write(
            [Call.run(CONTROL_BUCKET, scripts.REPORT_WORKER, (key,), arguments)]
        )

    async def workers(self, tenant: str) -> list[WorkerStatus]:
        """See Store."""
        key = control_keys(tenant).workers
        [alive] = await self._gateway.read([Call.run(CONTROL_BUCKET, scripts.WORKERS, (key,))])
        statuses = [msgspec.json.decode(data, type=WorkerStatus) for data in alive]
        return sorted(statuses, key=lambda status: status.worker_id)

    async def acquire_lease(
        self, tenant: str, name: str, owner: str, ttl_seconds: float
    ) -> int | None:
        """See Store."""
        await self.open_tenant(tenant)
        names = control_keys(tenant)
        both = (names.lease(name), names.fence(name))
        arguments = (owner, _milliseconds(ttl_seconds))
        call = Call.run(CONTROL_BUCKET, scripts.ACQUIRE_LEASE, both, arguments)
        [token] = await self._gateway.write([call])
        return None if token is None else int(token)

    async def renew_lease(self, tenant: str, name: str, token: int, ttl_seconds: float) -> bool:
        """See Store."""
        key = control_keys(tenant).lease(name)
        arguments = (token, _milliseconds(ttl_seconds))
        call = Call.run(CONTROL_BUCKET, scripts.RENEW_LEASE, (key,), arguments)
        return await self._gateway.write([call]) == [1]

    async def release_lease(self, tenant: str, name: str, token: int) -> bool:
        """See Store."""
        key = control_keys(tenant).lease(name)
        call = Call.run(CONTROL_BUCKET, scripts.RELEASE_LEASE, (key,), (token,))
        return await self._gateway.write([call]) == [1]


def _milliseconds(ttl_seconds: float) -> int:
    milliseconds = round(ttl_seconds * 1000)
    if milliseconds < 1:
        raise DataError(f"a time to live must be positive, not {ttl_seconds} s")
    return milliseconds
