"""The plots of the report as SVG: recall against latency, stages, growth, memory, training."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

Series = Mapping[str, Any]
_SERVED, _OTHERS = "#b3261e", ("#3b6ea5", "#1a7f37", "#7d5ba6", "#7f8c8d", "#c98a00")
_WIDE = (10.0, 3.4)


def plots(series: Series) -> list[tuple[str, str]]:
    """(title, SVG) of everything that the series of one command can show."""
    found = []
    for name in sorted(series):
        for begin, title, draw in _KINDS:
            if name.startswith(begin) or name.endswith(begin):
                found.append((f"{title}: {name}", draw(series[name])))
                break
    return found


def _recall(points: Sequence[Mapping[str, Any]]) -> str:
    """One panel a share of eligible leads; a line joins the knobs of one kind of index."""
    shares = sorted({p["share"] for p in points}, reverse=True)
    figure, panels = _panels(len(shares))
    for axes, share in zip(panels, shares, strict=True):
        here = [p for p in points if p["share"] == share]
        for place, (family, group) in enumerate(groupby(here, key=lambda p: _family(p["kind"]))):
            knobs = list(group)
            axes.plot(
                [p["p50_us"] for p in knobs],
                [p["recall"] for p in knobs],
                marker="*" if family == "served" else "o",
                markersize=11 if family == "served" else 5,
                color=_SERVED if family == "served" else _OTHERS[place % len(_OTHERS)],
                label=family,
            )
        axes.set(xscale="log", xlabel="median, µs", title=f"{share:.1%} eligible")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_ylim(top=1.02)
    panels[0].set_ylabel("recall@50")
    panels[0].legend(fontsize=8)
    return svg(figure)


def _family(kind: str) -> str:
    """The kind without its knob: of "faiss_ivf100_probes8" the lists stay, the probes go."""
    return kind.rsplit("_", 1)[0] if kind.startswith("faiss_") and kind.count("_") > 1 else kind


def _stages(seconds: Mapping[str, Sequence[float]]) -> str:
    """Every stage's distribution: quartiles, whiskers to the 1st and 99th percentile."""
    figure, (axes,) = _panels(1)
    axes.boxplot(list(seconds.values()), whis=(1, 99), sym="", orientation="horizontal")
    axes.set_yticks(range(1, len(seconds) + 1), list(seconds))
    axes.set(xscale="log", xlabel="µs, box: quartiles, whiskers: 1 % and 99 %")
    return svg(figure)


def _growth(points: Sequence[Mapping[str, Any]]) -> str:
    figure, panels = _panels(2)
    grows = (("recommend", "leads"), ("match", "members"))
    for axes, (kind, what) in zip(panels, grows, strict=True):
        for listed, label, color in ((True, "short lists", _SERVED), (False, "none", _OTHERS[0])):
            here = [p for p in points if (p["kind"], p.get("listed", True)) == (kind, listed)]
            took = [p["us"] for p in here]
            axes.plot([p[what] for p in here], took, marker="o", color=color, label=label)
        axes.set(xscale="log", xlabel=what, title=kind, ylabel="median in process, µs")
        axes.set_ylim(bottom=0)
        axes.legend(fontsize=8)
    return svg(figure)


def _load(found: Mapping[str, Sequence[float]]) -> str:
    figure, (latency, memory) = _panels(2)
    latency.plot(found["p99_ms_by_tenth"], marker="o", color=_SERVED)
    latency.set(xlabel="tenth of the time", ylabel="p99, ms")
    memory.plot(found["private_mib"], color=_OTHERS[0])
    memory.set(xlabel="sixtieth of the time", ylabel="private memory, MiB")
    for axes in (latency, memory):
        axes.set_ylim(bottom=0)
    return svg(figure)


def _bars(values: Mapping[str, float]) -> str:
    figure, (axes,) = _panels(1)
    axes.barh(list(values), list(values.values()), color=_OTHERS[0])
    axes.invert_yaxis()
    return svg(figure)


_KINDS: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("recall", "Recall against latency", _recall),
    ("stages_", "Latency by stage", _stages),
    ("growth", "Growth", _growth),
    ("load", "Load at 80 % of the peak", _load),
    ("memory_mib", "Memory, MiB", _bars),
    ("train_phases", "Phases of training, seconds", _bars),
)


def _panels(count: int) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=_WIDE, layout="constrained")
    panels = [figure.add_subplot(1, count, place + 1) for place in range(count)]
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.2)
    return figure, panels


def svg(figure: Figure) -> str:
    """The figure as an element for a page; the same figure gives the same text."""
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "recsvc", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return "<svg" + buffer.getvalue().split("<svg", 1)[1]
