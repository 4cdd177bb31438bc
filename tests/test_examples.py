"""Examples for the ranker: who is a refusal, who is censored, and what could have been offered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from support.worlds import (
    CONFIG,
    DAY_US,
    log_of,
    make_event,
    spectral_fit,
    tiny_catalog,
    tiny_dataset,
    tiny_state,
)

from features.entities import EventKind
from features.events import EventLog
from recsvc.model.terms import FEATURE_COUNT, INDEX
from training.config import ExampleConfig, SplitConfig
from training.examples import (
    CHOICES,
    chosen_pairs,
    features_of,
    with_negatives,
    with_other_members,
)
from training.exposures import Pairs, exposed_pairs, weights_of
from training.split import split_log
from training.state import State, learn_state

Row = tuple[EventKind, float, int, int]
PUSHED, SHOWN, CLAIMED = EventKind.PUSHED, EventKind.SHOWN, EventKind.CLAIMED
UNLIMITED = np.full(80, -1, np.int32)
END: Row = (EventKind.OPENED, 100.0, 39, 79)
"""Keeps the log's end far from what the cases are about."""


def log(rows: Sequence[Row]) -> EventLog:
    """(kind, day, member, lead)."""
    data = tiny_dataset()
    events = [make_event(k, int(day * DAY_US) + DAY_US, m, j) for k, day, m, j in rows]
    return log_of(events, data.member_ids, data.lead_ids)


def labelled(
    rows: Sequence[Row], least: float = 0.999, **capacity: int
) -> dict[tuple[int, int], float]:
    """(member, lead) -> label, of the pairs that are left and weigh at least so much."""
    limits = UNLIMITED.copy()
    for lead, limit in capacity.items():
        limits[int(lead[1:])] = limit
    found = exposed_pairs(log(rows), limits, SplitConfig(attribution_days=7.0))
    found = found.select(weights_of(found) >= least)
    pairs = zip(found.member.tolist(), found.lead.tolist(), strict=True)
    result = dict(zip(pairs, found.label.tolist(), strict=True))
    assert len(result) == len(found), "a pair comes once"
    return result


@pytest.mark.parametrize("kind", [PUSHED, SHOWN])
def test_what_was_claimed_after_it_was_exposed_is_taken_the_rest_refused(kind: EventKind) -> None:
    rows: list[Row] = [(kind, 1, 1, 1), (kind, 1, 2, 1), (CLAIMED, 2, 1, 1), END]
    assert labelled(rows) == {(1, 1): 1.0, (2, 1): 0.0}


def test_a_claim_out_of_nowhere_is_no_example() -> None:
    assert labelled([(CLAIMED, 1, 1, 1), (PUSHED, 1, 2, 2), END]) == {(2, 2): 0.0}


def test_a_pair_counts_once_from_its_first_exposure() -> None:
    rows: list[Row] = [(PUSHED, 1, 1, 1), (SHOWN, 3, 1, 1), (PUSHED, 5, 1, 1), END]
    assert labelled(rows) == {(1, 1): 0.0}
    found = exposed_pairs(log(rows), UNLIMITED, SplitConfig())
    assert found.time_us.tolist() == [2 * DAY_US]


def test_what_was_claimed_before_it_was_exposed_is_neither() -> None:
    rows: list[Row] = [(CLAIMED, 1, 1, 1), (PUSHED, 2, 1, 1), (PUSHED, 2, 2, 1), END]
    assert labelled(rows) == {(2, 1): 0.0}
    assert labelled([*rows, (CLAIMED, 3, 1, 1)]) == {(1, 1): 1.0, (2, 1): 0.0}


def test_a_claim_at_the_instant_of_the_push_counts() -> None:
    assert labelled([(PUSHED, 1, 1, 1), (CLAIMED, 1, 1, 1), END]) == {(1, 1): 1.0}


def test_a_push_too_young_to_tell_is_censored_unless_it_was_answered() -> None:
    rows: list[Row] = [
        (PUSHED, 92, 1, 1),
        (PUSHED, 93.5, 2, 1),
        (PUSHED, 93.5, 3, 1),
        (CLAIMED, 94, 3, 1),
        END,
    ]
    assert labelled(rows) == {(1, 1): 0.0, (3, 1): 1.0}


def test_a_lost_race_is_no_refusal() -> None:
    """Lead 1 takes two: it was full on day 4."""
    rows: list[Row] = [
        *((PUSHED, 3, m, 1) for m in (1, 2, 3)),
        (CLAIMED, 3.5, 1, 1),
        (CLAIMED, 4, 2, 1),
        (PUSHED, 3, 4, 2),  # another lead
        END,
    ]
    assert labelled(rows, l1=2) == {(1, 1): 1.0, (2, 1): 1.0, (4, 2): 0.0}
    assert labelled(rows) == {(1, 1): 1.0, (2, 1): 1.0, (3, 1): 0.0, (4, 2): 0.0}
    assert labelled(rows, l1=3)[3, 1] == 0.0


