"""How the latency of a request grows with the tables, in process, by one thread.

With the short lists that training makes, as served, and without: that is what a member or lead pays
who came after the bundle was made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from benchmarks.hotpath.asking import sample
from benchmarks.hotpath.grown import LISTED_LEADS, grow, listed_leads
from benchmarks.hotpath.stages import median_us
from benchmarks.hotpath.worlds import SEED, Step
from benchmarks.musts import Figure
from recsvc.matching.prepare import make_lead_lists, make_short_lists
from recsvc.model.bundle import Bundle
from recsvc.model.snapshot import Snapshot, with_tables

_ASKED = 200


def measure_growth(
    bundle: Bundle, factors: Sequence[int], threads: int, step: Step, series: dict[str, Any]
) -> list[Figure]:
    """Median latency by how many leads and how many members there are."""
    members, leads = len(bundle.member_ids), len(bundle.lead_ids)
    points: list[dict[str, Any]] = []
    found = []
    for kind in ("recommend", "match"):
        for factor in factors:
            more = (members, leads * factor) if kind == "recommend" else (members * factor, leads)
            step(f"growth: {more[0]:,} members, {more[1]:,} leads")
            listed = _listed(kind, bundle, factor, more, threads)
            for one in (listed, replace(listed)):  # tables are not taken along: no short lists
                us, quality = median_us(kind, Snapshot(one), _asked(kind, listed))
                row = f"growth_{kind}_{more[0]}_members_{more[1]}_leads"
                row += "" if one is listed else "_unlisted"
                found.append(Figure(row, us, "µs", quality=quality))
                here = {"kind": kind, "listed": one is listed, "members": more[0], "leads": more[1]}
                points.append({**here, "us": us, **quality})
    series["growth"] = points
    return found


def _listed(kind: str, bundle: Bundle, factor: int, more: tuple[int, int], threads: int) -> Bundle:
    """The bundle with so many more rows, and the short lists of those who will be asked about."""
    if factor == 1:
        return bundle
    grown = with_tables(grow(bundle, *more, SEED))
    if kind == "recommend":
        grown.tables.put("short_lists", make_short_lists(grown, threads))
    else:
        grown.tables.put("lead_lists", make_lead_lists(grown, threads, most=LISTED_LEADS))
    return grown


def _asked(kind: str, bundle: Bundle) -> list[str]:
    ids = bundle.member_ids.ids if kind == "recommend" else listed_leads(bundle)
    return sample(ids, _ASKED, SEED)
