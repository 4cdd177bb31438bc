"""Kept bytes: found again under their keys, however many there are."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recsvc.matching.kept_bytes import KeptBytes, slot_of

numbers = st.integers(-(2**31), 2**31 - 1)
keys = st.tuples(numbers, numbers, numbers, numbers) | st.tuples(*[st.integers(0, 1)] * 4)


def found(kept: KeptBytes, key: tuple[int, int, int, int]) -> bytes:
    """As compiled code looks a key up."""
    begin, length = kept.places[slot_of(kept.keys, kept.places, *key)].tolist()
    return kept.data[begin : begin + length].tobytes()


@given(st.dictionaries(keys, st.binary(min_size=1, max_size=300), max_size=200), keys)
def test_what_was_kept_is_found_and_nothing_else(
    table: dict[tuple[int, int, int, int], bytes], other: tuple[int, int, int, int]
) -> None:
    kept = KeptBytes()
    for key, value in table.items():
        kept.add(key, value)
    assert {key: found(kept, key) for key in table} == table
    assert found(kept, other) == table.get(other, b"")
    assert kept.count == len(table)
    kept.clear()
    assert found(kept, other) == b""


def test_the_first_stays_and_thousands_have_room() -> None:
    kept = KeptBytes()
    rows = np.random.default_rng(1).permutation(5_000).tolist()
    for row in [*rows, *rows]:
        kept.add((3, 1, row, -1), b"%d" % row if kept.count < 5_000 else b"another")
    assert kept.count == 5_000
    assert all(found(kept, (3, 1, row, -1)) == b"%d" % row for row in rows)
    assert 2 * kept.count <= len(kept.keys)
