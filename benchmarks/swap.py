"""`python -m benchmarks swap`: models change under load. Does a request fail, or mix two models?

Two workers answer concurrent callers while one model after the other is published. Every model has
scores of its own and every third one vectors of its own, and each reply has to be exactly what the
model it names answers, computed beside the service. In between a damaged bundle and one of a newer
format are published: the old model must go on serving, and the workers must say what is wrong.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from benchmarks.options import JsonFile, Workers
from benchmarks.serving import ServiceProcess
from benchmarks.small_model import TENANT, small_bundle, variant
from benchmarks.swap_answers import Expected, expected_answers
from benchmarks.swap_load import BETWEEN, SWAPPING, Load
from benchmarks.swap_report import SwapReport
from benchmarks.verdict import conclude, count_bar, make_console, scratch_folder
from features.errors import RecsvcError
from recsvc.client import AsyncClient, RetryPolicy, Worker
from recsvc.model.bundle import FORMAT_VERSION, MANIFEST, Bundle
from recsvc.model.registry import ModelRegistry

CALLERS = 8
CONNECTIONS = 16
"""Enough that no worker is left without one: the system spreads them at random."""
ASKED = 60
"""Members and leads that are asked about."""
_NEW_VECTORS_EVERY = 3
_SWAP_SECONDS = 120.0
_POLL_SECONDS = 0.05
_SETTINGS = {"HEARTBEAT_SECONDS": "0.25", "LOG_LEVEL": "warning"}

app = typer.Typer(help="Does changing models under load fail a request, or mix two models?")


class SwapError(RecsvcError):
    """A model that was published is not served, or one that must not be is."""


class SwapTest:
    """A run in `folder` with models made from `base`; call `prepare`, then `run`."""

    def __init__(
        self, folder: Path, base: Bundle, *, bundles: int = 10, workers: int = 2, seed: int = 0
    ) -> None:
        self._shelf = ModelRegistry(folder / "shelf", TENANT)
        self._registry = ModelRegistry(folder / "models", TENANT)
        self._service = ServiceProcess(folder, folder / "models", workers, _SETTINGS)
        self._workers = workers
        self._seed = seed
        self._as_of_us = time.time_ns() // 1_000
        self._order = [f"model-{i:02}" for i in range(bundles + 1)]
        for i, model_id in enumerate(self._order):
            new_vectors = i % _NEW_VECTORS_EVERY == 1
            made = variant(base, model_id, i, new_vectors=new_vectors, seed=seed)
            self._shelf.publish(made)

    def prepare(self) -> Expected:
        """Answers of all models; raises SwapError when two cannot be told apart."""
        bundles = [self._shelf.load(model_id) for model_id in self._order]
        members, leads = bundles[0].member_ids.ids[:ASKED], bundles[0].lead_ids.ids[:ASKED]
        expected = expected_answers(bundles, members, leads, self._as_of_us)
        different = sum(expected.differences(a, b) > 0 for a, b in pairwise(self._order))
        if different < 2:
            raise SwapError(f"only {different} of the models rank differently")
        return expected

    async def run(
        self, expected: Expected, requests: int, on_count: Callable[[int], None]
    ) -> SwapReport:
        """All swaps, and at least so many requests."""
        self._publish(self._order[0])
        ready = await self._service.start()
        try:
            async with (
                AsyncClient(
                    ready.address,
                    tenant=TENANT,
                    connections=CONNECTIONS,
                    retry=RetryPolicy(attempts=1),
                ) as caller,
                AsyncClient(ready.address, tenant=TENANT, connections=2) as observer,
            ):
                load = Load(caller, expected, self._order, self._as_of_us, self._seed)
                report = SwapReport(load.tally)
                asking = asyncio.create_task(load.run(CALLERS))
                counting = asyncio.create_task(_count(load, on_count))
                await self._swap_all(load, observer, requests, report)
                load.stop()
                await asking
                counting.cancel()
            await self._service.stop()
        finally:
            await self._service.kill()
        return report

    async def _swap_all(
        self, load: Load, observer: AsyncClient, requests: int, report: SwapReport
    ) -> None:
        await self._until_all(observer, _serves(self._order[0]))
        swaps = self._order[1:]
        pace = requests // (len(swaps) + 2)
        broken = {len(swaps) // 3: self._damaged, 2 * len(swaps) // 3: self._newer}
        await load.until(2 * pace)
        for i, model_id in enumerate(swaps):
            if i in broken:
                await self._publish_broken(broken[i], observer, report)
            load.phase, begin = SWAPPING, time.perf_counter()
            await asyncio.to_thread(self._publish, model_id)
            await self._until_all(observer, _serves(model_id))
            report.swap_seconds.append(time.perf_counter() - begin)
            load.phase, load.oldest = BETWEEN, model_id
            await load.until((i + 3) * pace)
        await load.until(requests)

    async def _publish_broken(
        self, make: Callable[[], str], observer: AsyncClient, report: SwapReport
    ) -> None:
        """Publishes a bundle that cannot be used, and waits until all workers say so."""
        before = {w.model_id for w in (await observer.list_workers()).workers}
        model_id = await asyncio.to_thread(make)
        workers = await self._until_all(observer, lambda w: model_id in w.problem)
        report.problems[model_id] = workers[0].problem
        if {w.model_id for w in workers} != before or not all(w.serving for w in workers):
            raise SwapError(f"{model_id} changed what is served: {workers}")

    def _publish(self, model_id: str) -> None:
        self._registry.publish(self._shelf.load(model_id))

    def _damaged(self) -> str:
        """A published bundle with one flipped bit."""
        path = self._copy("damaged") / "leads" / "vector.npy"
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
        self._registry.mark_published("damaged")
        return "damaged"

    def _newer(self) -> str:
        """A published bundle of a format that only later releases know."""
        path = self._copy("newer") / MANIFEST
        manifest = msgspec.json.decode(path.read_bytes())
        path.write_bytes(msgspec.json.encode(manifest | {"format_version": FORMAT_VERSION + 98}))
        self._registry.mark_published("newer")
        return "newer"

    def _copy(self, model_id: str) -> Path:
        target = self._registry.folder / model_id
        shutil.copytree(self._shelf.folder / self._order[0], target)
        return target

    async def _until_all(
        self, observer: AsyncClient, wanted: Callable[[Worker], bool]
    ) -> Sequence[Worker]:
        """The workers, once all of them are as wanted; raises SwapError when they stay not."""
        deadline = time.monotonic() + _SWAP_SECONDS
        while True:
            workers = (await observer.list_workers()).workers
            if len(workers) == self._workers and all(map(wanted, workers)):
                return workers
            if time.monotonic() > deadline:
                raise SwapError(f"not served by all workers: {workers}\n{self._service.log_end()}")
            await asyncio.sleep(_POLL_SECONDS)


def _serves(model_id: str) -> Callable[[Worker], bool]:
    return lambda worker: worker.model_id == model_id


async def _count(load: Load, on_count: Callable[[int], None]) -> None:
    while True:
        on_count(load.tally.count)
        await asyncio.sleep(0.2)


@app.command("swap")
def swap(
    requests: Annotated[int, typer.Option(min=100, help="At least so many requests.")] = 10_000,
    bundles: Annotated[int, typer.Option(min=3, help="Models published meanwhile.")] = 10,
    workers: Workers = 2,
    seed: Annotated[int, typer.Option(min=0, help="Of the models and the questions.")] = 0,
    json_file: JsonFile = None,
) -> None:
    """Publishes models while many callers ask, and compares every reply with its model's answer.

    Exits with 1 when a request failed or a reply was not wholly of the model it names; the folder
    with the models and the log is kept then.

    Example: python -m benchmarks swap --requests 2000 --bundles 4
    """
    console = make_console()
    with scratch_folder(console, "recsvc-swap-") as folder:
        with count_bar(console) as progress:
            task = progress.add_task("making models", total=requests)
            base = small_bundle("base", seed)
            test = SwapTest(folder, base, bundles=bundles, workers=workers, seed=seed)
            expected = test.prepare()
            progress.update(task, description=f"requests, while {bundles} models are published")

            def on_count(count: int) -> None:
                progress.update(task, completed=min(count, requests))

            report = asyncio.run(test.run(expected, requests, on_count))
        conclude(console, report, json_file)
