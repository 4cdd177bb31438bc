"""Interest and answers out of event logs, against sums made by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from features.entities import DismissReason, EventKind
from features.events import EventLog
from features.interest import (
    decay,
    event_weights,
    interest_text,
    interest_topics,
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
