"""CSV: what Arrow splits and where the second pass finds it must be the same records."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from features.errors import DataError
from training.tables import csv_format
from training.tables.csv_records import split_records
from training.tables.schema import MEMBERS

HEADER = "member_id,name"
PIECES = st.lists(
    st.sampled_from(['"', '""', ",", "\n", "\r\n", "\r", "a", "b c", "人"]), max_size=24
).map("".join)


def _write(folder: Path, text: str | bytes, name: str = "members.csv") -> Path:
    path = folder / name
    data = text if isinstance(text, bytes) else text.encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


def _scan(path: Path) -> tuple[dict[int, list[str]], dict[int, str]]:
    """(good rows, reasons of the others), both by record number."""
    good: dict[int, list[str]] = {}
    bad: dict[int, str] = {}
    for batch in csv_format.scan(path, MEMBERS):
        rows = [list(row) for row in batch.frame.iter_rows()]
        good.update(zip(batch.records.tolist(), rows, strict=True))
        bad.update(batch.broken)
    return good, bad


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("csv")


@settings(deadline=None)  # files on a busy machine
@given(PIECES)
@example(',"\n')
@example('x,"a\n\nb"\ny,z')
@example('x,a"b\ny,"c"d"e\n"",')
@example('x,"a""\n""b"\r\n\r\ny,1,2\rz,3')
def test_both_passes_see_the_same_records(folder: Path, text: str) -> None:
    path = _write(folder, f"{HEADER}\n{text}")
    try:
        good, bad = _scan(path)
    except DataError as error:
        assert "is not closed" in str(error)  # noqa: PT017 (only some texts raise)
        return
    records = list(split_records(io.StringIO(text, newline="")))
    assert sorted([*good, *bad]) == list(range(len(records)))
    found = {place.record: place for place in csv_format.locate(path, MEMBERS, sorted(bad))}
    assert {n: place.line for n, place in found.items()} == {n: records[n][0] + 1 for n in bad}
    for number, (member_id, name) in good.items():
        raw = records[number][1].rstrip("\r\n").replace('"', "")
        assert f"{member_id},{name}".replace('"', "") == raw


@settings(deadline=None)  # files on a busy machine
@given(
    st.lists(st.tuples(st.text("ab人 ", min_size=1), st.text('ab,"\n\r人', max_size=6)), min_size=1)
)
def test_properly_quoted_fields_come_back(folder: Path, rows: list[tuple[str, str]]) -> None:
    lines = ['"{}","{}"'.format(a, b.replace('"', '""')) for a, b in rows]
    good, bad = _scan(_write(folder, HEADER + "\n" + "\n".join(lines) + "\n"))
    assert not bad
    assert [good[n] for n in range(len(rows))] == [list(row) for row in rows]


def test_records_are_numbered_across_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_format, "BLOCK_BYTES", 64)
    rows = [f"m{i},x" if i % 7 else f"m{i}" for i in range(200)]
    good, bad = _scan(_write(tmp_path, "\n".join([HEADER, *rows])))
    assert sorted(bad) == [i for i in range(200) if i % 7 == 0]
    assert all(good[i] == [f"m{i}", "x"] for i in good)
    assert len(good) + len(bad) == 200


def test_lines_count_from_the_start_of_the_record(tmp_path: Path) -> None:
    text = f'\n{HEADER}\nm1,"two\nlines"\n\nm2\nm3,"x\n\n\ny"\nm4,1,2\n'
    path = _write(tmp_path, text, "members.csv.gz")
    _, bad = _scan(path)
    places = list(csv_format.locate(path, MEMBERS, sorted(bad)))
    assert [(place.line, place.raw) for place in places] == [(6, "m2"), (11, "m4,1,2")]
    assert list(bad.values()) == ["1 columns instead of 2", "3 columns instead of 2"]


def test_a_raw_row_is_shortened(tmp_path: Path) -> None:
    path = _write(tmp_path, f"{HEADER}\nm1,{'x' * 600},\n")
    (place,) = csv_format.locate(path, MEMBERS, [0])
    assert place.raw == "m1," + "x" * 497


def test_a_byte_order_mark_and_spaces_in_the_header_are_fine(tmp_path: Path) -> None:
    good, _ = _scan(_write(tmp_path, b"\xef\xbb\xbf member_id , name\r\nm1,x\r\n"))
    assert good == {0: ["m1", "x"]}


def test_columns_are_matched_by_name_and_unknown_ones_left_out(tmp_path: Path) -> None:
    path = _write(tmp_path, "shoe size,name,member_id,,\n43,x,m1,,\n")
    (first, _) = csv_format.scan(path, MEMBERS)
    assert first.frame.to_dicts() == [{"member_id": "m1", "name": "x"}]
    assert first.unknown == {"shoe size", ""}


def test_only_the_row_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    data = f"{HEADER}\nm1,好\nm2,".encode() + "坏".encode("gbk") + "\nm3,好\n".encode()
    good, bad = _scan(_write(tmp_path, data))
    assert good == {0: ["m1", "好"], 2: ["m3", "好"]}
    assert bad == {1: "not UTF-8 text"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty: expected a header line with member_id, organization_id"),
        ("\n\n", "is empty: expected a header line"),
        ("name,age\nx,1\n", "has no column member_id: expected the columns member_id .*found: nam"),
        ("member_id;name\nx;1\n", "has no column member_id.*found: member_id;name"),
        ("member_id,name,name\nx,1,2\n", "has the column name twice"),
        (f'{HEADER}\nm1,x\nm2,"y\nm3,z\n', "starts at line 3 is not closed before the end"),
        ('member_id,note\nm1,"y\nm3,z\n', "starts at line 2 is not closed before the end"),
        (f'{HEADER}\nm1,x\n"m2,y\nm3,z\n', "starts at line 3 is not closed before the end"),
        (f'"{HEADER}\n' + "m1,x\n" * 40_000, "is no CSV header"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        _scan(_write(tmp_path, text))


def test_a_row_larger_than_a_block_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_format, "BLOCK_BYTES", 64)
    text = f'{HEADER}\nm1,x\nm2,"' + "m1,x\n" * 100
    with pytest.raises(DataError, match=r"is a quote not closed .* line 3 \(504 characters"):
        _scan(_write(tmp_path, text))


@pytest.mark.parametrize("data", [b"no gzip at all", gzip.compress(b"member_id\n" * 999)[:-9], b""])
def test_a_damaged_archive_says_so(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "members.csv.gz"
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"members\.csv\.gz (cannot be read|is empty)"):
        _scan(path)
