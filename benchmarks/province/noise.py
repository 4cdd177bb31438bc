"""Noise that belongs to a pair: the same whoever asks, whenever, in whatever order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from benchmarks.province.arrays import Floats, Ints

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of splitmix64 (Steele, Lea, Flood 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _wrapped(number: int) -> np.uint64:
    """Modulo 2**64; NumPy warns when a scalar wraps, though not when an array does."""
    return np.uint64(number % 2**64)


def pair_uniform(seed: int, left: Ints, right: Ints) -> Floats:
    """Uniforms (float64[n], strictly inside 0..1), a pure function of (seed, left, right)."""
    first = _mix(np.asarray(left).astype(np.uint64) + _wrapped(seed * int(_GOLDEN)))
    mixed = _mix(first + (np.asarray(right).astype(np.uint64) + np.uint64(1)) * _GOLDEN)
    return np.asarray(((mixed >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53)


def pair_normal(seed: int, left: Ints, right: Ints) -> Floats:
    """Standard normals (float64[n]), a pure function of (seed, left, right)."""
    return np.asarray(ndtri(pair_uniform(seed, left, right)))
