"""How far a lead is from a member: kilometres, regions, organizations."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from features.location import EARTH_RADIUS_KM, haversine_km
from recsvc.model.arrays import F32, F64, I32, PLACES
from recsvc.model.pair_facts import (
    LEAD_ORGANIZATION,
    LEAD_POINT,
    LEAD_REGION,
    ORGANIZATION,
    POINTS,
    REGION,
    SHARE,
)

DENSITY_KM = 1.0
DENSITY_FLOOR = 1e-6


@njit(cache=True)
def nearest_place_km(lat: F32, lon: F32, lead_lat: float, lead_lon: float) -> float:
    """Great-circle distance (haversine, km) from the nearest of a member's places; NaN unknown."""
    best = np.inf
    for i in range(len(lat)):
        if np.isnan(lat[i]):
            continue
        best = min(best, haversine_km(lat[i], lon[i], lead_lat, lead_lon))
    return best if best < np.inf else np.nan


@njit(cache=True)
def nearest_place(lat: F32, lon: F32, lead_lat: float, lead_lon: float) -> int:
    """Which of a member's places is nearest, -1 when no distance is known."""
    best, at = np.inf, -1
    for i in range(len(lat)):
        km = haversine_km(lat[i], lon[i], lead_lat, lead_lon)
        if km < best:
            best, at = km, i
    return at


@njit(cache=True, forceinline=True)
def squared_chord(exact: F64, at: int, p: int, x: float, y: float, z: float) -> float:
    """From place p of a member's record to a point on the unit sphere, squared; NaN unknown."""
    a, b, c = POINTS + 3 * p, POINTS + 3 * p + 1, POINTS + 3 * p + 2
    dx, dy, dz = exact[at, a] - x, exact[at, b] - y, exact[at, c] - z
    return float(dx * dx + dy * dy + dz * dz)


@njit(cache=True, forceinline=True)
def chord_km(squared: float) -> float:
    """The great circle over a chord of the unit sphere."""
    # Rounding can push antipodes a hair above 1, where asin has no value.
    return 2.0 * EARTH_RADIUS_KM * math.asin(min(0.5 * math.sqrt(squared), 1.0))


@njit(cache=True, nogil=True)
def fill_distances(out: F32, exact: F64, number: F32, at: I32, leads: F64, lead_at: I32) -> None:
    """Features 6, 7 and 27, of records of members and leads (rows int32[n] each).

    log(1 + km) from the nearest place, from the nearest place of activity, and log of how much goes
    on around the lead: at a place of activity it counts the less the farther that is, by
    1 / (1 + (km / DENSITY_KM)²). NaN unknown. Of homes only the shortest chord becomes kilometres.
    """
    for i in range(len(at)):
        own, other = at[i], lead_at[i]
        x, y, z = (
            leads[other, LEAD_POINT],
            leads[other, LEAD_POINT + 1],
            leads[other, LEAD_POINT + 2],
        )
        out[i, 6] = out[i, 7] = out[i, 27] = np.nan
        home, active, around = np.inf, np.inf, 0.0
        for p in range(PLACES):
            home = min(home, squared_chord(exact, own, p, x, y, z))
        for p in range(PLACES):
            squared = squared_chord(exact, own, PLACES + p, x, y, z)
            if not squared < np.inf:
                break
            active = min(active, squared)
            km = chord_km(squared) / DENSITY_KM
            around += number[own, SHARE + p] / (1.0 + km * km)
        if home < np.inf:
            out[i, 6] = np.log1p(chord_km(home))
        if active < np.inf:
            out[i, 7], out[i, 27] = np.log1p(chord_km(active)), np.log(around + DENSITY_FLOOR)


@njit(cache=True, nogil=True)
def fill_regions(out: F32, whole: I32, at: I32, leads: I32, lead_at: I32) -> None:
    """Features 8 and 9: levels (province … town) shared with the best place; same organization."""
    for i in range(len(at)):
        own, other = at[i], lead_at[i]
        best = -1
        for p in range(PLACES if leads[other, LEAD_REGION] >= 0 else 0):
            level = REGION + 4 * p
            if whole[own, level] < 0:
                continue
            shared = 0
            while shared < 4:
                here = whole[own, level + shared]
                if here < 0 or here != leads[other, LEAD_REGION + shared]:
                    break
                shared += 1
            best = max(best, shared)
        out[i, 8] = best if best >= 0 else np.nan
        one, two = whole[own, ORGANIZATION], leads[other, LEAD_ORGANIZATION]
        out[i, 9] = np.nan if one < 0 or two < 0 else np.float32(one == two)
