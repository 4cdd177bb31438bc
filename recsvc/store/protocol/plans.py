"""Plans of pushes, and who is paused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from recsvc.store.pushes import NewPush, Pause


class Plans(Protocol):
    """Plans whose pushes are not all in the outbox yet, turns of the schedule, pauses."""

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

    async def note_arrivals(self, tenant: str, lead_ids: Sequence[str], now_us: int) -> None:
        """Remember urgent leads that are about to be written, until they are settled."""
        ...

    async def arrivals(self, tenant: str) -> dict[str, int]:
        """Urgent leads that were noted and not settled, oldest first, and when they were noted."""
        ...

    async def settle_arrivals(
        self, tenant: str, lead_ids: Sequence[str], now_us: int, pushed: bool
    ) -> None:
        """These leads need no plan of their own any more: `pushed` by one, known for a day."""
        ...

    async def pushed_on_arrival(self, tenant: str, since_us: int) -> set[str]:
        """Leads that were settled as pushed at or after an instant of the last day."""
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
