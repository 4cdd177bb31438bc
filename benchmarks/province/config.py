"""What can be chosen about a simulated province, and the seeded streams it is made from."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from typing import Literal

import numpy as np

from features.errors import DataError

DAY_US = 86_400_000_000
HOUR_US = 3_600_000_000
YEAR_DAYS = 365.25
LOCAL_OFFSET_US = 8 * HOUR_US
"""China has one time zone, UTC+8, all year."""

WORLD_VERSION = 1
"""Of the ground truth and of everything drawn. A change that alters what comes out counts it up:
figures measured on two versions must not be compared."""


@dataclass(frozen=True, slots=True)
class ProvinceConfig:
    """Sizes and span of a simulated province.

    `events` is met within a few per cent, everything else exactly. Raises DataError on a size that
    cannot be made.
    """

    members: int = 600
    leads: int = 1_500
    events: int = 25_000
    years: float = 6.0
    end_time_us: int = 1_751_299_200_000_000
    """2025-07-01T00:00 in China: "now" for the province; nothing in the log is later."""
    open_leads: int | None = None
    """How many leads are still OPEN at the end; None: 4.5 % of them, but not under 300."""
    untouched_share: float = 0.25
    """Share of the newest leads that nobody has been shown yet (new leads of the benchmarks)."""
    province_code: str = "43"
    cities: int | None = None
    """How many of the province's cities take part; None: as many as 2,500 members each fill, but
    not under three, so that a small province is not a thin one."""
    jurisdictions: Literal["any", "tiered"] = "any"
    """"tiered" gives organizations rules (own, parents, children, neighbours), kept by the log."""

    def __post_init__(self) -> None:
        if self.members < 50 or self.leads < 50 or self.events < self.leads:
            raise DataError(
                "a province needs at least 50 members, 50 leads and as many events as leads, "
                f"not {self.members}, {self.leads}, {self.events}"
            )
        if not 0.25 <= self.years <= 30 or not 0 <= self.untouched_share <= 1:
            raise DataError("years must be 0.25 to 30 and untouched_share 0 to 1")

    @property
    def start_time_us(self) -> int:
        """The first instant at which a lead can be raised."""
        return self.end_time_us - int(self.years * YEAR_DAYS) * DAY_US

    @property
    def open_target(self) -> int:
        """How many leads are to be OPEN at the end."""
        if self.open_leads is not None:
            return min(self.open_leads, self.leads)
        return min(max(round(0.045 * self.leads), 300), self.leads // 4)

    @property
    def city_count(self) -> int:
        """How many cities take part at most."""
        return self.cities if self.cities is not None else max(3, math.ceil(self.members / 2_500))


def stream(seed: int, name: str) -> np.random.Generator:
    """A generator of its own for every part, so that a change in one leaves the others alone."""
    return np.random.Generator(np.random.PCG64([seed, zlib.crc32(name.encode()), WORLD_VERSION]))
