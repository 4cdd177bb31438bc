"""Several policies on several stages: figures with intervals over seeds, side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.table import Table
from scipy.stats import t as student

from benchmarks.push.policies import POLICIES
from benchmarks.push.simulate import Played, play
from benchmarks.push.stage import Stage
from recsvc.push.config import PushConfig

PLANNED = "planned"


@dataclass(frozen=True)
class Arm:
    """A policy with its configuration, under a name."""

    name: str
    policy: str
    config: PushConfig


@dataclass(frozen=True)
class Interval:
    """A mean over seeds with its 95 % interval (Student's t); one seed has no interval."""

    mean: float
    low: float
    high: float

    @staticmethod
    def of(values: Sequence[float]) -> Interval:
        """Of one value a seed."""
        mean = float(np.mean(values))
        if len(values) < 2:
            return Interval(mean, float("nan"), float("nan"))
        error = float(np.std(values, ddof=1) / np.sqrt(len(values)))
        reach = float(student.ppf(0.975, len(values) - 1)) * error
        return Interval(mean, mean - reach, mean + reach)

    def __str__(self) -> str:
        if np.isnan(self.low):
            return f"{self.mean:,.3g}" if abs(self.mean) < 1000 else f"{self.mean:,.0f}"
        digits = ",.0f" if abs(self.mean) >= 1000 else ",.3g"
        return f"{self.mean:{digits}} [{self.low:{digits}}, {self.high:{digits}}]"


@dataclass(frozen=True)
class Comparison:
    """What every arm got on every seed. The first arm says how much the others may push."""

    arms: tuple[Arm, ...]
    seeds: tuple[int, ...]
    played: dict[str, tuple[Played, ...]]  # by arm, in the order of the seeds

    def figure(self, arm: str, name: str) -> Interval:
        """One figure of one arm."""
        return Interval.of([run.figures()[name] for run in self.played[arm]])

    def ratio(self, arm: str, other: str, name: str) -> Interval:
        """An arm's figure by another's, seed by seed."""
        mine, theirs = self.played[arm], self.played[other]
        values = [
            a.figures()[name] / max(b.figures()[name], 1e-12)
            for a, b in zip(mine, theirs, strict=True)
        ]
        return Interval.of(values)

    def as_json(self) -> dict[str, Any]:
        """Every figure of every run."""
        return {
            "seeds": list(self.seeds),
            "arms": {
                arm.name: {
                    "policy": arm.policy,
                    "runs": [run.figures() for run in self.played[arm.name]],
                    "pushes_by_day": [run.pushes_by_day for run in self.played[arm.name]],
                }
                for arm in self.arms
            },
        }

    def render(self) -> Table:
        """Arms side by side."""
        seeds = f"{len(self.seeds)} seed" + ("s" if len(self.seeds) > 1 else "")
        table = Table(title=f"Push policies on the simulated province, {seeds}")
        table.add_column("figure (95 % interval over seeds)")
        for arm in self.arms:
            table.add_column(arm.name, justify="right")
        first = self.played[self.arms[0].name][0]
        for name in first.figures():
            table.add_row(name, *(str(self.figure(arm.name, name)) for arm in self.arms))
        base = self.arms[0].name
        for arm in self.arms[1:]:
            ratio = str(self.ratio(base, arm.name, "leads claimed"))
            cells = [ratio if other is arm else "" for other in self.arms]
            table.add_row(f"leads claimed, {base} / {arm.name}", *cells)
        return table


def compare(
    stages: Sequence[tuple[int, Stage]],
    arms: Sequence[Arm],
    progress: Callable[[str, int], None] = lambda _name, _day: None,
) -> Comparison:
    """Plays every arm on every stage (seed, stage).

    All arms after the first push as much as the first did on the same day.
    """
    played: dict[str, list[Played]] = {arm.name: [] for arm in arms}
    for seed, stage in stages:
        budget: tuple[int, ...] | None = None
        for arm in arms:
            label = f"seed {seed}, {arm.name}"
            run = play(
                stage,
                POLICIES[arm.policy],
                arm.config,
                seed,
                budget,
                lambda day, label=label: progress(label, day),  # type: ignore[misc]
            )
            played[arm.name].append(run)
            budget = run.pushes_by_day if budget is None else budget
    seeds = tuple(seed for seed, _ in stages)
    return Comparison(tuple(arms), seeds, {k: tuple(v) for k, v in played.items()})
