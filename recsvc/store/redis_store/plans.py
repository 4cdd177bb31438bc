"""Plans of pushes on their way into the outbox, and pauses: what concerns a tenant as a whole.

A plan is written down whole before the first of its pushes is put, so that whoever comes after a
crash completes it instead of planning anew.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from recsvc.store.pushes import NewPush, Pause, Push
from recsvc.store.redis_store import scripts
from recsvc.store.redis_store.base import TenantBase, control_keys
from recsvc.store.redis_store.keys import CONTROL_BUCKET
from recsvc.store.redis_store.scripts import Call, Command

_PART = 100
_KEEP_SECONDS = 7 * 86_400
"""A plan that nobody completed for so long is forgotten: its pushes would be out of date."""

_ARRIVED_SECONDS = 86_400


class _Row(msgspec.Struct, array_like=True):
    push: Push
    detail: bytes
    week_cap: int
    day_cap: int


_ROWS = msgspec.msgpack.Decoder(list[_Row])


class Plans(TenantBase):
    """The part of the store that keeps plans and pauses."""

    async def save_plan(
        self, tenant: str, plan_id: str, pushes: Sequence[NewPush], turn_us: int | None = None
    ) -> None:
        """See Store."""
        await self.open_tenant(tenant)
        names = control_keys(tenant)
        key = names.plan(plan_id)
        rows = [_Row(p.push, p.detail, p.week_cap, p.day_cap) for p in pushes]
        calls = [
            Call(CONTROL_BUCKET, ("RPUSH", key, msgspec.msgpack.encode(rows[i : i + _PART])))
            for i in range(0, len(rows), _PART)
        ]
        calls.insert(1, Call(CONTROL_BUCKET, ("EXPIRE", key, _KEEP_SECONDS)))
        await self._gateway.write(calls)
        # Only a plan that is whole is one to be completed, and only with it has its turn been.
        both = (names.plans, names.planned_turn)
        arguments = (plan_id, -1 if turn_us is None else turn_us)
        await self._gateway.write([Call.run(CONTROL_BUCKET, scripts.OPEN_PLAN, both, arguments)])

    async def planned_turn_us(self, tenant: str) -> int | None:
        """See Store."""
        look = Call(CONTROL_BUCKET, ("GET", control_keys(tenant).planned_turn))
        [found] = await self._gateway.read([look])
        return None if found is None else int(found)

    async def set_planned_turn(self, tenant: str, turn_us: int) -> None:
        """See Store."""
        await self.open_tenant(tenant)
        key = control_keys(tenant).planned_turn
        await self._gateway.write([Call(CONTROL_BUCKET, ("SET", key, turn_us))])

    async def open_plans(self, tenant: str) -> list[str]:
        """See Store."""
        look = Call(CONTROL_BUCKET, ("SMEMBERS", control_keys(tenant).plans))
        [found] = await self._gateway.read([look])
        return sorted(plan_id.decode() for plan_id in found)

    async def plan_part(self, tenant: str, plan_id: str, number: int) -> list[NewPush]:
        """See Store."""
        key = control_keys(tenant).plan(plan_id)
        [part] = await self._gateway.read([Call(CONTROL_BUCKET, ("LINDEX", key, number))])
        if part is None:
            return []
        return [NewPush(r.push, r.detail, r.week_cap, r.day_cap) for r in _ROWS.decode(part)]

    async def close_plan(self, tenant: str, plan_id: str) -> None:
        """See Store."""
        names = control_keys(tenant)
        await self._gateway.write(
            [
                Call(CONTROL_BUCKET, ("SREM", names.plans, plan_id)),
                Call(CONTROL_BUCKET, ("DEL", names.plan(plan_id))),
            ]
        )

    async def note_arrivals(self, tenant: str, lead_ids: Sequence[str], now_us: int) -> None:
        """See Store."""
        await self.open_tenant(tenant)
        scores = [part for lead_id in lead_ids for part in (now_us // 1000, lead_id)]
        key = control_keys(tenant).arrivals
        await self._gateway.write([Call(CONTROL_BUCKET, ("ZADD", key, *scores))])

    async def arrivals(self, tenant: str) -> dict[str, int]:
        """See Store."""
        look = ("ZRANGE", control_keys(tenant).arrivals, 0, -1, "WITHSCORES")
        [found] = await self._gateway.read([Call(CONTROL_BUCKET, look)])
        pairs = zip(found[::2], found[1::2], strict=True)
        return {lead_id.decode(): int(time_ms) * 1000 for lead_id, time_ms in pairs}

    async def settle_arrivals(
        self, tenant: str, lead_ids: Sequence[str], now_us: int, pushed: bool
    ) -> None:
        """See Store."""
        if not lead_ids:
            return
        names, now_ms = control_keys(tenant), now_us // 1000
        commands: list[Command] = []
        if pushed:  # known as such before the note goes
            scores = [part for lead_id in lead_ids for part in (now_ms, lead_id)]
            old_ms = now_ms - 1000 * _ARRIVED_SECONDS
            commands += [
                ("ZADD", names.arrived, *scores),
                ("ZREMRANGEBYSCORE", names.arrived, "-inf", old_ms),
                ("EXPIRE", names.arrived, _ARRIVED_SECONDS),
            ]
        commands.append(("ZREM", names.arrivals, *lead_ids))
        await self._gateway.write([Call(CONTROL_BUCKET, command) for command in commands])

    async def pushed_on_arrival(self, tenant: str, since_us: int) -> set[str]:
        """See Store."""
        look = ("ZRANGEBYSCORE", control_keys(tenant).arrived, since_us // 1000, "+inf")
        [found] = await self._gateway.read([Call(CONTROL_BUCKET, look)])
        return {lead_id.decode() for lead_id in found}

    async def pause(self, tenant: str, pause: Pause) -> None:
        """See Store."""
        await self.open_tenant(tenant)
        data = msgspec.json.encode(pause)
        command = ("HSET", control_keys(tenant).pauses, pause.organization_id, data)
        await self._gateway.write([Call(CONTROL_BUCKET, command)])

    async def resume(self, tenant: str, organization_id: str) -> None:
        """See Store."""
        command = ("HDEL", control_keys(tenant).pauses, organization_id)
        await self._gateway.write([Call(CONTROL_BUCKET, command)])

    async def pauses(self, tenant: str) -> dict[str, Pause]:
        """See Store."""
        look = Call(CONTROL_BUCKET, ("HGETALL", control_keys(tenant).pauses))
        [found] = await self._gateway.read([look])
        return {k.decode(): msgspec.json.decode(v, type=Pause) for k, v in sorted(found.items())}
