"""What members did with leads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from features.entities import Event
from recsvc.store.revision import Revision
from recsvc.store.types import EventOutcome


class Events(Protocol):
    """Participation events, each recorded once."""

    async def record_events(
        self, tenant: str, events: Sequence[Event]
    ) -> tuple[list[EventOutcome], Revision]:
        """Append events (with id and member); outcomes in their order."""
        ...
