"""Pictures of a comparison: what each policy got, and when."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.push.compare import Comparison
from benchmarks.push.simulate import HORIZON_DAYS
from features.errors import DataError

_BARS = ("leads claimed", "coverage", "days to claim", "busiest 1 % of members")


def plot(comparison: Comparison, file: Path) -> None:
    """Writes an SVG (or whatever the file's ending says); raises DataError without matplotlib."""
    try:
        import matplotlib
    except ImportError as error:
        raise DataError("plots need matplotlib: pip install 'recsvc[dev]'") from error
    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 3, figsize=(15, 8), layout="constrained")
    panels = axes.ravel()
    for panel, name in zip(panels, _BARS, strict=False):
        _bars(panel, comparison, name)
    _waits(panels[4], comparison)
    _loads(panels[5], comparison)
    figure.savefig(file)
    pyplot.close(figure)


def _bars(panel: Any, comparison: Comparison, name: str) -> None:
    names = [arm.name for arm in comparison.arms]
    found = [comparison.figure(arm, name) for arm in names]
    means = np.array([interval.mean for interval in found])
    reach = np.nan_to_num([interval.high - interval.mean for interval in found])
    panel.bar(names, means, yerr=reach, capsize=4)
    panel.set_title(name)
    panel.tick_params(axis="x", rotation=20)


def _waits(panel: Any, comparison: Comparison) -> None:
    days = np.linspace(0, HORIZON_DAYS - 1e-9, 200)
    for arm in comparison.arms:
        waits = np.concatenate([run.wait_days for run in comparison.played[arm.name]])
        panel.plot(days, [(waits <= day).mean() for day in days], label=arm.name)
    panel.set_title("share of leads claimed, by days since they were raised")
    panel.set_xlabel("days")
    panel.legend()


def _loads(panel: Any, comparison: Comparison) -> None:
    for arm in comparison.arms:
        loads = np.concatenate([run.member_pushes for run in comparison.played[arm.name]])
        ordered = np.sort(loads)[::-1]
        share = np.cumsum(ordered) / max(int(ordered.sum()), 1)
        panel.plot(np.arange(1, len(share) + 1) / len(share), share, label=arm.name)
    panel.set_xscale("log")
    panel.set_title("share of pushes, by the busiest share of members")
    panel.set_xlabel("busiest share of members")
    panel.legend()
