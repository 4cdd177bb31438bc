"""One tenant in one worker process: the view that answers, and the one that is to follow it.

    live ──► requests              prepared ──► becomes live when its model is in force
     ▲ its feed tails the stream       ▲ its feed tails the stream, too

Swapping is one assignment between two requests; `recsvc.serving.model_watch` decides which is due.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from structlog.typing import FilteringBoundLogger

from recsvc.errors import NoModelError, NotReadyError, RevisionNotReachedError
from recsvc.matching.pipeline import PipelineConfig, now_us
from recsvc.model.registry import ModelRegistry
from recsvc.serving.gentle import Gently
from recsvc.serving.metrics import Metrics
from recsvc.serving.model_watch import ModelWatch
from recsvc.serving.replay import Replay
from recsvc.serving.view import View
from recsvc.serving.views import Running, Views
from recsvc.store.protocol import Store, StoreUnavailable
from recsvc.store.revision import Revision

_SWAP_SECONDS = 5.0


@dataclass(frozen=True)
class WorkerOptions:
    """Times of one worker, in seconds, and the knobs of its pipelines."""

    start_seconds: float = 10.0
    model_poll_seconds: float = 0.5
    pipeline: PipelineConfig = field(default_factory=PipelineConfig)


class TenantWorker:
    """Serves one tenant. `on_serving` hears when another model (or the first) is live."""

    def __init__(
        self,
        tenant: str,
        worker_id: str,
        store: Store,
        registry: ModelRegistry,
        metrics: Metrics,
        log: FilteringBoundLogger,
        options: WorkerOptions | None = None,
        clock: Callable[[], int] = now_us,
        on_serving: Callable[[], None] = lambda: None,
    ) -> None:
        self.tenant = tenant
        self.store = store
        self.registry = registry
        self.clock = clock
        self._options = options or WorkerOptions()
        self._metrics = metrics
        self._log = log.bind(tenant=tenant)
        self._on_serving = on_serving
        self.models = ModelWatch(
            tenant,
            worker_id,
            store,
            registry,
            metrics,
            self._log,
            clock,
            self._options.model_poll_seconds,
        )
        self._views = Views(
            tenant,
            store,
            registry,
            metrics,
            self._log,
            clock,
            self._options.pipeline,
            self._notify,
            self._activation_seen,
        )
        self.replay = Replay(tenant, store, registry, self._log, clock, self._options.pipeline)
        self._moved = asyncio.Condition()
        self._changing = asyncio.Lock()
        self._pace = Gently()  # of the thread that prepares a model
        self._pace.hurry()
        self._live: Running | None = None
        self._prepared: Running | None = None

    @property
    def live(self) -> View | None:
        """What requests are answered from; None before `start` has ended."""
        return self._live.view if self._live else None

    @property
    def live_model(self) -> str:
        """The model that answers, "" for none."""
        return self._live.view.model_id if self._live else ""

    async def view_at(self, minimum: Revision, seconds: float, data_only: bool = False) -> View:
        """The view to answer from, once it has reached `minimum`.

        `data_only`: whichever model answers. Raises NotReadyError, and RevisionNotReachedError
        after `seconds`.
        """

        def reached() -> View | None:
            view = self.live
            if view is None:
                raise NotReadyError("the worker is starting: try again")
            return view if (view.applied if data_only else view.revision).covers(minimum) else None

        if (live := reached()) is not None:
            return live
        try:
            async with asyncio.timeout(seconds), self._moved:
                view = await self._moved.wait_for(reached)
        except TimeoutError:
            raise RevisionNotReachedError(
                "the worker has not yet seen the changes up to min_revision: try again",
                field="min_revision",
            ) from None
        assert view is not None, "wait_for returns what is true"
        return view

    async def start(self) -> None:
        """Loads the model in force (or, without one that can be used, none) and goes live."""
        try:
            async with asyncio.timeout(self._options.start_seconds):
                await self.models.read_in_force()
        except (StoreUnavailable, TimeoutError) as error:
            self._log.warning("starting without the store", problem=str(error))
        for model_id in await self.models.candidates():
            if await self.prepare(model_id):
                break
        running = self._prepared or self._views.run(self._views.build(None))
        self._prepared = None
        await running.caught_up()
        if self.models.wanted not in (None, "", running.view.model_id):
            running.view.serve_instead()
        await self._go_live(running)
        self.models.start(self)

    async def aclose(self) -> None:
        """Ends all tasks."""
        self._pace.hurry()  # a thread that is loading a model ends by itself only
        await self.models.stop()
        for running in (self._live, self._prepared):
            if running is not None:
                await running.feed.stop()

    async def build_apart(self) -> View:
        """A view of this moment on the live model that nobody changes, for long work in a thread.

        Raises NoModelError, BundleError, StoreUnavailable.
        """
        model_id = self.live_model
        if not model_id:
            raise NoModelError("no model is active: train and publish one (recsvc train)")
        return await self._views.apart(model_id)

    def store_answers(self) -> None:
        """Somebody has heard from the store: it is not away any more."""
        if self._live is not None:
            self._live.feed.store_answers()

    async def prepare(self, model_id: str, *, gently: bool = False) -> bool:
        """Loads a model beside the live one; False (and a problem) when it cannot be used.

        `gently`: nobody waits for it, so that it may take its time; see `recsvc.serving.gentle`.
        """
        if not gently:
            self._pace.hurry()
        elif self.live_model:
            self._pace = Gently()
        async with self._changing:
            if self.live_model == model_id:
                return True
            if self._prepared is not None:
                if self._prepared.view.model_id == model_id:
                    return True
                await self._prepared.feed.stop()
                self._prepared = None
            try:
                view = await asyncio.to_thread(
                    self._pace.run,
                    lambda: self._views.load(model_id, beside=self._live is not None),
                )
            except Exception as error:  # noqa: BLE001 - whatever a bundle does, the old one serves
                self.models.refuse(model_id, error)
                return False
            self._prepared = self._views.run(view)
            return True

    async def swap_in(self, model_id: str) -> None:
        """Makes the prepared model live, once it has taken in all that the live one has."""
        async with self._changing:
            old, new = self._live, self._prepared
            if new is None or new.view.model_id != model_id:
                return  # another was prepared meanwhile: the watch looks again
            await new.caught_up()
            if old is not None:
                # The old view stands still while the new one passes it: nobody goes back in time.
                await old.feed.stop()
                await self._wait_passed(old.view, new.view)
            self._prepared = None
            await self._go_live(new)
            leaving, old = [old], None
            # Giving a gigabyte back takes a while: not between two requests.
            await asyncio.to_thread(leaving.clear)

    async def stand_in(self) -> None:
        """The live view answers although another model is in force, which cannot be used."""
        if self.live is not None and self.live.serve_instead():
            await self._notify()

    def _activation_seen(self) -> None:
        """Another worker has the model ready: replies of this one wait for it."""
        self._pace.hurry()
        self.models.activation_seen()

    async def _notify(self) -> None:
        async with self._moved:
            self._moved.notify_all()

    async def _wait_passed(self, old: View, new: View) -> None:
        try:
            async with asyncio.timeout(_SWAP_SECONDS), self._moved:
                await self._moved.wait_for(lambda: new.applied.covers(old.applied))
        except TimeoutError:
            self._log.warning("the store went away while a model was swapped in")

    async def _go_live(self, running: Running) -> None:
        old, self._live = self.live_model, running
        new = running.view
        self._metrics.model_swapped(self.tenant, old, new.model_id)
        self._log.info("model live", model=new.model_id, revision=new.revision_text)
        await self._notify()
        self._on_serving()
