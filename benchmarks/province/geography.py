"""Counties and towns: real codes and centroids down to counties, invented towns below."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.province.arrays import Bools, Floats, Groups, Ints, haversine_km, shifted
from benchmarks.province.config import ProvinceConfig, stream
from benchmarks.province.lexicon import Lexicon
from features.errors import DataError
from features.regions import RegionTable

DISTRICT, COUNTY_CITY, COUNTY = 0, 1, 2
"""Kinds of counties: 市辖区, 县级市, 县."""

_PLACEHOLDERS = frozenset({"市辖区", "县"})
_RADIUS_KM = np.array([6.0, 16.0, 22.0])
"""How far the towns of a county of each kind lie from its middle, at most."""
_TOWN_SPREAD_KM = np.array([1.0, 2.2, 3.0])
"""How far people and leads lie from the middle of their town (one sigma)."""
_MEMBER_WEIGHT = np.array([2.2, 1.3, 1.0])
_LEAD_WEIGHT = np.array([3.2, 1.4, 0.8])
"""Urban districts have twice a rural county's members, but four times its leads."""
_CAPITAL_FACTOR = 1.6


@dataclass(frozen=True, slots=True)
class Geography:
    """Structure of arrays: cities, counties (C rows), towns (T rows); coordinates in degrees."""

    province_code: str
    province_name: str
    city_codes: tuple[str, ...]
    city_names: tuple[str, ...]
    county_codes: tuple[str, ...]
    county_names: tuple[str, ...]
    county_city: NDArray[np.int32]
    county_kind: NDArray[np.int8]
    latitude: NDArray[np.float64]
    longitude: NDArray[np.float64]
    town_codes: tuple[str, ...]
    town_names: tuple[str, ...]
    town_county: NDArray[np.int32]
    town_latitude: NDArray[np.float64]
    town_longitude: NDArray[np.float64]
    town_weight: NDArray[np.float64]

    @property
    def rural(self) -> Bools:
        """bool[C]: counties proper; districts and county-level cities are urban."""
        return np.asarray(self.county_kind == COUNTY)

    @property
    def member_weight(self) -> Floats:
        """float64[C]: where members live."""
        return np.asarray(_MEMBER_WEIGHT[self.county_kind] * self._capital())

    @property
    def lead_weight(self) -> Floats:
        """float64[C]: where leads come from."""
        return np.asarray(_LEAD_WEIGHT[self.county_kind] * self._capital())

    def distances_km(self) -> Floats:
        """float64[C, C] between the middles of the counties."""
        lat, lon = self.latitude, self.longitude
        return haversine_km(lat[:, None], lon[:, None], lat[None, :], lon[None, :])

    def towns_in(self, rng: np.random.Generator, counties: Ints) -> NDArray[np.int64]:
        """A town (row, int64[n]) for each county row; larger towns more often."""
        groups = Groups(self.town_county, len(self.county_codes))
        first, second = (groups.draw(counties, rng.random(len(counties))) for _ in range(2))
        prefer = self.town_weight[second] > self.town_weight[first]
        return np.where(prefer, second, first)

    def points_in(self, rng: np.random.Generator, towns: Ints) -> tuple[Floats, Floats]:
        """Latitudes and longitudes (float64[n]) around the middles of those towns."""
        spread = _TOWN_SPREAD_KM[self.county_kind[self.town_county[towns]]]
        north, east = rng.normal(size=(2, len(towns))) * spread
        return shifted(self.town_latitude[towns], self.town_longitude[towns], north, east)

    def _capital(self) -> Floats:
        return np.where(self.county_city == 0, _CAPITAL_FACTOR, 1.0)


def make_geography(config: ProvinceConfig, lexicon: Lexicon, seed: int) -> Geography:
    """The province's real cities and counties, as many as the size fills, with invented towns."""
    table = RegionTable.load()
    prefix = config.province_code
    every = [c for c in _codes(table, prefix) if any(_codes(table, c))]
    # Spread over the province: its first codes are its largest cities, with hardly a rural county.
    chosen = np.linspace(0, len(every) - 1, min(config.city_count, len(every))).round()
    cities = [every[row] for row in chosen.astype(np.int64).tolist()]
    if not cities:
        raise DataError(f"province {prefix!r} has no cities in the region table: use e.g. 43")
    counties = [(row, c) for row, city in enumerate(cities) for c in _codes(table, city)]
    middles = np.array([table.centroid(code) for _, code in counties], np.float64)
    kinds = np.array([_kind(code) for _, code in counties], np.int8)
    rng = stream(seed, "towns")
    town_county, names, codes, weights = _name_towns(rng, [c for _, c in counties], kinds, lexicon)
    radius = _RADIUS_KM[kinds[town_county]] * np.sqrt(rng.random(len(names)))
    angle = rng.random(len(names)) * 2 * np.pi
    lat, lon = shifted(
        middles[town_county, 0],
        middles[town_county, 1],
        radius * np.sin(angle),
        radius * np.cos(angle),
    )
    return Geography(
        province_code=prefix,
        province_name=table.name(prefix),
        city_codes=tuple(cities),
        city_names=tuple(table.name(code) for code in cities),
        county_codes=tuple(code for _, code in counties),
        county_names=tuple(table.name(code) for _, code in counties),
        county_city=np.array([row for row, _ in counties], np.int32),
        county_kind=kinds,
        latitude=middles[:, 0],
        longitude=middles[:, 1],
        town_codes=codes,
        town_names=names,
        town_county=town_county,
        town_latitude=np.asarray(lat, np.float64),
        town_longitude=np.asarray(lon, np.float64),
        town_weight=weights,
    )


def _codes(table: RegionTable, prefix: str) -> Iterator[str]:
    """Codes one level below `prefix` that the table names, without those that only fill a level."""
    for number in range(1, 100):
        code = f"{prefix}{number:02d}"
        if code in table and table.name(code) not in _PLACEHOLDERS:
            yield code


def _kind(code: str) -> int:
    number = int(code[4:6])
    return DISTRICT if number <= 20 else COUNTY_CITY if number >= 81 else COUNTY


def _name_towns(
    rng: np.random.Generator, counties: list[str], kinds: Ints, lexicon: Lexicon
) -> tuple[NDArray[np.int32], tuple[str, ...], tuple[str, ...], NDArray[np.float64]]:
    """County row, name, 9-digit code and weight of 8 to 14 towns in each county."""
    owner: list[int] = []
    names: list[str] = []
    codes: list[str] = []
    for row, county in enumerate(counties):
        urban = kinds[row] == DISTRICT
        stems = lexicon.names["urban_stems" if urban else "town_stems"]
        picked = rng.choice(len(stems), rng.integers(8, 15), replace=False)
        for number, stem in enumerate(picked.tolist()):
            ending = "街道" if urban or number == 0 else "镇" if number < 7 else "乡"
            base = {"街道": 1, "镇": 100, "乡": 200}[ending]
            owner.append(row)
            names.append(stems[stem] + ending)
            codes.append(f"{county}{base + number:03d}")
    weights = rng.gamma(1.5, size=len(names))
    return np.array(owner, np.int32), tuple(names), tuple(codes), weights
