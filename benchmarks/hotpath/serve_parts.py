"""The parts of `python -m benchmarks serve`, each of which can be measured alone."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from benchmarks.hotpath.als import factors_file
from benchmarks.hotpath.grown import grown_models
from benchmarks.hotpath.growth import measure_growth
from benchmarks.hotpath.instructions import can_count, measure_instructions
from benchmarks.hotpath.outcome import Outcome
from benchmarks.hotpath.restricted import measure_restricted
from benchmarks.hotpath.serve_life import measure_memory, measure_start, measure_swap
from benchmarks.hotpath.serve_load import measure_kill, measure_load
from benchmarks.hotpath.serve_overload import measure_overload
from benchmarks.hotpath.serve_rank import RankPlan, measure_ranking
from benchmarks.hotpath.serve_writes import measure_import, measure_read_your_writes
from benchmarks.hotpath.stages import measure_stages
from benchmarks.hotpath.worlds import Step, World


class Part(StrEnum):
    """What can be measured alone."""

    rank = "rank"
    million = "million"
    country = "country"
    stages = "stages"
    growth = "growth"
    instructions = "instructions"
    memory = "memory"
    start = "start"
    writes = "writes"
    imports = "imports"
    swap = "swap"
    load = "load"
    overload = "overload"
    kill = "kill"


QUICK_PARTS = (Part.rank, Part.stages, Part.writes, Part.imports, Part.load, Part.kill)
"""What a minute is enough for."""


@dataclass(frozen=True)
class Plan:
    """How long and on what. `million` and `country` are how many leads and members the grown
    worlds have.
    """

    world: World
    rounds: int
    seconds: float
    load_seconds: float
    million: int
    country: int
    quick: bool
    folder: Path
    outcome: Outcome
    step: Step

    @property
    def models(self) -> Path:
        """The folder with the province's bundle."""
        return self.world.models


async def _rank(plan: Plan) -> None:
    told = RankPlan(
        "",
        plan.models,
        ("recommend", "match", "batch"),
        plan.rounds,
        plan.seconds,
        peer=factors_file(plan.world.data, plan.world.folder / "factors.npz"),
        truth=plan.world.truth(),
    )
    plan.outcome.add(await measure_ranking(told, plan.folder, plan.step))


async def _million(plan: Plan) -> None:
    """Two services at once: the cost of a request in one is compared with that in the other."""
    models = grown_models(plan.world, plan.world.size.members, plan.million, plan.step)
    told = RankPlan(
        "million_", models, ("recommend",), plan.rounds, plan.seconds, smaller=plan.models
    )
    plan.outcome.add(await measure_ranking(told, plan.folder, plan.step))


async def _country(plan: Plan) -> None:
    models = grown_models(plan.world, plan.country, plan.world.size.leads, plan.step)
    told = RankPlan("country_", models, ("match",), plan.rounds, plan.seconds, listed=True)
    plan.outcome.add(await measure_ranking(told, plan.folder, plan.step))


async def _stages(plan: Plan) -> None:
    count = 50 if plan.quick else 1_000
    bundle = plan.world.bundle()
    plan.outcome.add(measure_stages(bundle, count, plan.step, plan.outcome.series))
    plan.outcome.add(measure_restricted(bundle, min(count, 200), plan.step))


async def _growth(plan: Plan) -> None:
    factors = (1, 2) if plan.quick else (1, 3, 10)
    found = measure_growth(
        plan.world.bundle(), factors, os.cpu_count() or 1, plan.step, plan.outcome.series
    )
    plan.outcome.add(found)


async def _instructions(plan: Plan) -> None:
    if can_count():
        plan.outcome.add(await measure_instructions(plan.models, plan.folder, plan.step))


async def _memory(plan: Plan) -> None:
    seconds = 2 * plan.seconds
    series = plan.outcome.series
    plan.outcome.add(await measure_memory(plan.models, plan.folder, seconds, plan.step, series))


async def _start(plan: Plan) -> None:
    plan.outcome.add(await measure_start(plan.models, plan.folder, plan.rounds + 1, plan.step))


async def _writes(plan: Plan) -> None:
    count = 40 if plan.quick else 1_000
    plan.outcome.add(await measure_read_your_writes(plan.models, plan.folder, count, plan.step))


async def _imports(plan: Plan) -> None:
    count = 1_000 if plan.quick else 20_000
    plan.outcome.add(await measure_import(plan.models, plan.folder, count, plan.step))


async def _swap(plan: Plan) -> None:
    swaps = 2 if plan.quick else 5
    found = await measure_swap(plan.models, plan.folder, swaps, plan.seconds, plan.step)
    plan.outcome.add(found)


async def _load(plan: Plan) -> None:
    seconds = 5.0 if plan.quick else plan.load_seconds
    series = plan.outcome.series
    plan.outcome.add(await measure_load(plan.models, plan.folder, seconds, plan.step, series))


async def _overload(plan: Plan) -> None:
    seconds = 2.0 if plan.quick else 10.0
    plan.outcome.add(await measure_overload(plan.models, plan.folder, seconds, plan.step))


async def _kill(plan: Plan) -> None:
    seconds = 6.0 if plan.quick else 15.0
    plan.outcome.add(await measure_kill(plan.models, plan.folder, seconds, plan.step))


PARTS: dict[Part, Callable[[Plan], Coroutine[None, None, None]]] = {
    Part.rank: _rank,
    Part.million: _million,
    Part.country: _country,
    Part.stages: _stages,
    Part.growth: _growth,
    Part.instructions: _instructions,
    Part.memory: _memory,
    Part.start: _start,
    Part.writes: _writes,
    Part.imports: _imports,
    Part.swap: _swap,
    Part.load: _load,
    Part.overload: _overload,
    Part.kill: _kill,
}
