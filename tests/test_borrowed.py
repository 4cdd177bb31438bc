"""Borrowed arrays: read as any others, with no references counted."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from recsvc.model.arrays import F32, I32
from recsvc.model.borrowed import borrowed
from recsvc.model.filter_world import OpenRecord, make_open_record

TABLE = np.arange(12, dtype=np.float32).reshape(4, 3)
ROWS = np.array([2, 0, 3], np.int32)


class Columns(NamedTuple):
    """Arrays in a tuple, one of them in a tuple again."""

    table: F32
    more: tuple[I32, I32]


def borrowing(table: F32, rows: I32) -> float:
    """Takes views of rows, and views of these."""
    table, rows = borrowed((table, rows))
    found = 0.0
    for row in rows:
        view = table[row]
        found += view[1:].sum() + view[0]
    return found


@intrinsic
def _counted(_: Any, array: Any) -> Any:
    """Whether references to an array are counted anywhere."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        counter = make_array(signature.args[0])(context, builder, arguments[0]).meminfo  # type: ignore[no-untyped-call]
        return cgutils.is_not_null(builder, counter)  # type: ignore[no-untyped-call]

    return types.boolean(array), generate


counted: Any = _counted


def compiled(function: Callable[..., object]) -> Any:
    """Compiled at its first call."""
    return njit(function)


def test_it_reads_the_same() -> None:
    assert compiled(borrowing)(TABLE, ROWS) == float(TABLE[ROWS].sum())


def test_neither_it_nor_its_views_are_counted() -> None:
    @compiled
    def counters(table: F32) -> tuple[bool, bool, bool]:
        lent = borrowed(table)
        return counted(table), counted(lent), counted(lent[1][1:])

    assert counters(TABLE) == (True, False, False)


def test_tuples_of_arrays_are_lent_whole() -> None:
    @compiled
    def read(columns: Columns) -> float:
        lent = borrowed(columns)
        return float(lent.table[1].sum() + lent.more[1][2])

    columns = Columns(TABLE, (ROWS, np.array([5, 6, 7], np.int32)))
    assert read(columns) == 3 + 4 + 5 + 7


def test_who_gave_an_array_keeps_it() -> None:
    lent, table = compiled(borrowing), TABLE.copy()
    before = sys.getrefcount(table)
    for _ in range(100):
        lent(table, ROWS)
    assert sys.getrefcount(table) == before
    np.testing.assert_array_equal(table, TABLE)


def test_a_record_keeps_its_arrays_as_long_as_it_lives() -> None:
    @compiled
    def read(record: OpenRecord) -> int:
        return int(record.open_in[5:].sum() * 1_000 + record.open_count[0])

    open_in = np.full(100_000, 3, np.int32)
    before = sys.getrefcount(open_in)
    record = make_open_record(open_in, np.array([7]))
    assert sys.getrefcount(open_in) > before
    for _ in range(100):
        assert read(record) == 99_995 * 3_000 + 7
    del record
    gc.collect()
    assert sys.getrefcount(open_in) == before
