"""Regions by their GB/T 2260 codes: names, levels, and where their middle is.

A code has up to 12 digits: province (2), city (4), county (6), town (9), village (12); zeros on the
right mean "not that deep". The table that ships with the package (`data/README.md` names its
source) reaches down to counties; deeper or newer codes are served from their nearest ancestor.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.errors import DataError

CODE_DIGITS = 12
LEVEL_DIGITS = (2, 4, 6, 9)
"""How many digits name a province, a city, a county, a town."""


@dataclass(frozen=True, slots=True)
class Region:
    """One row of the table; coordinates in degrees, None when the table has none."""

    code: str
    name: str
    latitude: float | None
    longitude: float | None


class Middles(NamedTuple):
    """The middle of each region whose middle is known, by its code without zeros on the right."""

    code: NDArray[np.int64]  # [r] ascending, as `level_codes` has them
    latitude_rad: NDArray[np.float32]  # [r]
    longitude_rad: NDArray[np.float32]  # [r]


def normalise(code: str) -> str:
    """A code of 2-12 digits as 12 digits; raises DataError for anything else."""
    text = code.strip()
    if not (2 <= len(text) <= CODE_DIGITS and text.isascii() and text.isdigit()):
        raise DataError(
            f"region code {code!r} is not 2 to 12 digits: use a GB/T 2260 code such as 430104"
        )
    if text[0] == "0":
        raise DataError(f"region code {code!r} begins with 0: no province does")
    return text.ljust(CODE_DIGITS, "0")


def level_codes(code: str) -> tuple[int, int, int, int]:
    """(province, city, county, town) as integers, such as (43, 4301, 430104, -1).

    -1 where the code does not go that deep, or everywhere for "". Raises DataError for a bad code.
    """
    if not code:
        return (-1, -1, -1, -1)
    full = normalise(code)
    depth = len(full.rstrip("0"))
    province, city, county, town = (
        int(full[:digits]) if digits == 2 or depth > before else -1
        for before, digits in zip((0, *LEVEL_DIGITS), LEVEL_DIGITS, strict=False)
    )
    return (province, city, county, town)


def _ancestors(full: str) -> Iterator[str]:
    """The code itself, then its county, city and province, as 12 digits, without repetition."""
    seen = ""
    for digits in (CODE_DIGITS, *reversed(LEVEL_DIGITS)):
        candidate = full[:digits].ljust(CODE_DIGITS, "0")
        if candidate != seen:
            seen = candidate
            yield candidate


class RegionTable:
    """The table of regions. Load it once and hand it on; it never changes."""

    def __init__(self, regions: Mapping[str, Region]) -> None:
        self._regions = dict(regions)

    @classmethod
    def load(cls) -> RegionTable:
        """Reads the table that ships with the package (about 30 ms)."""
        packed = resources.files("features").joinpath("data/regions.csv.gz").read_bytes()
        rows = csv.DictReader(io.StringIO(gzip.decompress(packed).decode("utf-8")))
        regions = [
            Region(
                row["adcode"],
                row["name"],
                float(row["latitude"]) if row["latitude"] else None,
                float(row["longitude"]) if row["longitude"] else None,
            )
            for row in rows
        ]
        return cls({region.code: region for region in regions})

    def __len__(self) -> int:
        return len(self._regions)

    def __iter__(self) -> Iterator[str]:
        return iter(self._regions)

    def __contains__(self, code: object) -> bool:
        return isinstance(code, str) and code.ljust(CODE_DIGITS, "0") in self._regions

    def normalise(self, code: str) -> str:
        """A code of 2-12 digits as 12 digits; raises DataError for anything else."""
        return normalise(code)

    def name(self, code: str) -> str:
        """岳麓区 for 430104; the nearest known ancestor's name for a deeper code, "" for none."""
        region = self._nearest(normalise(code))
        return region.name if region else ""

    def centroid(self, code: str) -> tuple[float, float] | None:
        """(latitude, longitude) in degrees, of the nearest ancestor that has them, or None."""
        for candidate in _ancestors(normalise(code)):
            region = self._regions.get(candidate)
            if region and region.latitude is not None and region.longitude is not None:
                return region.latitude, region.longitude
        return None

    @cached_property
    def middles(self) -> Middles:
        """Where compiled code looks up what `centroid` says of a region itself."""
        known = sorted(
            (max(level_codes(code)), region.latitude, region.longitude)
            for code, region in self._regions.items()
            if region.latitude is not None and region.longitude is not None
        )
        codes = np.array([row[0] for row in known], np.int64)
        degrees = np.array([row[1:] for row in known], np.float64).reshape(-1, 2)
        latitude, longitude = np.radians(degrees).astype(np.float32).T
        return Middles(codes, np.ascontiguousarray(latitude), np.ascontiguousarray(longitude))

    def levels(self, code: str) -> NDArray[np.int32]:
        """int32[4], see `level_codes`; a code needs not be in the table."""
        return np.array(level_codes(code), np.int32)

    def _nearest(self, full: str) -> Region | None:
        found = (self._regions.get(candidate) for candidate in _ancestors(full))
        return next((region for region in found if region), None)
