"""Which model a worker should serve: the activation records, and what is newly published.

The last activation record in the store is in force. A bundle that is published after it is prepared
by every worker, then activated by the first that is ready, so that the others are ready when they
hear of it. Without a store, the published bundle is as good as it gets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Protocol

from structlog.typing import FilteringBoundLogger

from recsvc.errors import BundleError
from recsvc.model.registry import PUBLISHED, ModelRegistry
from recsvc.serving.activations import in_force
from recsvc.serving.metrics import Metrics
from recsvc.store.protocol import Activation, Store, StoreUnavailable
from recsvc.store.revision import Revision

_LEASE_SECONDS = 10.0
_SAME_MOMENT_US = 1_000_000
"""File times are coarse: a bundle published in the second of an activation counts as later."""


class Stage(Protocol):
    """Where models are put: the worker."""

    @property
    def live_model(self) -> str: ...
    async def prepare(self, model_id: str, *, gently: bool = False) -> bool: ...
    async def swap_in(self, model_id: str) -> None: ...
    async def stand_in(self) -> None: ...


class ModelWatch:
    """Follows activations and the models folder of one tenant."""

    def __init__(
        self,
        tenant: str,
        owner: str,
        store: Store,
        registry: ModelRegistry,
        metrics: Metrics,
        log: FilteringBoundLogger,
        clock: Callable[[], int],
        poll_seconds: float,
    ) -> None:
        self.wanted: str | None = None  # the model in force; None: to be read from the store
        self._tenant = tenant
        self._owner = owner
        self._store = store
        self._registry = registry
        self._metrics = metrics
        self._log = log
        self._clock = clock
        self._poll_seconds = poll_seconds
        self._poke = asyncio.Event()
        self._considered = ""  # the last published bundle that was looked at
        self._refused: dict[str, str] = {}
        self._task: asyncio.Task[None] | None = None
        self._records = 0  # activations seen or written

    @property
    def problem(self) -> str:
        """Why the model in force, or the published one, is not served; "" when it is."""
        return self._refused.get(self.wanted or "") or self._refused.get(self._considered, "")

    def problem_of(self, model_id: str) -> str:
        """Why this model could not be used when it was last tried, "" when it could."""
        return self._refused.get(model_id, "")

    def refuse(self, model_id: str, error: Exception) -> None:
        """Notes that a bundle cannot be used; it is not tried again before `poke(retry=True)`."""
        self._refused[model_id] = str(error)
        self._metrics.model_refused(self._tenant)
        if isinstance(error, BundleError):
            self._log.error("model refused", model=model_id, problem=str(error))
        else:
            self._log.error("model refused", model=model_id, exc_info=error)

    def start(self, stage: Stage) -> None:
        """Begins to watch."""
        self._task = asyncio.create_task(self._watch(stage), name=f"models of {self._tenant}")

    async def stop(self) -> None:
        """Ends it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def poke(self, retry: bool = False) -> None:
        """Looks now; `retry` also at models that were refused before (SIGHUP)."""
        if retry:
            self._refused.clear()
            self._considered = ""
        self._poke.set()

    def activation_seen(self) -> None:
        """A record was added: which model is in force has to be read again."""
        self._records += 1
        self.wanted = None
        self.poke()

    async def read_in_force(self) -> None:
        """Learns which model is in force; raises StoreUnavailable."""
        while True:
            records = self._records
            found = in_force(await self._store.activations(self._tenant))
            if records == self._records:  # else one came while these were on their way
                self.wanted = found
                return

    async def candidates(self) -> list[str]:
        """Models to try at start, best first: in force, then published, then older ones."""
        published = await asyncio.to_thread(self._registry.published)
        known = await asyncio.to_thread(self._registry.models)
        older = [m.model_id for m in reversed(known) if m.manifest is not None]
        first = [m for m in (self.wanted, published) if m]
        return list(dict.fromkeys(first + older)) if first else []

    async def activate(self, model_id: str, actor: str, reason: str) -> Revision:
        """Writes the activation record of a model; raises StoreUnavailable."""
        activation = Activation(model_id, self._clock(), actor, reason)
        revision = await self._store.activate(self._tenant, activation)
        self._refused.pop(model_id, None)
        self._records += 1
        self.wanted = model_id
        self.poke()
        return revision

    async def _watch(self, stage: Stage) -> None:
        while True:
            try:
                await self._look(stage)
            except StoreUnavailable:
                await self._look_without_store(stage)
            except Exception:  # noqa: BLE001 - the model that is live goes on serving
                self._log.exception("looking for models failed")
            try:
                async with asyncio.timeout(self._poll_seconds):
                    await self._poke.wait()
            except TimeoutError:
                continue
            self._poke.clear()

    async def _look(self, stage: Stage) -> None:
        await self._consider_published(stage)
        if self.wanted is None:
            await self.read_in_force()
        wanted = self.wanted
        if not wanted or wanted == stage.live_model:
            return
        if wanted not in self._refused and await stage.prepare(wanted):
            await stage.swap_in(wanted)
        else:
            await stage.stand_in()

    async def _look_without_store(self, stage: Stage) -> None:
        published = self._registry.published()
        if stage.live_model or not published or published in self._refused:
            return
        if await stage.prepare(published):
            await stage.swap_in(published)

    async def _consider_published(self, stage: Stage) -> None:
        """Activates a bundle that was published after the last activation, once it is ready."""
        published = self._registry.published()
        if not published or published == self._considered:
            return
        activations = await self._store.activations(self._tenant)
        is_new = published not in {a.model_version for a in activations}
        last_us = activations[-1].time_us - _SAME_MOMENT_US if activations else 0
        is_due = is_new and self._published_time_us() > last_us
        if is_due and await stage.prepare(published, gently=True):
            lease = f"activate {published}"
            token = await self._store.acquire_lease(
                self._tenant, lease, self._owner, _LEASE_SECONDS
            )
            if token is None:
                return  # another worker is at it: look again
            again = await self._store.activations(self._tenant)
            if published not in {a.model_version for a in again}:
                await self.activate(published, "publisher", "published")
                self._log.info("model activated", model=published)
            await self._store.release_lease(self._tenant, lease, token)
        self._considered = published

    def _published_time_us(self) -> int:
        modified = (self._registry.folder / PUBLISHED).stat().st_mtime
        return int(timedelta(seconds=modified) / timedelta(microseconds=1))
