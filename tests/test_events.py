"""EventLog: order, selection and the checks of its constructor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from features.entities import EventKind
from features.errors import DataError
from features.events import COLUMN_TYPES, EventLog

Rows = Sequence[tuple[float, ...]]

ROWS = st.lists(
    st.tuples(
        st.integers(0, 9),
        st.integers(-1, 9),
        st.sampled_from([kind.value for kind in EventKind]),
        st.integers(-3, 3),
        st.integers(-1, 20),
        st.floats(0, 1, width=32) | st.just(float("nan")),
        st.floats(0, 5, width=32) | st.just(float("nan")),
        st.integers(0, 4),
        st.integers(0, 3),
    ),
    max_size=12,
)


def _columns(rows: Rows) -> dict[str, NDArray[np.float64]]:
    table = np.array(rows, np.float64).reshape(len(rows), len(COLUMN_TYPES))
    return dict(zip(COLUMN_TYPES, table.T, strict=True))


def _log(rows: Rows) -> EventLog:
    return EventLog.from_columns(_columns(rows))


def _tuples(log: EventLog) -> list[tuple[str, ...]]:
    return [tuple(map(str, row)) for row in zip(*log.to_arrays().values(), strict=True)]


@given(ROWS)
def test_events_are_sorted_by_time_and_keep_their_order_within_an_instant(
    rows: Rows,
) -> None:
    log = _log(rows)
    expected = [rows[i] for i in sorted(range(len(rows)), key=lambda i: rows[i][3])]
    assert len(log) == len(rows)
    for place, name in enumerate(COLUMN_TYPES):
        column = getattr(log, name)
        assert column.dtype == COLUMN_TYPES[name]
        assert np.array_equal(
            column.astype(np.float64), [row[place] for row in expected], equal_nan=True
        )


@given(ROWS, ROWS)
def test_concat_is_the_same_as_one_log_of_both(first: Rows, second: Rows) -> None:
    assert EventLog.concat([_log(first), _log(second)]).equals(_log([*first, *second]))


@given(ROWS)
def test_arrays_give_the_same_log_back(rows: Rows) -> None:
    log = _log(rows)
    assert EventLog.from_columns(log.to_arrays()).equals(log)


@given(ROWS)
def test_select_keeps_exactly_what_the_mask_says(
    rows: Rows,
) -> None:
    log = _log(rows)
    mask = log.member % 2 == 0
    expected = [row for row, keep in zip(_tuples(log), mask, strict=True) if keep]
    assert _tuples(log.select(mask)) == expected


@given(ROWS)
def test_of_kind_parts_the_log(rows: Rows) -> None:
    log = _log(rows)
    claimed = log.of_kind(EventKind.CLAIMED, EventKind.RATED)
    others = log.of_kind(*(set(EventKind) - {EventKind.CLAIMED, EventKind.RATED}))
    assert set(claimed.kind.tolist()) <= {7, 11}
    assert not set(others.kind.tolist()) & {7, 11}
    assert sorted(_tuples(claimed) + _tuples(others)) == sorted(_tuples(log))


@pytest.mark.parametrize(
    ("times", "has_times"), [([], False), ([5], False), ([5, 5, 5], False), ([5, 5, 6], True)]
)
def test_one_instant_is_no_time(times: list[int], has_times: bool) -> None:
    rows = [(0.0, 0.0, 7.0, float(t), -1.0, 0.5, 0.5, 0.0, 0.0) for t in times]
    assert _log(rows).has_times is has_times


def test_logs_that_differ_are_not_equal() -> None:
    row = (0.0, 0.0, 7.0, 1.0, -1.0, float("nan"), 0.5, 0.0, 0.0)
    log = _log([row])
    assert not log.equals(_log([row, row]))
    assert not log.equals(replace(log, rating=np.array([0.25], np.float32)))


def test_columns_out_of_order_are_refused() -> None:
    log = _log([(0.0, 0.0, 7.0, float(t), -1.0, 0.5, 0.5, 0.0, 0.0) for t in (1, 2)])
    with pytest.raises(DataError, match="not in order of time"):
        replace(log, time_us=log.time_us[::-1])


def test_a_wrong_dtype_or_length_is_refused() -> None:
    log = _log([(0.0, 0.0, 7.0, 1.0, -1.0, 0.5, 0.5, 0.0, 0.0)])
    with pytest.raises(DataError, match=r"column lead is int64\[1\]: expected int32\[1\]"):
        replace(log, lead=log.lead.astype(np.int64))
    with pytest.raises(DataError, match=r"column wave is int16\[2\]: expected int16\[1\]"):
        replace(log, wave=np.zeros(2, np.int16))


def test_a_mask_of_another_length_or_kind_is_refused() -> None:
    log = _log([(0.0, 0.0, 7.0, 1.0, -1.0, 0.5, 0.5, 0.0, 0.0)])
    with pytest.raises(DataError, match=r"expected bool\[1\]"):
        log.select(np.array([True, False]))
    with pytest.raises(DataError, match=r"expected bool\[1\]"):
        log.select(np.array([0]))
