"""The organization tree: the province's body, its cities', its counties'."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from benchmarks.province.arrays import Bools
from benchmarks.province.config import ProvinceConfig
from benchmarks.province.geography import Geography

_TIERED = ("ANY", "OWN;PARENTS;CHILDREN;NEIGHBOURS", "OWN;PARENTS;NEIGHBOURS")
"""Jurisdiction rules by level when they are asked for."""
_SCHEDULES = ("0 9 * * 1-5", "30 8 * * 1-5", "0 10 * * 1,4")


@dataclass(frozen=True)
class Organizations:
    """Row 0 is the province's, then one a city, then one a county (in the geography's order)."""

    ids: tuple[str, ...]
    names: tuple[str, ...]
    parent: NDArray[np.int32]
    level: NDArray[np.int8]
    region_codes: tuple[str, ...]
    jurisdictions: tuple[str, ...]
    push_schedules: tuple[str, ...]

    @cached_property
    def allowed(self) -> Bools:
        """bool[n, n]: may members of the row's organization be offered the column's leads?"""
        rows = np.arange(len(self.ids))
        parent, level = self.parent, self.level
        grandparent = np.where(parent >= 0, parent[parent], -1)
        above = (parent[:, None] == rows) | (grandparent[:, None] == rows)
        beside = (parent[:, None] == parent[None, :]) & (level[:, None] == level[None, :])
        relations = {
            "OWN": np.eye(len(rows), dtype=bool),
            "PARENTS": above,
            "CHILDREN": above.T,
            "NEIGHBOURS": beside,
            "ANY": np.ones((len(rows), len(rows)), bool),
        }
        result = np.zeros((len(rows), len(rows)), bool)
        for row, rule in enumerate(self.jurisdictions):
            for name in rule.split(";"):
                result[row] |= relations[name][row]
        return result

    def of_level(self, level: NDArray[np.int8], county: NDArray[np.int32], g: Geography) -> Rows:
        """Organization rows (int32[n]) of a level (0-2) over the given counties."""
        city = 1 + g.county_city[county]
        own = 1 + len(g.city_codes) + county
        return np.choose(level, [np.zeros_like(own), city, own]).astype(np.int32)


Rows = NDArray[np.int32]


def make_organizations(config: ProvinceConfig, g: Geography) -> Organizations:
    """Three levels over the geography; jurisdiction rules as configured."""
    cities, counties = len(g.city_codes), len(g.county_codes)
    levels = np.repeat([0, 1, 2], [1, cities, counties]).astype(np.int8)
    parents = np.concatenate([[-1], np.zeros(cities), 1 + g.county_city]).astype(np.int32)
    regions = (g.province_code, *g.city_codes, *g.county_codes)
    places = (g.province_name, *g.city_names, *g.county_names)
    rules = _TIERED if config.jurisdictions == "tiered" else ("ANY", "ANY", "ANY")
    return Organizations(
        ids=tuple(f"o{region}" for region in regions),
        names=tuple(f"{place}委员联络机构" for place in places),
        parent=parents,
        level=levels,
        region_codes=regions,
        jurisdictions=tuple(rules[level] for level in levels.tolist()),
        push_schedules=tuple(_SCHEDULES[level] for level in levels.tolist()),
    )
