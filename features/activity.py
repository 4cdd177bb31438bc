"""Where a member is active: the places their history gathers around.

A member who names no place still has some: the leads they acted on lie somewhere.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from features.location import haversine_km

ACTIVITY_PLACES = 4
REACH_KM = 1.0
"""Leads this close to each other count as one place."""


def activity_places(
    member_start: NDArray[np.int64],
    lead: NDArray[np.int32],
    weights: NDArray[np.float32],
    latitude_rad: NDArray[np.float32],
    longitude_rad: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The 4 places (two float32[m, 4], radians, heaviest first, NaN padded) of each member.

    A member's events are [member_start[i], member_start[i + 1]) of `lead` (rows of the two lead
    columns, float32[leads], NaN unknown) and `weights` (at most zero: not counted). A place is the
    lead with the most weight around it; what lies within REACH_KM of it is taken away, and so on.
    """
    return _places(member_start, lead, weights, latitude_rad, longitude_rad)  # type: ignore[no-any-return]


@njit(cache=True)
def _places(starts, lead, weights, latitude, longitude):  # type: ignore[no-untyped-def]
    count = len(starts) - 1
    lat_out = np.full((count, ACTIVITY_PLACES), np.nan, np.float32)
    lon_out = np.full((count, ACTIVITY_PLACES), np.nan, np.float32)
    for member in range(count):
        begin, end = starts[member], starts[member + 1]
        left = weights[begin:end].copy()
        for i in range(end - begin):
            if np.isnan(latitude[lead[begin + i]]) or left[i] < 0.0:
                left[i] = 0.0
        for place in range(ACTIVITY_PLACES):
            best, best_mass = -1, 0.0
            for i in range(end - begin):
                if left[i] <= 0.0:
                    continue
                mass = 0.0
                for j in range(end - begin):
                    if left[j] > 0.0 and _close(
                        latitude, longitude, lead[begin + i], lead[begin + j]
                    ):
                        mass += left[j]
                if mass > best_mass:
                    best, best_mass = i, mass
            if best < 0:
                break
            centre = lead[begin + best]
            lat_out[member, place] = latitude[centre]
            lon_out[member, place] = longitude[centre]
            for j in range(end - begin):
                if left[j] > 0.0 and _close(latitude, longitude, centre, lead[begin + j]):
                    left[j] = 0.0
    return lat_out, lon_out


@njit(cache=True)
def _close(latitude, longitude, a, b):  # type: ignore[no-untyped-def]
    return haversine_km(latitude[a], longitude[a], latitude[b], longitude[b]) <= REACH_KM
