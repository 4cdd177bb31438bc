"""Truncated singular value decomposition of a sparse matrix, on BLAS, reproducible by seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import LinAlgError, cholesky, eigh, qr, solve_triangular
from threadpoolctl import threadpool_limits

from recsvc.model.arrays import F32

# Below this many rows or columns the dense Gram matrix is cheaper than any iteration.
_DENSE_SIZE = 1500
_BLOCK = 128
# With smaller products, threads wait for each other longer than they work.
_THREADS_FROM_RANK = 400


@dataclass(frozen=True)
class Svd:
    """matrix ~ left @ diag(values) @ right.T; left float32[m, r], values [r] falling, right [n, r].

    Where the matrix has a lower rank than asked for, values are 0 and the vectors zero.
    """

    left: F32
    values: F32
    right: F32


def truncated_svd(matrix: sparse.csr_matrix, rank: int, *, seed: int, threads: int) -> Svd:
    """The `rank` largest singular triplets by block Lanczos (Golub and Underwood 1977).

    The basis holds twice the rank and is kept orthogonal in full: with the flat spectra of
    interaction data, power iteration needs about ten times the products for the same subspace.
    The cost is O(rank * nonzeros + rank^2 * min(m, n)). rank is cut to min(m, n). The same seed and
    threads give the same bytes.
    """
    matrix = sparse.csr_matrix(matrix, dtype=np.float32)
    transposed = matrix.T.tocsr()
    rank = min(rank, *matrix.shape)
    limit = threads if rank >= _THREADS_FROM_RANK else 1
    with threadpool_limits(limits=limit, user_api="blas"):
        wide = matrix.shape[1] > matrix.shape[0]
        tall, flat = (transposed, matrix) if wide else (matrix, transposed)
        values, narrow = _gram_eigen(tall, flat, rank, seed)
        inverse = np.divide(1.0, values, out=np.zeros_like(values), where=values > 0.0)
        narrow = narrow * (values > 0.0).astype(np.float32)
        long = np.asarray(tall @ narrow, np.float32) * inverse.astype(np.float32)
    left, right = (narrow, long) if wide else (long, narrow)
    contiguous = np.ascontiguousarray
    return Svd(contiguous(left), values.astype(np.float32), contiguous(right))


def _gram_eigen(
    tall: sparse.csr_matrix, flat: sparse.csr_matrix, rank: int, seed: int
) -> tuple[NDArray[np.float64], F32]:
    """Singular values float64[rank] and vectors float32[n, rank] of the narrow side of `tall`."""
    narrow_size = tall.shape[1]
    basis_size = min(narrow_size, -(-max(2 * rank, rank + 2 * _BLOCK) // _BLOCK) * _BLOCK)
    basis: F32 | None = None
    if narrow_size <= _DENSE_SIZE or basis_size + _BLOCK > narrow_size:
        gram = (flat.astype(np.float64) @ tall.astype(np.float64)).toarray()
    else:
        gram, basis = _block_lanczos(tall, flat, basis_size, seed)
        gram = gram.astype(np.float32)  # the products before were no more exact
    last = len(gram) - 1
    squares, turned = eigh(gram, subset_by_index=[len(gram) - rank, last], check_finite=False)
    squares, vectors = squares[::-1], turned[:, ::-1].astype(np.float32)
    # Eigenvalues are exact to a few units of float32 of the largest: below, all is noise.
    squares = np.where(squares > 1e-6 * max(squares[0], 0.0), squares, 0.0)
    return np.sqrt(squares), vectors if basis is None else np.asarray(basis @ vectors)


def _block_lanczos(
    tall: sparse.csr_matrix, flat: sparse.csr_matrix, basis_size: int, seed: int
) -> tuple[NDArray[np.float64], F32]:
    """Rayleigh quotient float64[b, b] and orthonormal Krylov basis float32[n, b] of flat @ tall."""
    rng = np.random.default_rng(seed)
    basis = np.empty((tall.shape[1], basis_size), np.float32, order="F")
    quotient = np.zeros((basis_size, basis_size))
    block = rng.standard_normal((tall.shape[1], _BLOCK)).astype(np.float32)
    norms = np.linalg.norm(block, axis=0)
    for start in range(0, basis_size, _BLOCK):
        stop = start + _BLOCK
        basis[:, start:stop] = _orthonormal(block, basis[:, :start], norms)
        block = np.asarray(flat @ (tall @ np.ascontiguousarray(basis[:, start:stop])), np.float32)
        norms = np.linalg.norm(block, axis=0)
        known = basis[:, :stop]
        coefficients = known.T @ block
        quotient[:stop, start:stop] = coefficients
        block -= known @ coefficients
    upper = np.triu(quotient)
    return upper + np.triu(upper, 1).T, basis


def _orthonormal(block: F32, known: F32, norms: F32) -> F32:
    """Columns orthonormal among themselves and to `known`; `norms` are from before projection.

    Where hardly anything new is left of a column, the first pass scales up noise and the next ones
    clean it: any direction will do there, as long as it is orthogonal.
    """
    block = block - known @ (known.T @ block)
    if (np.linalg.norm(block, axis=0) > 1e-3 * norms).all():
        basis = _cholesky_qr(block)
        if basis is not None:
            return basis
    for _ in range(3):
        block, _ = qr(block, mode="economic", check_finite=False)
        block = block - known @ (known.T @ block)
    basis, _ = qr(block, mode="economic", check_finite=False)
    return np.asarray(basis, np.float32)


def _cholesky_qr(block: F32) -> F32 | None:
    """Cholesky QR, twice (Fukaya et al. 2014): several times as fast as Householder's.

    None when the columns are too nearly dependent for it.
    """
    try:
        once = _cholesky_step(block, block.T @ block)
        gram = once.T @ once
        if np.abs(gram - np.eye(len(gram))).max() < 0.1:
            return _cholesky_step(once, gram)
    except LinAlgError:
        pass
    return None


def _cholesky_step(basis: F32, gram: F32) -> F32:
    factor = cholesky(gram.astype(np.float64))
    step: F32 = basis @ solve_triangular(factor, np.eye(len(factor))).astype(np.float32)
    return step
