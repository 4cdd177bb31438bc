"""What a worker costs before its first request and while its model changes: start, memory, swap."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from benchmarks.hotpath.asking import Asker, sample
from benchmarks.hotpath.children import service
from benchmarks.hotpath.memory import MIB, memory_of, served_bytes, workers_of
from benchmarks.hotpath.rounds import Spread, closed_loop
from benchmarks.hotpath.worlds import SEED, TENANT, Step
from benchmarks.musts import Figure
from benchmarks.serving import ServingError
from benchmarks.small_model import variant
from recsvc.children import ending_with_parent
from recsvc.client import AsyncClient
from recsvc.model.registry import ModelRegistry
from recsvc.serving.orders import Order
from recsvc.serving.orders import Ready as WorkerReady
from recsvc.serving.processes import worker_environment
from recsvc.settings import Settings
from recsvc.store.embedded import EmbeddedValkey

_START_SECONDS = 120.0
_POLL_SECONDS = 0.05
_SWAP_CALLERS = 4


async def measure_start(models: Path, folder: Path, rounds: int, step: Step) -> list[Figure]:
    """From starting the process of a worker until it serves, with a bundle that lies ready."""
    settings = Settings(models_folder=models.resolve(), data_folder=folder / "data")
    valkey = EmbeddedValkey(folder / "valkey")
    await valkey.start()
    seconds = []
    try:
        for number in range(rounds):
            step(f"start {number + 1} of {rounds}")
            seconds.append(await _start_once(settings, valkey.url))
    finally:
        await valkey.stop()
    # The first start reads the bundle from disk and compiles what no cache has.
    spread = Spread.of(seconds[1:] or seconds)
    note = f"first start {seconds[0]:.2f} s"
    return [Figure("worker_start_seconds", spread.median, "s", spread.ends, note=note)]


async def _start_once(settings: Settings, store_url: str) -> float:
    order = Order(settings.model_dump_json(), store_url, "127.0.0.1:0", 0)
    begin = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *ending_with_parent(sys.executable, "-m", "recsvc.serving.worker_process"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=os.environ | worker_environment(""),
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(msgspec.json.encode(order) + b"\n")
    try:
        async with asyncio.timeout(_START_SECONDS):
            ready = msgspec.json.decode(await process.stdout.readline(), type=WorkerReady)
        seconds = time.perf_counter() - begin
        if not ready.models[TENANT]:
            raise ServingError("the worker serves no model")
    finally:
        process.terminate()
        await process.wait()
    return seconds


async def measure_memory(
    models: Path, folder: Path, seconds: float, step: Step, series: dict[str, Any]
) -> list[Figure]:
    """Private memory of workers that have answered for a while, above one without a model."""
    registry = ModelRegistry(models)
    bundle = registry.load(registry.published() or "")
    members = sample(bundle.member_ids.ids, 2_000, SEED)
    leads = sample(bundle.lead_ids.ids, 2_000, SEED)
    base = served_bytes(bundle)
    del bundle
    (folder / "none").mkdir()
    sizes: dict[str, list[int]] = {}
    shares: dict[str, list[int]] = {}
    for name, shelf, workers in (
        ("empty", folder / "none", 1),
        ("one", models, 1),
        ("two", models, 2),
    ):
        step(f"memory: {name}")
        async with service(folder / name, shelf, workers) as (process, address):
            if name != "empty":
                await _use(address, members, leads, workers, seconds)
            found = [memory_of(p) for p in workers_of(process)]
            sizes[name] = [m.private for m in found]
            shares[name] = [m.proportional for m in found]
    empty = sizes["empty"][0]
    told = (
        f"{base / MIB:,.0f} MiB of vectors, index and columns; empty worker {empty / MIB:,.0f} MiB"
    )
    one = sizes["one"][0] - empty
    second = min(sizes["two"]) - empty
    pss = max(shares["two"]) / MIB
    series["memory_mib"] = {
        "columns, vectors and index": base / MIB,
        "empty worker, private": empty / MIB,
        "one worker, private": sizes["one"][0] / MIB,
        "one of two, private": min(sizes["two"]) / MIB,
        "one of two, proportional": pss,
    }
    return [
        Figure("worker_memory", one / base, "", note=f"{one / MIB:,.0f} MiB above; {told}"),
        Figure(
            "second_worker_memory",
            second / base,
            "",
            note=f"{second / MIB:,.0f} MiB above; PSS of either at most {pss:,.0f} MiB",
        ),
    ]


async def _use(
    address: str, members: Sequence[str], leads: Sequence[str], workers: int, seconds: float
) -> None:
    """Questions of all kinds to every worker, so that pages that are needed are there."""
    askers = [Asker(address, members, leads) for _ in range(8 * workers)]
    for asker in askers:
        await asker.recommend()
        await asker.match()
        await closed_loop(asker.recommend, 1, seconds / len(askers))
        await asker.close()


async def measure_swap(
    models: Path, folder: Path, swaps: int, seconds: float, step: Step
) -> list[Figure]:
    """Latencies while another model is loaded and swapped in, beside those before it."""
    source = ModelRegistry(models)
    base = source.load(source.published() or "")
    shelf = ModelRegistry(folder / "models", TENANT)
    members = sample(base.member_ids.ids, 2_000, SEED)
    leads = sample(base.lead_ids.ids, 100, SEED)
    for number in reversed(range(swaps + 1)):
        step(f"swap: writing model {number}")
        shelf.publish(variant(base, f"model-{number}", number, new_vectors=False, seed=SEED))
    del base
    before: list[float] = []
    during: list[float] = []
    swap_seconds = []
    async with (
        service(folder / "service", folder / "models", 1, {"HEARTBEAT_SECONDS": "0.25"}) as (_, at),
        AsyncClient(at, tenant=TENANT) as observer,
    ):
        asker = Asker(at, members, leads)
        for number in range(1, swaps + 1):
            step(f"swap {number} of {swaps}")
            calm = await closed_loop(asker.recommend, _SWAP_CALLERS, seconds)
            before += calm.latency_seconds.tolist()
            begin = time.perf_counter()
            shelf.mark_published(f"model-{number}")
            swapping = asyncio.create_task(_until_served(observer, f"model-{number}"))
            while not swapping.done():
                busy = await closed_loop(asker.recommend, _SWAP_CALLERS, 0.05)
                during += busy.latency_seconds.tolist()
            swap_seconds.append(time.perf_counter() - begin)
        await asker.close()
    shutil.rmtree(folder / "models")
    calm_ms, busy_ms = (float(np.percentile(x, 99)) * 1_000 for x in (before, during))
    note = (
        f"p99 {calm_ms:.1f} ms before, {busy_ms:.1f} ms during; {len(during)} calls in "
        f"{swaps} swaps of {np.median(swap_seconds):.2f} s"
    )
    return [Figure("swap_p99", busy_ms / calm_ms, "of before", note=note)]


async def _until_served(observer: AsyncClient, model_id: str) -> None:
    while True:
        workers = (await observer.list_workers()).workers
        if workers and all(worker.model_id == model_id for worker in workers):
            return
        await asyncio.sleep(_POLL_SECONDS)
