"""How a worker comes to its views: from a model in the folder to one that a feed keeps current."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from structlog.typing import FilteringBoundLogger

from recsvc.matching.pipeline import PipelineConfig
from recsvc.model.bundle import Bundle
from recsvc.model.registry import ModelRegistry
from recsvc.serving.feed import Feed
from recsvc.serving.metrics import Metrics
from recsvc.serving.rehearsal import rehearse
from recsvc.serving.view import View
from recsvc.store.protocol import Store, StoreUnavailable


class Running(NamedTuple):
    """A view and the feed that keeps it current."""

    view: View
    feed: Feed

    async def caught_up(self) -> None:
        """Waits until the feed has caught up, or finds the store away."""
        waits = [asyncio.create_task(e.wait()) for e in (self.feed.caught_up, self.feed.failed)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for task in waits:
            task.cancel()


class Views:
    """Of one tenant. `moved` hears whenever a view has taken something in."""

    def __init__(
        self,
        tenant: str,
        store: Store,
        registry: ModelRegistry,
        metrics: Metrics,
        log: FilteringBoundLogger,
        clock: Callable[[], int],
        pipeline: PipelineConfig,
        moved: Callable[[], Awaitable[None]],
        activation_seen: Callable[[], None],
    ) -> None:
        self._tenant = tenant
        self._store = store
        self._registry = registry
        self._metrics = metrics
        self._log = log
        self._clock = clock
        self._pipeline = pipeline
        self._moved = moved
        self._activation_seen = activation_seen

    def load(self, model_id: str, *, beside: bool) -> View:
        """The view of a model, `beside` another that answers; raises BundleError."""
        return self.build(self._registry.load(model_id, gently=beside))

    def build(self, bundle: Bundle | None) -> View:
        """A view whose first request is not slow."""
        view = View(self._tenant, bundle, self._metrics, self._log, self._clock, self._pipeline)
        if view.snapshot is not None:
            rehearse(view.snapshot)
        return view

    def run(self, view: View) -> Running:
        """Begins to keep a view current."""
        return self._run(view, self._activation_seen)

    async def apart(self, model_id: str) -> View:
        """A view of this moment that nobody changes, for long work in a thread.

        Raises BundleError, StoreUnavailable.
        """
        bundle = await asyncio.to_thread(self._registry.load, model_id, gently=True)
        view = await asyncio.to_thread(View, self._tenant, bundle, None, self._log, self._clock)
        running = self._run(view, lambda: None)
        try:
            await running.caught_up()
        finally:
            await running.feed.stop()
        if not running.feed.caught_up.is_set():
            raise StoreUnavailable("the store went away while a view was built")
        return view

    def _run(self, view: View, activation_seen: Callable[[], None]) -> Running:
        feed = Feed(
            view, self._store, self._tenant, self._metrics, self._log, self._moved, activation_seen
        )
        feed.start()
        return Running(view, feed)
