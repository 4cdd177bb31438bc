"""Places of activity: where a member's history gathers, by hand-made maps and a slow reading."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from features.activity import ACTIVITY_PLACES, REACH_KM, activity_places
from features.location import haversine_km

KM_RAD = 1.0 / 6371.0088
"""About a kilometre to the north."""


def places_of(weights: list[float], north_km: list[float]) -> list[float]:
    """Places of one member (kilometres north, rounded) whose leads lie on one line."""
    latitude = (0.5 + np.array(north_km) * KM_RAD).astype(np.float32)
    longitude = np.full(len(north_km), 1.9, np.float32)
    starts = np.array([0, len(weights)])
    lead = np.arange(len(weights), dtype=np.int32)
    found, _, _ = activity_places(starts, lead, np.array(weights, np.float32), latitude, longitude)
    assert found.shape == (1, ACTIVITY_PLACES)
    return [round(float(x - 0.5) / KM_RAD, 1) for x in found[0] if not np.isnan(x)]


def test_the_heaviest_place_comes_first_and_takes_its_surroundings() -> None:
    assert places_of([1, 1, 1, 2.5], [0, 0.8, 1.6, 50]) == [0.8, 50.0]
    assert places_of([1, 1, 1, 3.5], [0, 0.8, 1.6, 50]) == [50.0, 0.8]


def test_no_more_than_four_places_are_kept() -> None:
    assert places_of([1, 2, 3, 4, 5, 6], [0, 10, 20, 30, 40, 50]) == [50, 40, 30, 20]


def test_what_does_not_count_is_no_place() -> None:
    assert places_of([-1.0, 0.0], [0, 10]) == []
    assert places_of([-9.0, 1.0], [0, 0.2]) == [0.2]
    assert places_of([], []) == []
    assert places_of([5.0, 1.0], [float("nan"), 3]) == [3.0]


def test_members_do_not_share_places() -> None:
    latitude = np.array([0.5, 0.6], np.float32)
    longitude = np.array([1.9, 1.9], np.float32)
    starts, lead = np.array([0, 1, 1, 3]), np.array([0, 1, 0], np.int32)
    weights = np.array([1.0, 2.0, 1.0], np.float32)
    found, east, share = activity_places(starts, lead, weights, latitude, longitude)
    np.testing.assert_array_equal(np.isfinite(found).sum(axis=1), [1, 0, 2])
    np.testing.assert_array_equal(found[2, :2], latitude[[1, 0]])
    np.testing.assert_array_equal(np.isfinite(found), np.isfinite(east))
    wanted = np.array([[1, 0, 0], [0, 0, 0], [2 / 3, 1 / 3, 0]], np.float32)
    np.testing.assert_allclose(share[:, :3], wanted, atol=1e-6)


def slow_places(
    weights: list[float], spots: list[tuple[float, float]]
) -> list[tuple[float, float]]:
    """The same, read off the docstring."""
    left = {i: w for i, w in enumerate(weights) if w > 0 and not np.isnan(spots[i][0])}

    def near(i: int) -> list[int]:
        return [j for j in left if haversine_km(*spots[i], *spots[j]) <= REACH_KM]

    found: list[tuple[float, float]] = []
    while left and len(found) < ACTIVITY_PLACES:
        best = max(left, key=lambda i: (sum(left[j] for j in near(i)), -i))
        found.append(spots[best])
        for j in near(best):
            del left[j]
    return found


spots = st.tuples(st.integers(0, 4), st.integers(0, 4))


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(-1, 7), spots), max_size=25))
def test_places_are_what_the_description_says(events: list[tuple[int, tuple[int, int]]]) -> None:
    weights = [float(w) for w, _ in events]
    where = np.array([s for _, s in events], np.float32).reshape(-1, 2) * np.float32(0.7 * KM_RAD)
    where += np.float32(0.4)
    starts, lead = np.array([0, len(events)]), np.arange(len(events), dtype=np.int32)
    found = activity_places(
        starts, lead, np.array(weights, np.float32), where[:, 0].copy(), where[:, 1].copy()
    )
    pairs = np.stack([found[0][0], found[1][0]], axis=1)
    expected = slow_places(weights, [(float(a), float(b)) for a, b in where])
    np.testing.assert_array_equal(pairs[: len(expected)], np.array(expected).reshape(-1, 2))
    assert np.isnan(pairs[len(expected) :]).all()
