"""Where things are: from what a record says to radians, and distances on the mean Earth."""

from __future__ import annotations

import math
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from features.entities import Member, Place
from features.errors import DataError
from features.regions import RegionTable, level_codes

EARTH_RADIUS_KM = 6371.0088
"""Mean radius of the Earth (IUGG, 2015)."""


class Located(NamedTuple):
    """A place: region codes of its levels (-1 unknown) and radians (NaN unknown)."""

    levels: tuple[int, int, int, int]
    latitude_rad: float
    longitude_rad: float


_NOWHERE = Located((-1, -1, -1, -1), math.nan, math.nan)


def locate(
    regions: RegionTable, region_code: str, latitude: float | None, longitude: float | None
) -> Located:
    """Where something is: its coordinates in degrees, or else the middle of its region.

    A code that is none counts as not given: catalog and reader refuse it at the edge, and one old
    record must not stop a whole batch.
    """
    try:
        levels = level_codes(region_code)
        if latitude is None or longitude is None:
            latitude, longitude = (region_code and regions.centroid(region_code)) or (None, None)
    except DataError:
        levels = _NOWHERE.levels
    if latitude is None or longitude is None:
        return Located(levels, math.nan, math.nan)
    return Located(levels, math.radians(latitude), math.radians(longitude))


def member_places(member: Member) -> list[Place]:
    """A member's places, home first: the member's own columns, HOME places, then the others."""
    own = Place("HOME", member.latitude, member.longitude, member.region_code)
    homes = [place for place in member.places if place.kind == "HOME"]
    others = [place for place in member.places if place.kind != "HOME"]
    return list(dict.fromkeys(place for place in (own, *homes, *others) if _is_given(place)))


def _is_given(place: Place) -> bool:
    return bool(place.region_code) or (place.latitude is not None and place.longitude is not None)


@numba.njit(cache=True, inline="always")
def haversine_km(
    latitude_a_rad: float, longitude_a_rad: float, latitude_b_rad: float, longitude_b_rad: float
) -> float:
    """Distance in km of two points given in radians; NaN when any coordinate is NaN.

    Works from other numba kernels (it is inlined there) and from Python.
    """
    half_latitude = math.sin((latitude_b_rad - latitude_a_rad) * 0.5)
    half_longitude = math.sin((longitude_b_rad - longitude_a_rad) * 0.5)
    chord = (
        half_latitude * half_latitude
        + math.cos(latitude_a_rad) * math.cos(latitude_b_rad) * half_longitude * half_longitude
    )
    # Rounding can push antipodes a hair above 1, where asin has no value.
    return 2.0 * EARTH_RADIUS_KM * math.asin(math.sqrt(min(chord, 1.0)))


def distances_km(
    latitude_a_rad: ArrayLike,
    longitude_a_rad: ArrayLike,
    latitude_b_rad: ArrayLike,
    longitude_b_rad: ArrayLike,
) -> NDArray[np.float64]:
    """Distances in km of points given in radians, by numpy broadcasting; NaN where unknown."""
    lat_a, lon_a, lat_b, lon_b = (
        np.asarray(x, np.float64)
        for x in (latitude_a_rad, longitude_a_rad, latitude_b_rad, longitude_b_rad)
    )
    half_latitude = np.sin((lat_b - lat_a) * 0.5)
    half_longitude = np.sin((lon_b - lon_a) * 0.5)
    chord = half_latitude**2 + np.cos(lat_a) * np.cos(lat_b) * half_longitude**2
    return np.asarray(
        2.0 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.minimum(chord, 1.0))), np.float64
    )


def nearest_km(
    place_latitude_rad: NDArray[np.float32],
    place_longitude_rad: NDArray[np.float32],
    latitude_rad: ArrayLike,
    longitude_rad: ArrayLike,
) -> NDArray[np.float64]:
    """Distance in km (float64[n]) from each target to the nearest of its row of places.

    `place_*_rad` are float32[n, p], NaN padded; targets are [n] or scalars. NaN when the row has no
    place or the target is unknown.
    """
    lat = np.asarray(latitude_rad, np.float64)[..., None]
    lon = np.asarray(longitude_rad, np.float64)[..., None]
    each = distances_km(place_latitude_rad, place_longitude_rad, lat, lon)
    nearest = np.where(np.isnan(each), np.inf, each).min(axis=-1)
    return np.where(np.isinf(nearest), np.nan, nearest)
