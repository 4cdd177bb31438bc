"""The additive model: terms by a second, slow reading of the tables; calibration in order."""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from recsvc.model.additive import (
    AdditiveModel,
    Calibration,
    additive_scores,
    additive_terms,
    single_feature_model,
)
from recsvc.model.joint_terms import JOINT_KNOTS

WIDTH, KNOTS = 3, 4
reals = st.floats(-10, 10, width=32)


@st.composite
def models(draw: st.DrawFn) -> AdditiveModel:
    knots = np.full((WIDTH, KNOTS), np.inf, np.float32)
    values = np.zeros((WIDTH, KNOTS), np.float32)
    counts = np.array(draw(st.lists(st.integers(0, KNOTS), min_size=WIDTH, max_size=WIDTH)))
    for f, count in enumerate(counts.tolist()):
        steps = draw(st.lists(st.integers(1, 5), min_size=count, max_size=count))
        knots[f, :count] = np.cumsum(steps) - 8.0
        values[f, :count] = draw(st.lists(reals, min_size=count, max_size=count))
    row = npst.arrays(np.float32, WIDTH, elements=reals)
    linear = draw(npst.arrays(np.uint8, WIDTH, elements=st.integers(0, 1)))
    joint = np.full((1, 2, JOINT_KNOTS), np.inf, np.float32)
    joint[0, :, :KNOTS] = np.sort(draw(npst.arrays(np.float32, (2, KNOTS), elements=reals)))
    cells = np.linspace(-1.0, 1.0, (JOINT_KNOTS + 2) ** 2, dtype=np.float32)
    return AdditiveModel(
        knots,
        values,
        counts.astype(np.int32),
        draw(row),
        linear,
        draw(row),
        draw(row),
        float(draw(reals)),
        np.array([draw(st.sampled_from([(0, 1), (2, 0)]))], np.int32),
        joint,
        cells.reshape(1, JOINT_KNOTS + 2, -1),
    )


def slow_joint(model: AdditiveModel, f: int, row: Sequence[float]) -> float:
    """The joint term that counts with feature f, 0 when there is none."""
    first, second = model.joint_features[0].tolist()
    if f != first:
        return 0.0
    places = [
        JOINT_KNOTS + 1 if math.isnan(x) else bisect.bisect_right(knots.tolist(), x)
        for x, knots in zip((row[first], row[second]), model.joint_knots[0], strict=True)
    ]
    return float(model.joint_values[0, places[0], places[1]])


def slow_term(model: AdditiveModel, f: int, x: float) -> float:
    """One term, read off the docstring of AdditiveModel."""
    count = int(model.counts[f])
    if count == 0:
        return 0.0
    if math.isnan(x):
        return float(model.missing[f])
    knots = [float(k) for k in model.knots[f, :count]]
    values = [float(v) for v in model.values[f, :count]]
    if model.linear[f]:
        below = min(0.0, x - knots[0]) * float(model.slope_below[f])
        above = max(0.0, x - knots[-1]) * float(model.slope_above[f])
        return float(np.interp(x, knots, values)) + below + above
    return values[max(0, bisect.bisect_right(knots, x) - 1)]


@given(models(), npst.arrays(np.float32, (5, WIDTH), elements=st.just(np.nan) | reals))
def test_terms_are_the_tables_and_sum_to_the_score(
    model: AdditiveModel, features: np.ndarray[tuple[int, int], np.dtype[np.float32]]
) -> None:
    terms = additive_terms(model, features)
    slow = [
        [slow_term(model, f, x) + slow_joint(model, f, row) for f, x in enumerate(row)]
        for row in features.tolist()
    ]
    np.testing.assert_allclose(terms, slow, atol=1e-3, rtol=1e-4)
    scores = additive_scores(model, features)
    np.testing.assert_allclose(scores, terms.sum(axis=1) + model.intercept, atol=1e-3, rtol=1e-4)


def test_a_model_of_one_feature_scores_by_it() -> None:
    features = np.array([[5.0, -2.0], [1.0, 0.5], [0.0, 3.0]], np.float32)
    model = single_feature_model(1, 2)
    np.testing.assert_allclose(additive_scores(model, features), [-2.0, 0.5, 3.0], atol=1e-6)


def test_no_calibration_gives_no_probability() -> None:
    nothing = Calibration(np.zeros(0, np.float32), np.zeros(0, np.float32))
    assert nothing.probability(np.zeros(3, np.float32)) is None


@given(npst.arrays(np.float32, 6, elements=reals))
def test_probabilities_keep_the_order_and_stay_within_the_fitted_range(
    scores: np.ndarray[tuple[int], np.dtype[np.float32]],
) -> None:
    calibration = Calibration(
        np.array([-1.0, 0.0, 2.0], np.float32), np.array([0.05, 0.1, 0.7], np.float32)
    )
    found = calibration.probability(np.sort(scores))
    assert found is not None
    assert (np.diff(found) >= 0).all()
    assert found.min() >= np.float32(0.05)
    assert found.max() <= np.float32(0.7)
