"""Ridge regression from sparse rows to many columns at once, by conjugate gradients.

Every column is a problem of its own, and threads share the columns: their number changes no byte.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recsvc.model.arrays import F32

Doubles = NDArray[np.float64]

_BLOCK = 64
"""Columns done together: what belongs to the frequent terms then stays in the nearest cache."""


def ridge(
    rows: sparse.csr_matrix,
    goals: F32,
    weights: F32,
    *,
    regularization: float,
    iterations: int,
    threads: int,
) -> F32:
    """argmin sum w |(rows - mean) X - goals|^2 + regularization |X|^2: float32[t, r].

    rows csr float32[n, t], goals float32[n, r] and weights float32[n]. Conjugate gradients
    preconditioned by the diagonal (Saad 2003); stopping early regularises, too.
    """
    order = np.argsort(-np.bincount(rows.indices, minlength=rows.shape[1]), kind="stable")
    problem = _Problem(_reordered(rows, order), weights, regularization)
    blocks = [goals[:, start : start + _BLOCK] for start in range(0, goals.shape[1], _BLOCK)]
    with ThreadPoolExecutor(max(1, threads)) as pool:
        found = list(pool.map(lambda block: problem.solve(block, iterations), blocks))
    solution = np.empty((rows.shape[1], goals.shape[1]), np.float32)
    solution[order] = np.concatenate(found, axis=1)
    return solution


def _reordered(rows: sparse.csr_matrix, order: NDArray[np.int64]) -> sparse.csr_matrix:
    """`rows[:, order]`, the terms of a row in any order."""
    place = np.empty(len(order), np.int32)
    place[order] = np.arange(len(order), dtype=np.int32)
    parts = rows.data, place[rows.indices], rows.indptr
    return sparse.csr_matrix(parts, shape=rows.shape, copy=False)


class _Problem:
    """The side that all columns have in common."""

    def __init__(self, rows: sparse.csr_matrix, weights: F32, regularization: float) -> None:
        self._weights, total = weights, float(weights.sum())
        self._rows = rows.indptr, rows.indices, rows.data
        self._regularization = np.float32(regularization)
        size, each = rows.shape[1], np.repeat(weights, np.diff(rows.indptr))
        sums = np.bincount(rows.indices, each * rows.data, size)
        self._mean = (sums / total).astype(np.float32)
        squares = np.bincount(rows.indices, each * rows.data**2, size) - sums**2 / total
        self._inverse = (1.0 / (np.maximum(squares, 0.0) + regularization)).astype(np.float32)

    def solve(self, goals: F32, iterations: int) -> F32:
        """float32[t, columns] for goals float32[n, columns]."""
        width = goals.shape[1]
        inverse = self._inverse[:, None]
        residual = np.zeros((len(self._mean), width), np.float32)
        _spread(*self._rows, np.ascontiguousarray(goals * self._weights[:, None]), residual)
        solution = np.zeros_like(residual)
        direction = inverse * residual
        rho = _dots(residual, direction)
        enough = 1e-6 * rho
        image = np.empty_like(residual)
        for _ in range(iterations):
            if (rho <= enough).all():
                break
            _normal(*self._rows, self._weights, self._mean, direction, image)
            image += self._regularization * direction
            step = _ratio(rho, _dots(direction, image))
            solution += step * direction
            residual -= step * image
            scaled = inverse * residual
            before, rho = rho, _dots(residual, scaled)
            direction = scaled + _ratio(rho, before) * direction
        return solution


def _dots(first: F32, second: F32) -> Doubles:
    sums: Doubles = np.einsum("ij,ij->j", first, second, dtype=np.float64)
    return sums


def _ratio(above: Doubles, below: Doubles) -> F32:
    safe = np.divide(above, below, out=np.zeros_like(above), where=below > 0.0)
    return safe.astype(np.float32)


@numba.njit(cache=True, nogil=True, fastmath={"contract"})
def _normal(starts, terms, values, weights, mean, x, out):  # type: ignore[no-untyped-def]
    """out = (rows - mean)^T diag(weights) (rows - mean) x, when `weights @ rows` is their mean.

    One pass: what a row gathers from x goes back to out while its terms are still near.
    """
    width = x.shape[1]
    shift = np.zeros(width, np.float32)
    own = np.empty(width, np.float32)
    for term in range(len(mean)):
        for k in range(width):
            shift[k] += mean[term] * x[term, k]
            out[term, k] = 0.0
    for row in range(len(starts) - 1):
        for k in range(width):
            own[k] = -shift[k]
        for entry in range(starts[row], starts[row + 1]):
            term, value = terms[entry], values[entry]
            for k in range(width):
                own[k] += value * x[term, k]
        for k in range(width):
            own[k] *= weights[row]
        for entry in range(starts[row], starts[row + 1]):
            term, value = terms[entry], values[entry]
            for k in range(width):
                out[term, k] += value * own[k]


@numba.njit(cache=True, nogil=True, fastmath={"contract"})
def _spread(starts, terms, values, goals, out):  # type: ignore[no-untyped-def]
    """out += rows^T goals."""
    for row in range(len(starts) - 1):
        for entry in range(starts[row], starts[row + 1]):
            term, value = terms[entry], values[entry]
            for k in range(goals.shape[1]):
                out[term, k] += value * goals[row, k]
