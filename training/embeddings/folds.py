"""The fold-in of models that have none of their own: a linear map learned from trained members."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from recsvc.model.arrays import F32
from recsvc.model.foldin import LinearPart
from training.embeddings.base import powered

# With the square root, long histories count for more, but not in proportion to their length.
_LENGTH_EXPONENT = 0.5
_REGULARIZATION = 0.01


def learned_fold(
    members: F32, leads: F32, interactions: sparse.csr_matrix, weight_power: float
) -> LinearPart:
    """Ridge from the sums of the members' leads to their trained vectors.

    members float32[m, d], leads float32[n, d] and interactions csr float32[m, n]; the model's own
    optimisation has no closed form, so this is the least-squares guess of where it would end.
    """
    width = leads.shape[1]
    active = np.flatnonzero(np.diff(interactions.indptr))
    weights = powered(interactions[active], weight_power)
    sums = np.maximum(np.asarray(weights.sum(axis=1)), 1e-12)
    inputs = np.asarray(weights @ leads.astype(np.float64)) / sums**_LENGTH_EXPONENT
    goals = members[active].astype(np.float64)
    centre, mean = (x.mean(axis=0) if len(active) else np.zeros(width) for x in (inputs, goals))
    inputs -= centre
    gram = inputs.T @ inputs
    gram[np.diag_indices_from(gram)] += max(_REGULARIZATION * np.trace(gram) / width, 1e-9)
    gain = np.linalg.solve(gram, inputs.T @ (goals - mean))
    return LinearPart(
        start=0,
        stop=width,
        gain=gain.astype(np.float32),
        offset=(mean - centre @ gain).astype(np.float32),
        length_exponent=_LENGTH_EXPONENT,
        weight_power=weight_power,
    )
