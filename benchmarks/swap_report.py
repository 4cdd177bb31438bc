"""What a swap test found, as a table and as JSON."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from rich.table import Table

from benchmarks.swap_load import BEFORE, BETWEEN, SWAPPING, Tally

_MOST_SHOWN = 10


@dataclass
class SwapReport:
    """Figures of a run; `failures` says in words what must not have been."""

    tally: Tally
    swap_seconds: list[float] = field(default_factory=list)
    """From publishing a model until every worker serves it."""
    problems: dict[str, str] = field(default_factory=dict)
    """What the workers say of a bundle that cannot be used."""

    @property
    def failures(self) -> list[str]:
        """Empty when no request failed, mixed models or was answered by one that was gone."""
        tally = self.tally
        found = [f"failed: {text}" for text in tally.failed]
        found += [f"mixed: {text}" for text in tally.mixed]
        return found + [f"outdated: {text}" for text in tally.outdated]

    def as_json(self) -> dict[str, Any]:
        """The figures; latencies in milliseconds."""
        tally = self.tally
        return {
            "requests": tally.count,
            "failed": len(tally.failed),
            "mixed": len(tally.mixed),
            "outdated": len(tally.outdated),
            "models_that_answered": len(tally.models),
            "swaps": len(self.swap_seconds),
            "swap_seconds_median": statistics.median(self.swap_seconds),
            "swap_seconds_max": max(self.swap_seconds),
            "latency_ms": {
                phase: {
                    "requests": len(tally.seconds[phase]),
                    "p50": _percentile_ms(tally.seconds[phase], 50),
                    "p99": _percentile_ms(tally.seconds[phase], 99),
                    "max": _percentile_ms(tally.seconds[phase], 100),
                }
                for phase in (BEFORE, SWAPPING, BETWEEN)
                if tally.seconds[phase]
            },
            "problems": self.problems,
            "failures": self.failures,
        }

    def render(self) -> Table:
        """The summary table."""
        told = self.as_json()
        table = Table(title="Models changed under load", show_header=False)
        table.add_column("what")
        table.add_column("found", overflow="fold")
        for what, value in (
            ("requests", f"{told['requests']:,}"),
            ("failed", f"{told['failed']}"),
            ("not what the named model answers", f"{told['mixed']}"),
            ("of a model no worker served any more", f"{told['outdated']}"),
            ("swaps, models that answered", f"{told['swaps']}, {told['models_that_answered']}"),
            (
                "from published to served by all",
                f"{told['swap_seconds_median']:.2f} s median, {told['swap_seconds_max']:.2f} s "
                "at most",
            ),
            *(
                (
                    f"latency {phase}",
                    f"p50 {at['p50']:.1f} ms, p99 {at['p99']:.1f} ms, at most {at['max']:.1f} ms "
                    f"({at['requests']:,} requests)",
                )
                for phase, at in told["latency_ms"].items()
            ),
            *((f"refused: {name}", text) for name, text in self.problems.items()),
            *(("FAILED", text) for text in self.failures[:_MOST_SHOWN]),
        ):
            table.add_row(what, value)
        return table


def _percentile_ms(seconds: list[float], percent: float) -> float:
    return float(np.percentile(seconds, percent)) * 1_000