def test_a_race_that_was_lost_after_the_window_was_a_refusal() -> None:
    rows: list[Row] = [(PUSHED, 1, 1, 1), (CLAIMED, 9, 2, 1), END]
    assert labelled(rows, l1=1) == {(1, 1): 0.0}
    assert labelled([(PUSHED, 2.5, 1, 1), *rows[1:]], l1=1) == {}


def test_one_member_who_claims_twice_takes_one_place() -> None:
    rows: list[Row] = [(CLAIMED, 1, 2, 1), (CLAIMED, 2, 2, 1), (PUSHED, 2, 1, 1), END]
    assert labelled(rows, l1=2) == {(1, 1): 0.0}
    assert labelled([*rows, (CLAIMED, 3, 3, 1)], l1=2) == {}


def test_without_times_nothing_is_too_young_and_nobody_too_late() -> None:
    rows: list[Row] = [(PUSHED, 1, 1, 1), (PUSHED, 1, 2, 1), (CLAIMED, 1, 1, 1)]
    assert labelled(rows, l1=1) == {(1, 1): 1.0, (2, 1): 0.0}


def test_events_without_a_lead_and_empty_logs_are_no_examples() -> None:
    assert labelled([(EventKind.SEE_LESS, 1, 1, -1), END]) == {}
    assert len(exposed_pairs(EventLog.empty(), UNLIMITED, SplitConfig())) == 0


def test_silence_counts_as_far_as_there_was_time_to_answer() -> None:
    """Without many claims to learn their delays from, they count as spread over the window."""
    rows: list[Row] = [
        (PUSHED, 1, 1, 1),
        (PUSHED, 3, 2, 1),
        (CLAIMED, 6.5, 3, 1),
        (PUSHED, 7, 4, 1),
        END,
    ]
    limits = UNLIMITED.copy()
    limits[1] = 1
    found = exposed_pairs(log(rows), limits, SplitConfig(attribution_days=7.0))
    weights = dict(zip(found.member.tolist(), weights_of(found).tolist(), strict=True))
    assert weights == pytest.approx({1: 5.5 / 7, 2: 3.5 / 7}, abs=1e-5)


def test_late_silence_weighs_as_the_claims_come() -> None:
    """Claims come within a day: who had two days has refused."""
    leads = [j for j in range(2, 70) for _ in range(2)]
    rows: list[Row] = [(PUSHED, 1, m % 40, j) for m, j in enumerate(leads)]
    rows += [(CLAIMED, 1.5 + (m % 2) / 3, m % 40, j) for m, j in enumerate(leads)]
    rows += [(PUSHED, 98, 1, 1), (PUSHED, 99.4, 2, 1), END]
    found = exposed_pairs(log(rows), UNLIMITED, SplitConfig(attribution_days=7.0))
    silent = found.select(found.label == 0.0)
    weights = dict(zip(silent.member.tolist(), weights_of(silent).tolist(), strict=True))
    assert weights == pytest.approx({1: 1.0, 2: 0.5}, abs=0.01)


def test_who_dismissed_has_answered() -> None:
    rows: list[Row] = [(PUSHED, 99, 1, 1), (EventKind.DISMISSED, 99.1, 1, 1), END]
    assert labelled(rows) == {(1, 1): 0.0}


# --- pairs that members chose, and what they could have had instead


@pytest.fixture(scope="module")
def early() -> State:
    """The state in the middle of the small world's log."""
    split = middle()
    return learn_state(tiny_catalog(), split[0], spectral_fit(tiny_catalog()), CONFIG)


def middle() -> tuple[EventLog, EventLog]:
    split = split_log(tiny_dataset().events, 80, SplitConfig(later_share=0.4), seed=1)
    return split.early, split.later


def test_a_chosen_pair_is_one_that_the_member_had_not_met(early: State) -> None:
    before, later = middle()
    chosen = chosen_pairs(early, later)
    met = set(zip(before.member, before.lead, strict=True))
    expected: dict[tuple[int, int], int] = {}
    for m, j, kind, time_us in zip(
        later.member.tolist(), later.lead.tolist(), later.kind, later.time_us, strict=True
    ):
        if kind in CHOICES and j >= 0 and (m, j) not in met:
            expected.setdefault((m, j), int(time_us))
    pairs = zip(chosen.member.tolist(), chosen.lead.tolist(), strict=True)
    assert dict(zip(pairs, chosen.time_us.tolist(), strict=True)) == expected
    assert (chosen.label == 1.0).all()
    authored = chosen_pairs(early, later, (EventKind.AUTHORED,))
    assert 0 < len(authored) < len(chosen)


