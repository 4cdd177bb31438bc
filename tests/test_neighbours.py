"""Which leads go together, by a slow reading of what the two modules say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import sparse

from recsvc.model.arrays import CO_TAKEN, NO_LEAD
from recsvc.model.neighbours import MOST_OWN, Neighbours, co_taken, no_neighbours, place_of
from training.config import NeighbourConfig
from training.neighbours import learn_neighbours

CONFIG = NeighbourConfig(nearest=4, ridge=2.0, shrink=1.0)


def some_log(members: int, leads: int, seed: int = 3) -> sparse.csr_matrix:
    """Members of two tastes, each for one half of the leads; the last lead has one taker."""
    rng = np.random.default_rng(seed)
    chance = np.full((members, leads), 0.05)
    chance[: members // 2, : leads // 2] = chance[members // 2 :, leads // 2 :] = 0.5
    taken = (rng.random((members, leads)) < chance).astype(np.float32)
    taken[:, -1] = 0.0
    taken[0, -1] = 1.0
    return sparse.csr_matrix(taken)


def dense(found: Neighbours) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Rows speak for columns."""
    count = len(found.start) - 1
    matrix = sparse.csr_matrix((found.weight, found.lead, found.start), shape=(count, count))
    return np.asarray(matrix.toarray(), np.float64)


def test_each_lead_is_regressed_on_its_nearest() -> None:
    taken = some_log(60, 12)
    found = dense(learn_neighbours(taken, CONFIG, 1))
    x = taken.toarray().astype(np.float64)[:, :-1]
    common = x.T @ x
    takers = np.diag(common).copy()
    like = common / (np.sqrt(np.outer(takers, takers)) + CONFIG.shrink)
    np.fill_diagonal(like, 0.0)
    expected = np.zeros((12, 12))
    for lead in range(11):
        near = np.argsort(-like[lead], kind="stable")[: CONFIG.nearest]
        gram = common[np.ix_(near, near)] + CONFIG.ridge * np.eye(len(near))
        expected[near, lead] = np.linalg.solve(gram, common[near, lead])
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_leads_with_one_taker_say_nothing() -> None:
    found = learn_neighbours(some_log(60, 12), CONFIG, 1)
    assert not found.known()[-1]
    assert found.known()[:-1].all()


def test_few_members_are_looked_at_when_all_would_be_too_many() -> None:
    taken = some_log(400, 12)
    all_of_them = learn_neighbours(taken, CONFIG, 1)
    some = learn_neighbours(taken, replace(CONFIG, most_pairs_count=4_000), 1)
    assert len(some.lead) > 0
    assert np.abs(dense(some) - dense(all_of_them)).max() > 0.01
    assert np.corrcoef(dense(some).ravel(), dense(all_of_them).ravel())[0, 1] > 0.7


def test_nobody_s_leads_have_no_neighbours() -> None:
    nothing = learn_neighbours(sparse.csr_matrix((5, 3), dtype=np.float32), CONFIG, 1)
    assert len(nothing.start) == 4
    assert not nothing.known().any()
    leads, weights = co_taken(
        nothing, np.array([0, 1]), np.zeros(1, np.int32), np.ones(1, np.float32)
    )
    assert (leads == NO_LEAD).all()
    assert not weights.any()


def test_what_goes_with_own_leads_adds_up_and_is_not_one_s_own() -> None:
    taken = some_log(80, 30)
    found = learn_neighbours(taken, CONFIG, 1)
    starts = taken.indptr.astype(np.int64)
    leads, weights = co_taken(found, starts, taken.indices, taken.data)
    sums = taken.toarray() @ dense(found)
    sums[taken.toarray() > 0] = 0.0
    for member in range(80):
        own = leads[member][leads[member] != NO_LEAD]
        assert (np.diff(own) > 0).all()
        np.testing.assert_array_equal(own, np.flatnonzero(sums[member] > 1e-7))
        np.testing.assert_allclose(weights[member, : len(own)], sums[member, own], atol=1e-5)
        assert not weights[member, len(own) :].any()


def test_the_list_keeps_the_best_of_the_strongest() -> None:
    """Lead i speaks for lead 100 + i alone, the more the greater i."""
    count = 400
    start = np.minimum(np.arange(count + 1), 100).astype(np.int64)
    speaks = np.arange(100, 200, dtype=np.int32)
    found = Neighbours(start, speaks, np.linspace(0.1, 1.0, 100).astype(np.float32))
    own = np.arange(100, dtype=np.int32)
    strength = np.linspace(1.0, 2.0, 100).astype(np.float32)
    leads, weights = co_taken(found, np.array([0, 100]), own, strength)
    strongest = np.arange(200 - min(MOST_OWN, CO_TAKEN), 200)
    np.testing.assert_array_equal(leads[0, : len(strongest)], strongest)
    assert weights[0, 0] < weights[0, len(strongest) - 1]


def test_rows_are_found_in_ascending_lists() -> None:
    rows = np.array([2, 5, 9, NO_LEAD, NO_LEAD], np.int32)
    assert [place_of(rows, row) for row in (2, 5, 9, 0, 6, 10)] == [0, 1, 2, -1, -1, -1]
    assert place_of(rows[:0], 3) == -1
    assert not no_neighbours(3).known().any()
