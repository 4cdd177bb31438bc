"""Where the time of a request goes, in process: latencies by stage."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.hotpath.asking import sample
from benchmarks.hotpath.quality import exhaustive, overlap
from benchmarks.hotpath.worlds import SEED, Step
from benchmarks.musts import Figure
from recsvc.matching.pipeline import Pipeline
from recsvc.matching.queries import ANYTHING, ListQuery, Wanted
from recsvc.model.bundle import Bundle
from recsvc.model.snapshot import Snapshot
from recsvc.model.verdicts import Verdict

_WARM = 20
_COMPARED = 30


class Stages:
    """Hears how long each stage took (a StageObserver)."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = defaultdict(list)

    def ran(
        self, stages: tuple[str, ...], moments: Sequence[float], removed: Mapping[Verdict, int]
    ) -> None:
        """Of one answer."""
        for stage, (begin, end) in zip(stages, pairwise(moments), strict=True):
            self.seconds[stage].append(end - begin)


def measure_stages(bundle: Bundle, count: int, step: Step, series: dict[str, Any]) -> list[Figure]:
    """p50 and p99 of every stage of `count` requests of each kind, by one thread."""
    snapshot = Snapshot(bundle)
    found: list[Figure] = []
    for kind, ids in (("recommend", bundle.member_ids.ids), ("match", bundle.lead_ids.ids)):
        step(f"stages of {kind}")
        asked = sample(ids, count, SEED)
        stages = Stages()
        total = _latencies(_asker(kind, Pipeline(snapshot)), asked[:_WARM])
        total = _latencies(_asker(kind, Pipeline(snapshot, observer=stages)), asked)
        quality = _overlap(kind, snapshot, asked[:_COMPARED])
        seconds = {"all": total, **stages.seconds}
        series[f"stages_{kind}_us"] = {
            name: [round(1e6 * value, 1) for value in values] for name, values in seconds.items()
        }
        for name, values in seconds.items():
            for percent in (50, 99):
                value = float(np.percentile(values, percent)) * 1e6
                row = f"{kind}_stage_{name}_p{percent}"
                found.append(Figure(row, value, "µs", quality=quality))
    return found


def median_us(
    kind: str, snapshot: Snapshot, ids: Sequence[str], wanted: Wanted = ANYTHING
) -> tuple[float, dict[str, float]]:
    """Of one request for ten, and the quality of some of them beside it."""
    ask = _asker(kind, Pipeline(snapshot), wanted)
    _latencies(ask, ids[:_WARM])
    us = 1e6 * float(np.median(_latencies(ask, ids)))
    return us, _overlap(kind, snapshot, ids[:_COMPARED], wanted)


def _asker(kind: str, pipeline: Pipeline, wanted: Wanted = ANYTHING) -> Callable[[str], object]:
    query = ListQuery(count=10, wanted=wanted)
    if kind == "recommend":
        return lambda member: pipeline.recommend(member, query)
    return lambda lead: pipeline.match(lead, query)


def _latencies(ask: Callable[[str], object], ids: Sequence[str]) -> list[float]:
    found = []
    for identifier in ids:
        begin = time.perf_counter()
        ask(identifier)
        found.append(time.perf_counter() - begin)
    return found


def _overlap(
    kind: str, snapshot: Snapshot, ids: Sequence[str], wanted: Wanted = ANYTHING
) -> dict[str, float]:
    pipeline = Pipeline(snapshot)
    query = ListQuery(count=10, wanted=wanted)
    if kind == "recommend":
        served = {m: [i.id for i in pipeline.recommend(m, query).items] for m in ids}
        return {"overlap_at_10": overlap(served, exhaustive(snapshot, members=ids, wanted=wanted))}
    served = {x: [i.id for i in pipeline.match(x, query).items] for x in ids}
    return {"overlap_at_10": overlap(served, exhaustive(snapshot, leads=ids, wanted=wanted))}
