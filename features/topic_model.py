"""Topics for leads that come without any: a linear classifier over their TF-IDF rows.

One support vector machine a topic, over two views of the text: all of it, and only its opening,
where people say what they want. (On 7,315 labelled citizen messages the second view lifted
macro-F1 from .920 to .932.) Margins become probabilities by a logistic curve fitted on leads that
the machine had not seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from threadpoolctl import threadpool_limits

from features.state import Arrays, from_named, named_arrays

OPENING_LETTERS = 20
"""Letters, digits and Han characters of a text that make its opening."""

_OPENING_WEIGHT = 0.7
_HELD_OUT_SHARE = 0.25
_MIN_PROBABILITY = 0.5
_MAX_INFERRED = 3
_TOLERANCE = 0.1
"""Of the machines; with a tenth of it macro-F1 of the messages stays the same to four places."""


@dataclass(frozen=True, slots=True)
class TopicModel:
    """Frozen classifier of t topics over v terms.

    topics: int32[t], rows of the topic table. slots: int32[v], row of a term in the weights, -1
    when the term says little about topics. weights, opening_weights: float32[w, t] for the whole
    text and for its opening. bias: float32[t]. calibration: float32[2], slope and offset: a margin
    m has the probability 1 / (1 + exp(-(slope * m + offset))). One curve for all topics: a curve
    each was no better on the labelled messages and needs examples that rare topics lack.
    """

    topics: NDArray[np.int32]
    slots: NDArray[np.int32]
    weights: NDArray[np.float32]
    opening_weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    calibration: NDArray[np.float32]

    @classmethod
    def fit(
        cls,
        whole: sparse.csr_matrix,
        opening: sparse.csr_matrix,
        labels: NDArray[np.bool_],
        topics: NDArray[np.int32],
        seed: int,
        max_weights: int = 4_000_000,
    ) -> TopicModel:
        """Learns from n leads: TF-IDF rows [n, v] of both views and bool labels [n, t].

        At most `max_weights` numbers are kept, those of the terms that say most (16 MB).
        """
        rows = sparse.hstack([whole, _OPENING_WEIGHT * opening]).tocsr().astype(np.float64)
        rows.sort_indices()  # otherwise every machine would do both for itself
        held_out = np.random.default_rng(seed).random(rows.shape[0]) < _HELD_OUT_SHARE
        trial, trial_bias = _fit_margins(rows[~held_out], labels[~held_out], seed)
        calibration = _calibrate(rows[held_out] @ trial + trial_bias, labels[held_out])
        coefficients, bias = _fit_margins(rows, labels, seed)
        terms = whole.shape[1]
        full, opening_part = coefficients[:terms], _OPENING_WEIGHT * coefficients[terms:]
        kept = _most_telling(full, opening_part, max_weights)
        slots = np.full(terms, -1, np.int32)
        slots[kept] = np.arange(len(kept), dtype=np.int32)
        return cls(
            topics,
            slots,
            np.ascontiguousarray(full[kept], np.float32),
            np.ascontiguousarray(opening_part[kept], np.float32),
            bias.astype(np.float32),
            calibration,
        )

    def margins(self, whole: sparse.csr_matrix, opening: sparse.csr_matrix) -> NDArray[np.float32]:
        """float32 [n, t]: positive when a lead is on the topic's side."""
        out: NDArray[np.float32] = np.tile(self.bias, (whole.shape[0], 1))
        _accumulate(whole.indptr, whole.indices, whole.data, self.slots, self.weights, out)
        _accumulate(
            opening.indptr, opening.indices, opening.data, self.slots, self.opening_weights, out
        )
        return out

    def probabilities(
        self, whole: sparse.csr_matrix, opening: sparse.csr_matrix
    ) -> NDArray[np.float32]:
        """float32 [n, t], calibrated; zero for a lead without a known term."""
        logits = self.calibration[0] * self.margins(whole, opening) + self.calibration[1]
        known = (np.diff(whole.indptr) > 0)[:, None]
        return np.asarray(known / (1.0 + np.exp(-logits)), np.float32)

    def infer(
        self, whole: sparse.csr_matrix, opening: sparse.csr_matrix
    ) -> list[list[tuple[int, float]]]:
        """For each lead its likely topics (row of the topic table, probability), at most 3."""
        chances = self.probabilities(whole, opening)
        best = np.argsort(-chances, axis=1, kind="stable")[:, :_MAX_INFERRED]
        return [
            [(int(self.topics[k]), float(p)) for k in order if (p := own[k]) >= _MIN_PROBABILITY]
            for own, order in zip(chances, best, strict=True)
        ]

    def state(self) -> Arrays:
        """The arrays by name; `from_state` is the inverse."""
        return named_arrays("topic_model", self)

    @classmethod
    def from_state(cls, arrays: Mapping[str, NDArray[Any]]) -> TopicModel | None:
        """The model out of `state`, None when there is none; raises KeyError when incomplete."""
        return from_named(cls, "topic_model", arrays)


def _fit_margins(
    rows: sparse.csr_matrix, labels: NDArray[np.bool_], seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coefficients float64 [features, t] and bias float64[t]; a topic that all or none of the leads
    have gets zero coefficients and a bias on its side.
    """
    # Imported here: only training needs it, and a worker would wait a second for it at its start.
    from sklearn.svm import LinearSVC

    coefficients = np.zeros((rows.shape[1], labels.shape[1]))
    bias = np.where(labels.any(axis=0), 1.0, -1.0)
    for topic in np.flatnonzero(labels.any(axis=0) & ~labels.all(axis=0)):
        machine = LinearSVC(C=1.0, class_weight="balanced", tol=_TOLERANCE, random_state=seed)
        machine.fit(rows, labels[:, topic])
        coefficients[:, topic] = machine.coef_[0]
        bias[topic] = machine.intercept_[0]
    return coefficients, bias


def _calibrate(margins: NDArray[np.float64], labels: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Slope and offset (float32[2]) of the logistic curve from margins to labels, both [n, t]."""
    truth = labels.ravel()
    if truth.all() or not truth.any():
        return np.array([1.0, 0.0], np.float32)
    from sklearn.linear_model import LogisticRegression

    with threadpool_limits(limits=1):
        curve = LogisticRegression(C=1e6).fit(margins.reshape(-1, 1), truth)
    return np.array([curve.coef_[0, 0], curve.intercept_[0]], np.float32)


def _most_telling(
    full: NDArray[np.float64], opening: NDArray[np.float64], max_weights: int
) -> NDArray[np.int64]:
    """Ascending rows of the terms with the largest weights, as many as may be stored."""
    strongest = np.maximum(np.abs(full).max(axis=1), np.abs(opening).max(axis=1))
    room = max(1, max_weights // (2 * full.shape[1]))
    order = np.argsort(-strongest, kind="stable")[:room]
    return np.sort(order[strongest[order] > 0])


@numba.njit(cache=True)
def _accumulate(starts, indices, values, slots, weights, out):  # type: ignore[no-untyped-def]
    """out[row] += sum of value * weights[slot of term], over the terms of each sparse row."""
    for row in range(len(starts) - 1):
        for entry in range(starts[row], starts[row + 1]):
            slot = slots[indices[entry]]
            if slot >= 0:
                for topic in range(weights.shape[1]):
                    out[row, topic] += values[entry] * weights[slot, topic]
