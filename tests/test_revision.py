"""The revision: a canonical, URL-safe text with set-like order."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsvc.store.revision import MAX_BUCKETS, NOTHING, START, Position, Revision, RevisionError

numbers = st.integers(0, 2**64 - 1)
revisions = st.dictionaries(
    st.integers(0, MAX_BUCKETS - 1), st.builds(Position, numbers, numbers), max_size=12
).map(Revision.of)


@given(revisions)
def test_text_round_trip_is_url_safe(revision: Revision) -> None:
    text = str(revision)
    assert Revision.parse(text) == revision
    assert quote(text, safe="") == text


@given(st.text(alphabet="0123456789.-_ ", max_size=30))
def test_whatever_parses_is_canonical(text: str) -> None:
    try:
        revision = Revision.parse(text)
    except RevisionError:
        return
    assert str(revision) == text


@given(revisions, revisions, revisions)
def test_merge_covers_all_and_floor_is_covered(a: Revision, b: Revision, c: Revision) -> None:
    merged, floor = a.merge(b, c), a.floor(b, c)
    assert all(merged.covers(x) and x.covers(floor) for x in (a, b, c))
    assert merged == c.merge(b).merge(a)
    assert floor == c.floor(b).floor(a)
    assert a.merge(a) == a == a.floor(a)


@given(revisions, revisions)
def test_covers_is_a_partial_order(a: Revision, b: Revision) -> None:
    assert a.covers(a)
    assert a.covers(NOTHING)
    assert (a.covers(b) and b.covers(a)) == (a == b)
    assert a.covers(b) == (a.merge(b) == a)


@given(revisions)
def test_includes_its_own_positions_and_nothing_after(revision: Revision) -> None:
    for bucket, position in revision.positions:
        assert revision.position(bucket) == position
        assert revision.includes(bucket, position)
        assert not revision.includes(bucket, Position(position.milliseconds + 1, 0))


def test_buckets_at_the_start_are_left_out() -> None:
    assert Revision.of({3: START}) == NOTHING
    assert str(NOTHING) == ""
    assert not NOTHING
    assert NOTHING.position(3) == START


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "0",
        "0.1",
        "0.1-",
        "0.1-2_",
        "0.01-2",
        "0.0-0",
        "0.1-2 ",
        "1.1-1_0.1-1",
        "0.1-1_0.2-2",
        "1024.1-1",
        "0.18446744073709551616-0",
        "٣.1-1",
        "_".join(["0.1-1"] * 5000),
    ],
)
def test_malformed_texts_are_refused(text: str) -> None:
    with pytest.raises(RevisionError, match="malformed revision"):
        Revision.parse(text)
