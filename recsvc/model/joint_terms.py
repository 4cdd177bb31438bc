"""Terms of two features at once: what the one says where the other stands.

A table of steps for each pair of features, read beside the tables of single features. Source: GA2M
(Lou, Caruana, Gehrke & Hooker 2013, "Accurate intelligible models with pairwise interactions").
"""

from __future__ import annotations

import numpy as np
from numba import njit

from recsvc.model.arrays import F32, I32

JOINT_KNOTS = 16
NO_JOINT_FEATURES: I32 = np.zeros((0, 2), np.int32)
NO_JOINT_KNOTS: F32 = np.zeros((0, 2, JOINT_KNOTS), np.float32)
NO_JOINT_VALUES: F32 = np.zeros((0, JOINT_KNOTS + 2, JOINT_KNOTS + 2), np.float32)


@njit(cache=True, forceinline=True)
def _place(x: float, knots: F32, p: int, side: int) -> int:
    """How many knots are not above x; behind them all when x is not known."""
    count = knots.shape[2]
    if np.isnan(x):
        return int(count + 1)
    reached = 0
    for k in range(count):
        reached += knots[p, side, k] <= x
    return reached


@njit(cache=True, forceinline=True)
def joint_value(x: float, y: float, knots: F32, values: F32, p: int) -> float:
    """The joint term p at x and y (NaN: not known)."""
    return float(values[p, _place(x, knots, p, 0), _place(y, knots, p, 1)])


@njit(cache=True, nogil=True)
def add_joint_values(x: F32, y: F32, knots: F32, values: F32, p: int, out: F32) -> None:
    """Adds the joint term p at n points (float32[n] each) to `out`.

    In a member's own list all points are one: it is looked up once.
    """
    term = 0.0
    for i in range(len(x)):
        if i == 0 or x[i] != x[i - 1] or y[i] != y[i - 1]:
            term = joint_value(x[i], y[i], knots, values, p)
        out[i] += term
