"""Names of the array types used throughout, and small vectorised helpers."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.floating[Any]]
Ints: TypeAlias = NDArray[np.integer[Any]]
Bools: TypeAlias = NDArray[np.bool_]

_EARTH_RADIUS_KM = 6371.0088
_KM_PER_DEGREE = 111.195


def sigmoid(x: Floats) -> Floats:
    """1 / (1 + exp(-x)), elementwise."""
    return np.asarray(1.0 / (1.0 + np.exp(-x)))


def haversine_km(lat1: Floats, lon1: Floats, lat2: Floats, lon2: Floats) -> Floats:
    """Great-circle distance in km between points in degrees; NaN where any coordinate is."""
    phi1, phi2 = np.radians(lat1), np.radians(lat2)
    half = np.sin((phi2 - phi1) / 2) ** 2
    half = half + np.cos(phi1) * np.cos(phi2) * np.sin(np.radians(lon2 - lon1) / 2) ** 2
    return np.asarray(2 * _EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.minimum(half, 1.0))))


def shifted(lat: Floats, lon: Floats, north_km: Floats, east_km: Floats) -> tuple[Floats, Floats]:
    """Points (degrees) moved north and east by km; good for short ways away from the poles."""
    east = _KM_PER_DEGREE * np.cos(np.radians(lat))
    return lat + north_km / _KM_PER_DEGREE, lon + east_km / east


def weighted_rows(rng: np.random.Generator, weights: Floats, size: int) -> NDArray[np.int64]:
    """`size` rows drawn with replacement, a row's chance proportional to its weight."""
    edges = np.cumsum(weights, dtype=np.float64)
    drawn = np.searchsorted(edges, rng.random(size) * edges[-1], side="right")
    return np.asarray(np.minimum(drawn, len(edges) - 1), np.int64)


class Groups:
    """Rows grouped by an integer label: random access to the members of each group.

    `labels` int[n], -1 belongs to none; `count` is the number of groups.
    """

    def __init__(self, labels: Ints, count: int, rows: Ints | None = None) -> None:
        own = np.arange(len(labels)) if rows is None else rows
        kept = labels >= 0
        order = np.argsort(labels[kept], kind="stable")
        self.rows: NDArray[np.int64] = own[kept][order].astype(np.int64)
        self.sizes: NDArray[np.int64] = np.bincount(labels[kept], minlength=count)
        self._starts = np.concatenate([[0], np.cumsum(self.sizes)[:-1]])

    def draw(self, groups: Ints, uniforms: Floats) -> NDArray[np.int64]:
        """One row of each named group (int64[n]) by uniforms in [0, 1); -1 where it is empty."""
        sizes = self.sizes[groups]
        place = self._starts[groups] + (uniforms * sizes).astype(np.int64)
        return np.where(sizes > 0, self.rows[np.minimum(place, len(self.rows) - 1)], -1)
