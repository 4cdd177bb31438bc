"""Ids and rows are one-to-one, also after a round trip through arrays."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import DataError, UnknownIdError
from features.vocabulary import Vocabulary, pack_bytes, pack_strings, unpack_strings

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@given(st.lists(texts, unique=True, max_size=20))
def test_rows_and_ids_are_inverse_and_survive_arrays(ids: list[str]) -> None:
    for vocabulary in (Vocabulary(ids), Vocabulary.from_arrays(*Vocabulary(ids).to_arrays())):
        assert list(vocabulary) == list(vocabulary.ids) == ids
        assert len(vocabulary) == len(ids)
        assert [vocabulary.row(i) for i in ids] == list(range(len(ids)))
        assert vocabulary.rows(ids, "error").tolist() == list(range(len(ids)))
        assert all(i in vocabulary for i in ids)


@given(st.lists(texts, min_size=2, max_size=10))
def test_an_id_that_comes_twice_is_named(ids: list[str]) -> None:
    twice = [*ids, ids[0]]
    with pytest.raises(DataError, match="comes twice") as caught:
        Vocabulary(twice)
    assert any(repr(i) in str(caught.value) for i in ids)


def test_a_missing_id_is_what_the_caller_chose() -> None:
    vocabulary = Vocabulary(["a", "b"])
    assert vocabulary.get("c") == -1
    assert "c" not in vocabulary
    assert vocabulary.rows(["b", "c", "a"], "minus_one").tolist() == [1, -1, 0]
    with pytest.raises(UnknownIdError, match="'c'"):
        vocabulary.row("c")
    with pytest.raises(UnknownIdError, match="'c'"):
        vocabulary.rows(["a", "c"], "error")


@given(st.lists(texts, max_size=10))
def test_strings_survive_packing(strings: list[str]) -> None:
    data, offsets = pack_strings(strings)
    assert unpack_strings(data, offsets) == strings
    assert len(offsets) == len(strings) + 1
    assert offsets[-1] == len(data)


@given(st.lists(st.binary(max_size=6), max_size=10))
def test_bytes_lie_between_their_offsets(blobs: list[bytes]) -> None:
    data, offsets = pack_bytes(blobs)
    found = [data[a:b].tobytes() for a, b in pairwise(offsets.tolist())]
    assert found == blobs