CONFIGURED = ExampleConfig(negatives_per_member=20)


def test_negatives_are_leads_that_the_member_could_have_been_offered(early: State) -> None:
    before, later = middle()
    chosen = chosen_pairs(early, later)
    pairs = with_negatives(early, chosen, CONFIGURED, seed=4)
    negative = pairs.select(pairs.label == 0.0)
    assert len(pairs) - len(negative) == len(chosen)
    known = set(zip(before.member, before.lead, strict=True))
    known |= set(zip(chosen.member, chosen.lead, strict=True))
    keys = list(zip(negative.member.tolist(), negative.lead.tolist(), strict=True))
    assert len(set(keys)) == len(keys)
    assert not set(keys) & known
    assert (early.leads.create_time_us[negative.lead] <= negative.time_us).all()
    assert set(negative.member.tolist()) <= set(chosen.member.tolist())
    for member in np.unique(negative.member):
        times = set(chosen.time_us[chosen.member == member].tolist())
        assert set(negative.time_us[negative.member == member].tolist()) <= times
    # Drawn evenly: nearly every lead comes up.
    assert len(np.unique(negative.lead)) > 0.8 * len(early.leads.alive)


def test_the_same_seed_gives_the_same_negatives(early: State) -> None:
    chosen = chosen_pairs(early, middle()[1])
    a, b, c = (with_negatives(early, chosen, CONFIGURED, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(a.lead, b.lead)
    assert len(a) != len(c) or (a.lead != c.lead).any()


def test_only_so_many_members_are_asked(early: State) -> None:
    chosen = chosen_pairs(early, middle()[1])
    config = ExampleConfig(most_members=5, negatives_per_member=8)
    pairs = with_negatives(early, chosen, config, seed=1)
    assert len(np.unique(pairs.member)) == 5
    positive = pairs.select(pairs.label == 1.0)
    expected = chosen.select(np.isin(chosen.member, np.unique(pairs.member)))
    assert len(positive) == len(expected)


def test_nothing_chosen_asks_for_nothing(early: State) -> None:
    none = np.zeros(0, np.int32)
    nothing = Pairs(none, none, none.astype(np.int64), none.astype(np.float32))
    assert len(with_negatives(early, nothing, CONFIGURED, seed=1)) == 0
    assert len(with_other_members(early, nothing, CONFIGURED, seed=1)) == 0
    assert features_of(early, nothing).shape == (0, FEATURE_COUNT)


def test_a_world_without_places_has_negatives_too(early: State) -> None:
    nowhere = np.full_like(early.leads.latitude_rad, np.nan)
    state = replace(early, leads=early.leads._replace(latitude_rad=nowhere))
    chosen = chosen_pairs(early, middle()[1])
    pairs = with_negatives(state, chosen, CONFIGURED, seed=1)
    assert (pairs.label == 0.0).sum() > len(chosen)


def test_an_author_competes_with_other_members_for_the_same_lead(early: State) -> None:
    authored = chosen_pairs(early, middle()[1], (EventKind.AUTHORED,))
    pairs = with_other_members(early, authored, CONFIGURED, seed=1)
    authors = set(zip(authored.member, authored.lead, strict=True))
    positive = pairs.select(pairs.label == 1.0)
    assert set(zip(positive.member, positive.lead, strict=True)) == authors
    for lead in np.unique(authored.lead):
        own = pairs.select(pairs.lead == lead)
        assert own.label.sum() >= 1
        assert (own.label == 0).sum() > 10
        assert len(np.unique(own.time_us)) == len(
            np.unique(authored.time_us[authored.lead == lead])
        )
    members = tiny_state().members.vector.shape[0]
    assert pairs.member.max() < members


def test_features_are_seen_at_each_pair_s_own_instant(early: State) -> None:
    lead = int(np.argmax(early.leads.create_time_us > 0))
    member, row = np.zeros(2, np.int32), np.full(2, lead, np.int32)
    times = early.leads.create_time_us[lead] + np.array([DAY_US, 10 * DAY_US])
    found = features_of(early, Pairs(member, row, times, np.zeros(2, np.float32)))
    age = np.expm1(found[:, INDEX["age_log_hours"]])
    np.testing.assert_allclose(age, [24.0, 240.0], rtol=1e-4)
