"""Where a member is active: the places their history gathers around.

A member who names no place still has some: the leads they acted on lie somewhere.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from features.location import EARTH_RADIUS_KM

ACTIVITY_PLACES = 4
REACH_KM = 1.0
"""Leads this close to each other count as one place."""

_REACH = 2.0 * math.sin(REACH_KM / EARTH_RADIUS_KM / 2.0)
"""The same as a straight line through a sphere of radius 1."""


def activity_places(
    member_start: NDArray[np.int64],
    lead: NDArray[np.int32],
    weights: NDArray[np.float32],
    latitude_rad: NDArray[np.float32],
    longitude_rad: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """The 4 places (two float32[m, 4], radians, heaviest first, NaN padded) of each member.

    The third float32[m, 4] is their share of all weight that lies anywhere, 0 padded.

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
    share_out = np.zeros((count, ACTIVITY_PLACES), np.float32)
    for member in range(count):
        events = np.arange(starts[member], starts[member + 1])
        events = events[(weights[events] > 0.0) & ~np.isnan(latitude[lead[events]])]
        own, left = lead[events], weights[events].copy()
        points = _points(latitude[own], longitude[own])
        total = left.sum()
        for place in range(ACTIVITY_PLACES):
            best = _heaviest(points, left)
            if best < 0:
                break
            lat_out[member, place] = latitude[own[best]]
            lon_out[member, place] = longitude[own[best]]
            for i in range(len(own)):
                if _close(points, best, i):
                    share_out[member, place] += left[i] / total
                    left[i] = 0.0
    return lat_out, lon_out, share_out


@njit(cache=True)
def _heaviest(points, left):  # type: ignore[no-untyped-def]
    """The point with the most weight left around it, -1 when none is left."""
    best, best_mass = -1, 0.0
    for i in range(len(left)):
        if left[i] <= 0.0:
            continue
        mass = 0.0
        for j in range(len(left)):
            if _close(points, i, j):
                mass += left[j]
        if mass > best_mass:
            best, best_mass = i, mass
    return best


@njit(cache=True)
def _points(latitude, longitude):  # type: ignore[no-untyped-def]
    """Places on a sphere of radius 1 (float64[n, 3]): nearness then takes no sine."""
    points = np.empty((len(latitude), 3))
    for i in range(len(latitude)):
        points[i, 0] = math.cos(latitude[i]) * math.cos(longitude[i])
        points[i, 1] = math.cos(latitude[i]) * math.sin(longitude[i])
        points[i, 2] = math.sin(latitude[i])
    return points


@njit(cache=True)
def _close(points, a, b):  # type: ignore[no-untyped-def]
    x, y, z = points[a, 0] - points[b, 0], points[a, 1] - points[b, 1], points[a, 2] - points[b, 2]
    return x * x + y * y + z * z <= _REACH * _REACH
