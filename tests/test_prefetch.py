"""Rows that are asked for beforehand: an instruction a line, and nothing else changes."""

from __future__ import annotations

import re

import numpy as np
import pytest
from numba import njit

from recsvc.model.arrays import I32
from recsvc.model.prefetch import prefetch_rows

ROWS = np.array([2, 0], np.int32)
FAR = np.array([10**8], np.int32)


@pytest.mark.parametrize(
    "column", [np.ones(3, np.float32), np.ones((3, 40)), np.ones((3, 2, 40), np.int8)]
)
def test_an_array_of_any_kind_is_asked_for(column: np.ndarray[tuple[int, ...], np.dtype]) -> None:
    def ask(column: np.ndarray[tuple[int, ...], np.dtype], rows: I32) -> None:
        prefetch_rows(column, rows)

    compiled = njit(ask)
    before = column.copy()
    compiled(column, ROWS)
    compiled(column, FAR)  # there is none: it does no harm
    np.testing.assert_array_equal(column, before)
    assert re.search(r"prefetch|prfm", "".join(compiled.inspect_asm().values()))
