"""Interest and answers out of event logs, against sums made by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.entities import DismissReason, EventKind
from features.events import EventLog
from features.interest import (
    decay,
    event_weights,
    interest_text,
    interest_topics,
    response_counts,
    smoothed_logit,
)

DAY_US = 86_400_000_000


def log(*rows: tuple[int, int, EventKind, int], reason: int = 0) -> EventLog:
    """Events from (member, lead, kind, day)."""
    n = len(rows)
    return EventLog.from_columns(
        {
            "member": np.array([r[0] for r in rows], np.int32),
            "lead": np.array([r[1] for r in rows], np.int32),
            "kind": np.array([r[2] for r in rows], np.uint8),
            "time_us": np.array([r[3] * DAY_US for r in rows], np.int64),
            "position": np.full(n, -1),
            "propensity": np.full(n, np.nan),
            "rating": np.full(n, np.nan),
            "reason": np.full(n, reason),
            "wave": np.zeros(n),
        }
    )


def test_a_half_life_halves_and_the_future_is_not_boosted() -> None:
    times = np.array([0, 10, 20, 30], np.int64) * DAY_US
    np.testing.assert_allclose(decay(times, 20 * DAY_US, 10.0), [0.25, 0.5, 1.0, 1.0])
    np.testing.assert_array_equal(decay(times, 20 * DAY_US, math.inf), np.ones(4))


def test_kinds_weigh_as_stated_and_exposure_is_no_interest() -> None:
    events = log(
        (0, 0, EventKind.CLAIMED, 0),
        (0, 0, EventKind.SUPPORTED, 0),
        (0, 0, EventKind.OPENED, 0),
        (0, 0, EventKind.PUSHED, 0),
        (0, -1, EventKind.CLAIMED, 0),
    )
    np.testing.assert_allclose(event_weights(events, 0, math.inf), [1.0, 0.5, 0.2, 0.0, 0.0])


@pytest.mark.parametrize(
    ("reason", "expected"), [(DismissReason.NOT_MY_FIELD, -0.5), (DismissReason.TOO_FAR, 0.0)]
)
def test_only_a_refusal_of_the_subject_counts_against_it(
    reason: DismissReason, expected: float
) -> None:
    events = log((0, 0, EventKind.DISMISSED, 0), reason=reason)
    assert event_weights(events, 0, math.inf).tolist() == [expected]


def test_interest_text_leans_to_the_latest_claims() -> None:
    events = log((0, 0, EventKind.CLAIMED, 0), (0, 1, EventKind.CLAIMED, 10))
    weights = event_weights(events, 10 * DAY_US, 10.0)
    text = interest_text(events, weights, np.eye(2, dtype=np.float32), 2)
    np.testing.assert_allclose(text[0], np.array([0.5, 1.0]) / math.hypot(0.5, 1.0), rtol=1e-6)
    assert not text[1].any()


def test_interest_topics_are_summed_over_leads_and_refusals_subtract() -> None:
    lead_topics = np.array([[0, 1], [1, -1], [2, -1]], np.int32)
    lead_weights = np.array([[0.6, 0.8], [1.0, 0.0], [1.0, 0.0]], np.float32)
    events = log((0, 0, EventKind.CLAIMED, 0), (0, 1, EventKind.SUPPORTED, 0))
    refused = log((0, 2, EventKind.DISMISSED, 0), reason=DismissReason.NOT_MY_FIELD)
    both = EventLog.concat([events, refused])
    topics, weights = interest_topics(
        both, event_weights(both, 0, math.inf), lead_topics, lead_weights, 2
    )
    assert topics.shape == (2, 16)
    assert topics[0, :3].tolist() == [1, 0, -1]
    np.testing.assert_allclose(weights[0, :2], np.array([1.3, 0.6]) / math.hypot(1.3, 0.6), 1e-6)
    assert (topics[1] == -1).all()


def test_leads_without_topics_and_an_empty_log_give_no_interest() -> None:
    events = log((0, 0, EventKind.CLAIMED, 0))
    none = np.full((1, 8), -1, np.int32)
    zero = np.zeros((1, 8), np.float32)
    topics, weights = interest_topics(events, np.ones(1, np.float32), none, zero, 1)
    assert (topics == -1).all()
    assert not weights.any()
    empty = EventLog.empty()
    no_weights = np.zeros(0, np.float32)
    assert not interest_text(empty, no_weights, np.ones((3, 4), np.float32), 2).any()


def test_an_exposure_counts_once_a_pair_and_a_claim_without_one_is_no_answer() -> None:
    events = log(
        (0, 0, EventKind.PUSHED, 0),
        (0, 0, EventKind.SHOWN, 5),
        (0, 0, EventKind.CLAIMED, 6),
        (0, 1, EventKind.PUSHED, 10),
        (1, 1, EventKind.CLAIMED, 10),
    )
    plain = response_counts(events, 10 * DAY_US, math.inf, 2, 2)
    assert plain.member_exposures.tolist() == [2.0, 0.0]
    assert plain.member_claims.tolist() == [1.0, 0.0]
    assert plain.lead_exposures.tolist() == [1.0, 1.0]
    assert plain.lead_claims.tolist() == [1.0, 0.0]
    faded = response_counts(events, 10 * DAY_US, 10.0, 2, 2)
    assert faded.member_exposures.tolist() == [1.5, 0.0]
    assert faded.member_claims.tolist() == [0.5, 0.0]


kinds = st.sampled_from([EventKind.PUSHED, EventKind.SHOWN, EventKind.CLAIMED, EventKind.OPENED])
event_rows = st.lists(
    st.tuples(st.integers(0, 3), st.integers(-1, 3), kinds, st.integers(0, 9)), max_size=40
)


@settings(max_examples=60, deadline=None)
@given(event_rows, st.sampled_from([math.inf, 3.0]))
def test_answers_never_exceed_exposures_and_both_sides_agree(
    rows: list[tuple[int, int, EventKind, int]], half_life_days: float
) -> None:
    counts = response_counts(log(*rows), 9 * DAY_US, half_life_days, 4, 4)
    assert (counts.member_claims <= counts.member_exposures + 1e-6).all()
    assert (counts.lead_claims <= counts.lead_exposures + 1e-6).all()
    np.testing.assert_allclose(counts.member_claims.sum(), counts.lead_claims.sum(), rtol=1e-5)
    np.testing.assert_allclose(counts.member_exposures.sum(), counts.lead_exposures.sum(), 1e-5)
    expected = {(m, n) for m, n, kind, _ in rows if n >= 0 and kind in (1, 2)}
    if half_life_days == math.inf:
        assert counts.lead_exposures.sum() == len(expected)


def test_smoothed_logit_is_the_prior_without_data_and_the_rate_with_much() -> None:
    logit = smoothed_logit(
        np.array([0, 0, 900], np.float32), np.array([0, 50, 1000], np.float32), 0.1, 10.0
    )
    assert logit[0] == pytest.approx(math.log(0.1 / 0.9))
    assert logit[1] < logit[0] < logit[2]
    assert logit[2] == pytest.approx(math.log(9.0), abs=0.1)
