"""Requests that restrict themselves, in process: a topic, a city, a distance, some candidates."""

from __future__ import annotations

import numpy as np

from benchmarks.hotpath.asking import sample
from benchmarks.hotpath.stages import median_us
from benchmarks.hotpath.worlds import SEED, Step
from benchmarks.musts import Figure
from recsvc.matching.queries import Wanted
from recsvc.model.arrays import I32
from recsvc.model.bundle import Bundle
from recsvc.model.snapshot import Snapshot

_CANDIDATES_COUNT = 100
_KM = 20.0
_CITY = 1  # the level of region codes


def measure_restricted(bundle: Bundle, count: int, step: Step) -> list[Figure]:
    """Median latency of `count` requests of each kind, beside the ranking of all that fit."""
    snapshot = Snapshot(bundle)
    members, leads = bundle.member_ids.ids, bundle.lead_ids.ids
    found = []
    for kind, asked, offered in (("recommend", members, leads), ("match", leads, members)):
        for name, wanted in _restrictions(bundle, offered).items():
            step(f"{kind} by {name}")
            us, quality = median_us(kind, snapshot, sample(asked, count, SEED), wanted)
            found.append(Figure(f"{kind}_by_{name}", us, "µs", quality=quality))
    return found


def _restrictions(bundle: Bundle, offered: tuple[str, ...]) -> dict[str, Wanted]:
    """The commonest topic and city of leads, near places, and candidates out of `offered`."""
    topics, leads = bundle.space.topics.names.ids, bundle.leads
    return {
        "candidates": Wanted(candidate_ids=tuple(sample(offered, _CANDIDATES_COUNT, SEED))),
        "topic": Wanted(topics=(topics[_commonest(leads.topics[:, 0])],)),
        "city": Wanted(region_code=str(_commonest(leads.region[:, _CITY]))),
        "distance": Wanted(max_distance_km=_KM),
    }


def _commonest(codes: I32) -> int:
    return int(np.bincount(codes[codes >= 0]).argmax())
