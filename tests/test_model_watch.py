"""Which model is in force: what was read before the last activation must not win over it."""

from __future__ import annotations

import asyncio
from typing import Any

from recsvc.serving.model_watch import ModelWatch
from recsvc.store.protocol import Activation
from recsvc.store.revision import Revision


class SlowStore:
    """Reads take until they are let go, and say what was written when they began."""

    def __init__(self) -> None:
        self.written = [Activation("b", 1)]
        self.reading = asyncio.Event()
        self.go = asyncio.Event()

    async def activations(self, _: str) -> list[Activation]:
        found = list(self.written)
        self.reading.set()
        await self.go.wait()
        return found

    async def activate(self, _: str, activation: Activation) -> Revision:
        self.written.append(activation)
        return Revision()


def watch_of(store: SlowStore) -> ModelWatch:
    slow: Any = store
    unused: Any = None
    return ModelWatch("default", "worker-1", slow, unused, unused, unused, lambda: 2, 1.0)


async def test_an_activation_during_a_read_is_in_force() -> None:
    store = SlowStore()
    watch = watch_of(store)
    read = asyncio.create_task(watch.read_in_force())
    await store.reading.wait()
    await watch.activate("a", "operator", "")
    store.go.set()
    await read
    assert watch.wanted == "a"


async def test_a_record_that_another_wrote_during_a_read_is_in_force() -> None:
    store = SlowStore()
    watch = watch_of(store)
    read = asyncio.create_task(watch.read_in_force())
    await store.reading.wait()
    store.written.append(Activation("a", 2))
    watch.activation_seen()
    store.go.set()
    await read
    assert watch.wanted == "a"
