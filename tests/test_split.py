"""Cutting a log: no future in the past, and where there are no times, the same cut every night."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.worlds import log_of, make_event, tiny_dataset

from features.entities import EventKind
from features.events import EventLog
from training.config import SplitConfig
from training.split import begun_us, halves, held_from_us, pair_hash, split_log

CONFIG = SplitConfig()
LEADS = 80


def log(rows: list[tuple[int, int, int]]) -> EventLog:
    """(member, lead, time)."""
    data = tiny_dataset()
    events = [make_event(EventKind.CLAIMED, time_us, m, j) for m, j, time_us in rows]
    return log_of(events, data.member_ids, data.lead_ids)


timed = st.lists(
    st.tuples(st.integers(0, 39), st.integers(-1, 79), st.integers(0, 9)), min_size=1, max_size=60
)


@given(timed, st.floats(0.05, 0.6))
def test_with_times_everything_late_is_later(
    rows: list[tuple[int, int, int]], share: float
) -> None:
    events = log(rows)
    found = split_log(events, LEADS, SplitConfig(later_share=share), seed=1)
    assert EventLog.concat([found.early, found.later]).equals(events) or not events.has_times
    assert len(found.early) + len(found.later) == len(events)
    if events.has_times:
        assert found.early.time_us.max() < found.cut_time_us <= found.later.time_us.min()
        # As large as asked for, as far as events of one instant stay together.
        at_cut = int((events.time_us == found.cut_time_us).sum())
        first = int((events.time_us == events.time_us[0]).sum())
        assert len(found.later) <= max(share * len(events) + 1 + at_cut, len(events) - first)


def test_a_log_that_begins_with_a_crowd_still_has_an_early_part() -> None:
    found = split_log(log([(m, 1, 5) for m in range(39)] + [(39, 1, 9)]), LEADS, CONFIG, seed=1)
    assert len(found.early) == 39
    assert found.later.member.tolist() == [39]


def timeless(count: int, leads: int, seed: int) -> EventLog:
    rng = np.random.default_rng(seed)
    return log([(int(rng.integers(0, 40)), int(rng.integers(0, leads)), 7) for _ in range(count)])


@settings(max_examples=30)
@given(st.integers(10, 200), st.integers(5, 80), st.integers(0, 99))
def test_without_times_a_pair_stays_on_its_side(count: int, leads: int, seed: int) -> None:
    events = timeless(count, leads, seed)
    found = split_log(events, LEADS, CONFIG, seed=3)
    assert found.cut_time_us == 0
    assert len(found.early) + len(found.later) == count
    sides = [set(zip(s.member, s.lead, strict=True)) for s in (found.early, found.later)]
    assert not sides[0] & sides[1]
    # Tomorrow's log holds more events, and those of today are where they were.
    more = EventLog.concat([events, timeless(50, leads, seed + 1)])
    again = split_log(more, LEADS, CONFIG, seed=3)
    early = set(zip(again.early.member, again.early.lead, strict=True))
    if np.unique(more.lead).size == np.unique(events.lead).size:
        assert sides[0] <= early


def test_without_times_the_shares_are_as_asked() -> None:
    member, lead = np.meshgrid(np.arange(20), np.arange(500))
    columns = log([(1, 1, 7)] * member.size).to_arrays()
    events = EventLog.from_columns(columns | {"member": member.ravel(), "lead": lead.ravel()})
    found = split_log(events, lead_count=1_000, config=CONFIG, seed=2)
    assert len(found.later) / len(events) == pytest.approx(0.2, abs=0.03)
    # Half of all leads are untouched, so half of the later part is cut by whole leads.
    cold = set(found.later.lead.tolist()) - set(found.early.lead.tolist())
    assert len(cold) / 500 == pytest.approx(0.1, abs=0.03)
    other = split_log(events, lead_count=1_000, config=CONFIG, seed=4)
    assert not other.later.equals(found.later)
    full = split_log(events, lead_count=500, config=CONFIG, seed=2)
    assert set(full.later.lead.tolist()) <= set(full.early.lead.tolist())


def shown(rows: list[tuple[EventKind, int, int, int]]) -> EventLog:
    """(kind, member, lead, time)."""
    data = tiny_dataset()
    events = [make_event(kind, time_us, m, j) for kind, m, j, time_us in rows]
    return log_of(events, data.member_ids, data.lead_ids)


def test_a_lead_is_held_out_from_one_of_its_exposures_on() -> None:
    pushed = [(EventKind.PUSHED, m, j, 100 * m + j) for m in range(20) for j in range(80)]
    events = shown(pushed + [(EventKind.OPENED, 0, j, 5_000) for j in range(80)])
    from_us = held_from_us(events, LEADS + 1, 0.0, seed=1)
    assert from_us[LEADS] == np.iinfo(np.int64).min
    before = (from_us[:LEADS] - np.arange(80)) / 100
    assert set(before.tolist()) <= set(range(20))
    # Anywhere in its life as likely as anywhere else: the mean of 80 draws of 0 to 19.
    assert before.mean() == pytest.approx(9.5, abs=3 * 5.8 / 80**0.5)
    whole = held_from_us(events, LEADS, 0.5, seed=1) == np.iinfo(np.int64).min
    assert whole.mean() == pytest.approx(0.5, abs=0.2)
    assert (held_from_us(events, LEADS, 1.0, seed=1) == np.iinfo(np.int64).min).all()


def test_a_pair_begins_with_its_first_exposure() -> None:
    events = shown(
        [
            (EventKind.OPENED, 1, 1, 2),
            (EventKind.PUSHED, 1, 1, 3),
            (EventKind.OPENED, 2, 1, 4),
            (EventKind.PUSHED, 1, 1, 5),
            (EventKind.CLAIMED, 1, 1, 6),
            (EventKind.CLAIMED, 2, 1, 7),
        ]
    )
    assert begun_us(events).tolist() == [3, 3, 4, 3, 3, 4]


def test_an_answer_stays_with_its_exposure() -> None:
    pushed = [(EventKind.PUSHED, m, j, 100 * m) for m in range(20) for j in range(80)]
    claimed = [(EventKind.CLAIMED, m, j, 100 * m + 350) for m in range(20) for j in range(80)]
    found = split_log(shown(pushed + claimed), LEADS, SplitConfig(taught_share=1.0), seed=1)
    early, later = (
        set(zip(part.member.tolist(), part.lead.tolist(), part.kind.tolist(), strict=True))
        for part in (found.early, found.later)
    )
    assert early
    for member, lead, kind in early:
        if kind == EventKind.PUSHED and 100 * member + 350 < found.cut_time_us:
            assert (member, lead, EventKind.CLAIMED) in early
    known = {lead for _, lead, _ in early}
    assert 0.25 < len(known) / LEADS < 0.75
    assert {lead for _, lead, _ in later} == set(range(LEADS))


def test_an_empty_log_gives_empty_parts() -> None:
    found = split_log(EventLog.empty(), 5, CONFIG, seed=1)
    assert (len(found.early), len(found.later), found.cut_time_us) == (0, 0, 0)


def test_a_log_of_one_event_is_one_part() -> None:
    found = split_log(log([(1, 1, 5)]), LEADS, CONFIG, seed=1)
    assert len(found.early) + len(found.later) == 1


def test_hashes_are_even_and_do_not_depend_on_the_order() -> None:
    first = np.repeat(np.arange(200, dtype=np.int32), 200)
    second = np.tile(np.arange(-1, 199, dtype=np.int32), 200)
    found = pair_hash(first, second, 9)
    assert found.min() >= 0.0
    assert found.max() < 1.0
    histogram = np.histogram(found, bins=20)[0] / len(found)
    np.testing.assert_allclose(histogram, 0.05, atol=0.005)
    order = np.random.default_rng(0).permutation(len(first))
    np.testing.assert_array_equal(pair_hash(first[order], second[order], 9), found[order])
    for other in (pair_hash(second, first, 9), pair_hash(first, second, 10)):
        assert abs(float(np.corrcoef(found, other)[0, 1])) < 0.02


def test_hashes_are_the_same_on_every_machine() -> None:
    """Otherwise nights on two machines would judge on different pairs."""
    found = pair_hash(np.array([1, 7], np.int32), np.array([2, -1], np.int32), 3)
    np.testing.assert_allclose(found, [0.46309206, 0.58244959], atol=1e-8)


def test_halves_are_the_same_members_every_time() -> None:
    rows = np.array([5, 9, 5, 700, 9, 5], np.int32)
    found = halves(rows, seed=1)
    assert found[0] == found[2] == found[5]
    assert found[1] == found[4]
    share = halves(np.arange(2_000, dtype=np.int32), seed=1).mean()
    assert share == pytest.approx(0.5, abs=0.05)
