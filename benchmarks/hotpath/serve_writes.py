"""Writes: how soon they are seen by whoever asks for them, and how fast leads stream in."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.hotpath.asking import sample
from benchmarks.hotpath.children import service
from benchmarks.hotpath.memory import cpu_seconds, workers_of
from benchmarks.hotpath.worlds import SEED, TENANT, Step
from benchmarks.musts import Figure
from features.entities import DismissReason, Event, EventKind, Lead, LeadState
from features.errors import RecsvcError
from recsvc.client import AsyncClient, Eligibility
from recsvc.model.bundle import Bundle
from recsvc.model.registry import ModelRegistry
from recsvc.store.codec import decode_entity

CONNECTIONS = 8
"""Enough that reads and writes meet different workers."""


class NotVisibleError(RecsvcError):
    """A write was acknowledged, and the reply that asked for it does not show it."""


async def measure_read_your_writes(
    models: Path, folder: Path, count: int, step: Step
) -> list[Figure]:
    """A reply that asks for the write just acknowledged, beside the same question without one.

    Every second write is a lead, the others dismiss one; each reply has to show its write.
    """
    registry = ModelRegistry(models)
    bundle = registry.load(registry.published() or "")
    # Whoever is not active is shown nothing.
    active = np.flatnonzero(bundle.members.active).tolist()
    members = sample([bundle.member_ids.ids[row] for row in active], count, SEED)
    source = _leads(bundle, count)
    after, calm = [], []
    async with service(folder / "service", models, 2) as (_, address):
        writer = AsyncClient(address, tenant=TENANT, connections=CONNECTIONS)
        reader = AsyncClient(address, tenant=TENANT, connections=CONNECTIONS)
        for number, (member, lead) in enumerate(zip(members, source, strict=True)):
            if number % 20 == 0:
                step(f"read your writes: {number} of {count}")
            wanted = await _write(writer, member, lead, number)
            reader.see(writer.revision)
            begin = time.perf_counter()
            found = await reader.recommend(member, eligibility=wanted)
            middle = time.perf_counter()
            await reader.recommend(member, eligibility=wanted)
            after.append(middle - begin)
            calm.append(time.perf_counter() - middle)
            shown = {item.lead_id for item in found}
            if (lead.lead_id in shown) != (number % 2 == 0):
                raise NotVisibleError(f"{lead.lead_id} for {member}: {shown}")
        await writer.close()
        await reader.close()
    with_ms, without_ms = (float(np.percentile(x, 99)) * 1_000 for x in (after, calm))
    note = f"p99 {with_ms:.2f} ms with the write to wait for, {without_ms:.2f} ms without; {count}"
    return [Figure("read_your_writes_p99_ms", with_ms - without_ms, "ms", note=f"{note} writes")]


async def _write(client: AsyncClient, member: str, lead: Lead, number: int) -> Eligibility:
    """Writes a lead; every second time dismisses it, too. The eligibility asks for it alone."""
    await client.update_lead(lead, create=True)
    if number % 2:
        now = time.time_ns() // 1_000
        event = Event(
            EventKind.DISMISSED, now, member, lead.lead_id, reason=DismissReason.NOT_MY_FIELD
        )
        await client.record([event])
    return Eligibility(candidate_ids=(lead.lead_id,))


async def measure_import(models: Path, folder: Path, count: int, step: Step) -> list[Figure]:
    """Leads of the world under new ids, streamed into a service with the embedded store."""
    registry = ModelRegistry(models)
    bundle = registry.load(registry.published() or "")
    leads = _leads(bundle, count)
    member = bundle.member_ids.ids[0]
    step(f"importing {len(leads):,} leads")
    async with (
        service(folder / "service", models) as (process, address),
        AsyncClient(address, tenant=TENANT) as client,
    ):
        await client.recommend(member)
        (worker,) = workers_of(process)
        begin, before = time.perf_counter(), cpu_seconds(worker)
        report = await client.import_leads(leads)
        acknowledged = time.perf_counter() - begin
        wanted = Eligibility(candidate_ids=(leads[-1].lead_id,))
        await client.within(120.0).recommend(member, eligibility=wanted)
        visible = time.perf_counter() - begin
        cpu_us = 1e6 * (cpu_seconds(worker) - before) / len(leads)
    if report.imported_count != len(leads):
        raise NotVisibleError(f"imported {report.imported_count} of {len(leads)}: {report.errors}")
    rate = len(leads) / acknowledged
    note = f"{len(leads):,} leads acknowledged; {len(leads) / visible:,.0f} leads/s until visible; "
    note += f"{cpu_us:.0f} µs of the worker's processor time a lead"
    return [Figure("import_leads_per_second", rate, "leads/s", note=note)]


def _leads(bundle: Bundle, count: int) -> Sequence[Lead]:
    """Open leads of the world with their texts, under new ids and without an organization, so that
    no jurisdiction hides them.
    """
    total = len(bundle.lead_ids)
    now = time.time_ns() // 1_000
    found = []
    for number in range(count):
        lead = decode_entity(Lead, bundle.lead_records[number % total])
        assert isinstance(lead, Lead), "a bundle holds no tombstones"
        found.append(
            replace(
                lead,
                lead_id=f"bench-{number:07}",
                author_id="",
                organization_id="",
                create_time_us=now,
                close_time_us=0,
                state=LeadState.OPEN,
                claim_capacity=None,
            )
        )
    return found
