"""Past decisions computed again: the model of then, the data of then.

A token names model, revision and time of a reply. The same state is built beside the live one from
the bundle and the change stream up to that revision; both have to be still there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing

from structlog.typing import FilteringBoundLogger

from recsvc.errors import BundleError, NotReplayableError
from recsvc.matching.pipeline import PipelineConfig
from recsvc.model.bundle import Bundle
from recsvc.model.registry import ModelRegistry
from recsvc.serving.attribution import Decision
from recsvc.serving.view import View
from recsvc.store.changes import changes_between
from recsvc.store.protocol import ChangeBatch, RevisionTrimmedError, Store
from recsvc.store.revision import NOTHING, Revision


class Replay:
    """Builds past views of one tenant, one at a time, and keeps the last one."""

    def __init__(
        self,
        tenant: str,
        store: Store,
        registry: ModelRegistry,
        log: FilteringBoundLogger,
        clock: Callable[[], int],
        config: PipelineConfig | None = None,
    ) -> None:
        self._tenant = tenant
        self._store = store
        self._registry = registry
        self._log = log
        self._clock = clock
        self._config = config
        self._turn = asyncio.Lock()
        self._last: tuple[tuple[str, Revision], View] | None = None

    async def view(self, decision: Decision) -> View:
        """The view a decision was made on; raises NotReplayableError, StoreUnavailable."""
        if decision.draft:
            raise NotReplayableError(
                "the decision was about a draft lead, which is not stored: match the draft again"
            )
        if not decision.whole_revision:
            raise NotReplayableError("the token does not hold the whole revision of its reply")
        key = (decision.model_version, decision.revision)
        async with self._turn:
            if self._last is None or self._last[0] != key:
                self._last = None  # never two of them in memory
                self._last = (key, await self._build(*key))
            return self._last[1]

    async def _build(self, model_id: str, revision: Revision) -> View:
        try:
            bundle = await asyncio.to_thread(self._registry.load, model_id)
        except BundleError as error:
            raise NotReplayableError(
                f"the model of that decision, {model_id}, is no longer kept"
            ) from error
        view = await asyncio.to_thread(self._new_view, bundle)
        try:
            found = changes_between(self._store, self._tenant, view.applied, revision)
            async with aclosing(found) as changes:
                async for part in changes:
                    await view.apply(ChangeBatch(tuple(part), NOTHING))
        except RevisionTrimmedError as error:
            raise NotReplayableError(
                "the changes up to that decision are no longer kept in the store"
            ) from error
        view.move_to(view.applied.merge(revision))
        view.serve_instead()
        return view

    def _new_view(self, bundle: Bundle) -> View:
        return View(self._tenant, bundle, None, self._log, self._clock, self._config)
