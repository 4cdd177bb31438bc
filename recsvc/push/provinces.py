"""Plans of several tenants at once: one problem a tenant, one process each, nothing in common."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from recsvc.errors import BundleMissingError
from recsvc.matching.pipeline import Pipeline
from recsvc.model.registry import ModelRegistry
from recsvc.model.snapshot import Snapshot
from recsvc.push.config import PushConfig
from recsvc.push.plan import plan_pushes
from recsvc.push.types import Plan, PushHistory


def plan_published(
    models: Path,
    tenant: str,
    config: PushConfig,
    now_us: int,
    history: PushHistory | None = None,
    only: Sequence[str] | None = None,
) -> Plan:
    """The plan of a tenant's published model, as far as the model's own log and catalogue know.

    Raises BundleError.
    """
    registry = ModelRegistry(models, tenant)
    published = registry.published()
    if published is None:
        raise BundleMissingError(registry.folder)
    snapshot = Snapshot(registry.load(published))
    pipeline = Pipeline(snapshot, clock=lambda: now_us)
    return plan_pushes(pipeline, config, now_us, history or PushHistory(), only=only)


def plan_tenants(
    models: Path,
    tenants: Sequence[str],
    config: PushConfig,
    now_us: int,
    processes: int | None = None,
) -> dict[str, Plan]:
    """The plans of several tenants, `processes` (default: one a core) at a time."""
    count = min(len(tenants), processes or os.cpu_count() or 1)
    if count <= 1:
        return {tenant: plan_published(models, tenant, config, now_us) for tenant in tenants}
    # Not forked: neither OR-Tools' nor BLAS' threads survive that.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, mp_context=context) as pool:
        waiting = {
            tenant: pool.submit(plan_published, models, tenant, config, now_us)
            for tenant in tenants
        }
        return {tenant: future.result() for tenant, future in waiting.items()}
