"""Pushes on their way to members."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from features.entities import Event
from recsvc.store.pushes import AckStatus, LeasedPush, NewPush, PushPlace, PutStatus, StoredPush
from recsvc.store.revision import Revision


class Outbox(Protocol):
    """Pushes, each put once, leased to consumers until one acknowledges it."""

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

    async def members_pushes(
        self, tenant: str, member_ids: Sequence[str], since_us: int
    ) -> dict[str, list[tuple[str, int]]]:
        """What was put for members: (push id, release) of those released since an instant.

        Only what counts against caps: not what nobody fetched in time.
        """
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
