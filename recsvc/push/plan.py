"""The plan of a tenant: due leads ► candidates ► chance ► optimum, repair ► exploration ► reasons.

Only this file knows the order. Everything is synchronous and CPU only; the snapshot must not change
meanwhile. The same snapshot, configuration, time, history and seed give the same plan.
"""

from __future__ import annotations

import time
from collections.abc import Collection

import numpy as np

from recsvc.matching.pipeline import Pipeline
from recsvc.push.candidates import CandidateFinder, Candidates, Pushed
from recsvc.push.caps import Allowance, allowances
from recsvc.push.config import PushConfig
from recsvc.push.due import Due, due_leads
from recsvc.push.explore import draw_chance_leads, explore_plan
from recsvc.push.flow import Solver, solve_here
from recsvc.push.log import read_push_log
from recsvc.push.optimal import Ground, best_plan
from recsvc.push.outcome import Made, Part, outcome
from recsvc.push.spread import active_members
from recsvc.push.tasks import number_task
from recsvc.push.types import Plan, PushHistory, Source


def plan_pushes(
    pipeline: Pipeline,
    config: PushConfig,
    now_us: int,
    history: PushHistory,
    *,
    seed: int | None = None,
    only: Collection[str] | None = None,
    solver: Solver = solve_here,
) -> Plan:
    """The best plan for all open leads of the pipeline's tenant (`only`: for these ids).

    `seed` replaces the configured one. A service has a `solver` that does not hold it up. An id in
    `only` that is not an open lead is left out.
    """
    wanted = None if only is None else frozenset(only)
    chosen = config.seed if seed is None else seed
    return _plan(pipeline, config, now_us, history, chosen, wanted, solver)


def _plan(
    pipeline: Pipeline,
    config: PushConfig,
    now_us: int,
    history: PushHistory,
    seed: int,
    only: frozenset[str] | None,
    solver: Solver,
) -> Plan:
    began = time.perf_counter()
    snapshot = pipeline.snapshot
    log = read_push_log(snapshot, history)
    allowance = allowances(snapshot, config, now_us, log, history)
    due = due_leads(snapshot, config, now_us, log, history, only)
    free, pushed = (allowance.free > 0).astype(np.uint8), Pushed.of(log)
    finder = CandidateFinder(snapshot, now_us, free, pushed)
    found = finder.best(due.row, due.wanted, config.candidates)
    searched = time.perf_counter()
    rng = np.random.default_rng((seed, now_us))
    chance = _chance(due, found, allowance, rng)
    ground = Ground(
        due,
        ~due.by_chance,
        found,
        allowance,
        np.bincount(chance.pushed_members(), minlength=len(snapshot.members)).astype(np.int32),
        active_members(snapshot),
        config.busiest_share,
        config.worth.attention,
        seed,
        solver,
    )
    best = best_plan(ground, finder)
    task = best.numbered.task._replace(cap=best.caps)
    drawn = explore_plan(task, best.optimum.flow.chosen, config.explore, rng)
    main = Part(best.numbered, drawn, best.optimum, Source.OPTIMUM)
    solved = time.perf_counter()
    made = Made(
        snapshot, config, now_us, seed, due, found, (chance, main), allowance, finder, pushed
    )
    return outcome(made, searched - began, solved - searched)


def _chance(due: Due, found: Candidates, allowance: Allowance, rng: np.random.Generator) -> Part:
    """The leads that are left to chance, drawn before anything is chosen."""
    nothing = np.zeros(len(allowance.free), np.int32)
    numbered = number_task(found.pairs, due, due.by_chance, allowance, nothing, 0.0)
    leads = np.ones(len(numbered.due_at), bool)
    drawn, _ = draw_chance_leads(numbered.task, leads, rng)
    return Part(numbered, drawn, None, Source.EXPLORED)
