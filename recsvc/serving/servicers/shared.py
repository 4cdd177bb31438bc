"""What every servicer needs: the tenant's worker, the view that answers, known ids."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import grpc

from recsvc.convert import names
from recsvc.errors import NoModelError, NotFoundError, NotReadyError, UnknownLeadError
from recsvc.matching.pipeline import Pipeline
from recsvc.push.config import PushConfig
from recsvc.serving.arrivals import Arrivals
from recsvc.serving.attribution import AttributionCodec
from recsvc.serving.interceptors import Caller, current_call
from recsvc.serving.paging import PageTokens
from recsvc.serving.together import Together
from recsvc.serving.view import View
from recsvc.serving.worker import TenantWorker
from recsvc.store.codec import RecordKind
from recsvc.store.revision import Revision

Context = grpc.aio.ServicerContext[Any, Any]

_MARGIN_SECONDS = 0.05
"""Kept of a deadline, so that a refusal still reaches the caller."""


@dataclass(frozen=True)
class Service:
    """One process' parts, as the servicers use them."""

    workers: Mapping[str, TenantWorker]
    page_tokens: PageTokens
    attribution: Mapping[str, AttributionCodec]
    clock: Callable[[], int]
    default_diversity: float = 0.0
    max_wait_seconds: float = 5.0
    push_config: PushConfig = field(default_factory=PushConfig)
    holidays: frozenset[date] = frozenset()
    arrivals: Mapping[str, Arrivals] = field(default_factory=dict)
    together: Together = field(default_factory=Together)
    draining: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the worker is about to end: streams without end end then."""

    @property
    def caller(self) -> Caller:
        """Who makes the current call."""
        return current_call().caller

    def worker(self, name: str, field: str) -> TenantWorker:
        """The worker of the tenant that a name begins with; raises the errors of names."""
        tenant, call = names.tenant_of(name, field), current_call()
        call.caller.check_tenant(tenant, field)
        call.notes["tenant"] = tenant
        return self.workers[tenant]

    async def view(self, worker: TenantWorker, min_revision: str, context: Context) -> View:
        """The view to answer from; raises InvalidRevision-, RevisionNotReachedError."""
        live = worker.live
        if not min_revision and live is not None:
            return live
        minimum = Revision.parse(min_revision)
        return await worker.view_at(minimum, self.seconds_to_wait(context))

    async def newest(self, worker: TenantWorker, context: Context) -> View:
        """A view that holds everything written so far; raises StoreUnavailable."""
        latest = await worker.store.latest_revision(worker.tenant)
        return await worker.view_at(latest, self.seconds_to_wait(context), data_only=True)

    def seconds_to_wait(self, context: Context) -> float:
        """How long this call may wait."""
        remaining = context.time_remaining()
        if remaining is None:
            return self.max_wait_seconds
        return max(0.0, remaining - min(_MARGIN_SECONDS, 0.1 * remaining))


def name_missing(error: NotFoundError, member: str = "", lead: str = "", prefix: str = "") -> None:
    """Gives an error of the pipeline, which knows ids only, the name and its field."""
    is_lead = isinstance(error, UnknownLeadError)
    error.field = prefix + ("lead" if is_lead else "member")
    error.resource = lead if is_lead else member


def live_view(worker: TenantWorker) -> View:
    """The view of this moment; raises NotReadyError."""
    if worker.live is None:
        raise NotReadyError("the worker is starting: try again")
    return worker.live


def pipeline_of(view: View) -> Pipeline:
    """The view's pipeline; raises NoModelError."""
    if view.pipeline is None:
        raise NoModelError(
            "no model is active, so nothing can be ranked: train and publish one (recsvc train)"
        )
    return view.pipeline


async def known_ids(worker: TenantWorker, kind: RecordKind, ids: Iterable[str]) -> set[str]:
    """Those of `ids` that exist: in memory, or in the store, where another worker put them."""
    view = live_view(worker)
    wanted = set(ids)
    known = {i for i in wanted if view.catalog.has(kind, i)}
    missing = sorted(wanted - known)
    if missing:
        known |= set(await worker.store.get_many(worker.tenant, kind, missing))
    return known
