"""Rows that cannot be used: why, where, how many, and when a job stops."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from dataset_files import Row, write_table

from features.errors import DataError
from training.logs import DataSet, read_dataset
from training.tables import batch, rejects

GOOD: dict[str, dict[str, str]] = {
    "members": {"member_id": "m1"},
    "leads": {"lead_id": "l1", "create_time": "2024-01-01T00:00:00Z"},
    "events": {
        "member_id": "m1",
        "lead_id": "l1",
        "kind": "SHOWN",
        "time": "2024-02-01T00:00:00Z",
    },
    "organizations": {"organization_id": "o1"},
}

CASES = [
    ("members", {"member_id": " "}, "missing member_id"),
    ("members", {"latitude": "90.5", "longitude": "0"}, "bad latitude"),
    ("members", {"latitude": "nan", "longitude": "0"}, "bad latitude"),
    ("members", {"latitude": "12", "longitude": "-180.1"}, "bad longitude"),
    ("members", {"latitude": "12"}, "latitude and longitude must come together"),
    ("members", {"longitude": "12"}, "latitude and longitude must come together"),
    ("members", {"region_code": "43a"}, "bad region_code"),
    ("members", {"region_code": "4"}, "bad region_code"),
    ("members", {"region_code": "4301021234567"}, "bad region_code"),
    ("members", {"region_code": "４３"}, "bad region_code"),
    ("members", {"weekly_push_limit": "-1"}, "bad weekly_push_limit"),
    ("members", {"weekly_push_limit": "1.5"}, "bad weekly_push_limit"),
    ("members", {"active": "perhaps"}, "bad active"),
    ("members", {"join_time": "2024-01-01"}, "unreadable join_time"),
    ("members", {"places": "{}"}, "bad places"),
    ("members", {"places": '[{"kind": "CASTLE"}]'}, "bad places"),
    ("members", {"places": '[{"latitude": 91, "longitude": 0}]'}, "bad places"),
    ("members", {"places": '[{"latitude": 1}]'}, "bad places"),
    ("members", {"places": '[{"region_code": "x"}]'}, "bad places"),
    ("leads", {"lead_id": ""}, "missing lead_id"),
    ("leads", {"create_time": ""}, "missing create_time"),
    ("leads", {"create_time": "yesterday"}, "unreadable create_time"),
    ("leads", {"close_time": "2024-01-01T00:00:00"}, "unreadable close_time"),
    ("leads", {"urgency": "4"}, "bad urgency"),
    ("leads", {"support_count": "many"}, "bad support_count"),
    ("leads", {"claim_capacity": "inf"}, "bad claim_capacity"),
    ("leads", {"state": "LOST"}, "unknown state"),
    ("events", {"kind": "LIKED"}, "unknown kind"),
    ("events", {"kind": ""}, "missing kind"),
    ("events", {"time": "1706745600"}, "unreadable time"),
    ("events", {"time": "2024-02-30T00:00:00Z"}, "unreadable time"),
    ("events", {"member_id": "m9"}, "unknown member_id"),
    ("events", {"member_id": ""}, "missing member_id"),
    ("events", {"lead_id": "l9"}, "unknown lead_id"),
    ("events", {"lead_id": ""}, "missing lead_id"),
    ("events", {"kind": "SEE_LESS", "lead_id": "l9"}, "unknown lead_id"),
    ("events", {"position": "40000"}, "bad position"),
    ("events", {"wave": "-1"}, "bad wave"),
    ("events", {"propensity": "1.01"}, "bad propensity"),
    ("events", {"rating": "good"}, "bad rating"),
    ("events", {"reason": "LAZY"}, "unknown reason"),
    ("organizations", {"organization_id": ""}, "missing organization_id"),
    ("organizations", {"level": "high"}, "bad level"),
    ("organizations", {"region_code": "湖南"}, "bad region_code"),
    ("organizations", {"jurisdiction": "OWN;ALL"}, "bad jurisdiction"),
]


def _write(folder: Path, suffix: str = "csv", **tables: Sequence[Row]) -> Path:
    for name, row in GOOD.items():
        write_table(folder / f"{name}.{suffix}", tables.get(name, [row]))
    return folder


def _with_bad(table: str, changes: Row) -> list[Row]:
    """One good, one bad, one more good row that has all the bad row's columns."""
    good = {**dict.fromkeys(changes, ""), **GOOD[table]}
    return [good, {**good, **changes}, good]


def _listed(folder: Path, table: str) -> list[dict[str, Any]]:
    lines = (folder / f"{table}.rejects.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def _rejected(data: DataSet, table: str) -> Any:
    summary = data.summary.table(table)
    assert summary is not None
    return summary.rejected


@pytest.mark.parametrize(("suffix", "first_line"), [("csv", 2), ("jsonl", 1), ("parquet", 1)])
@pytest.mark.parametrize("table", GOOD)
def test_bad_rows_are_put_aside_with_line_and_reason(
    tmp_path: Path, table: str, suffix: str, first_line: int
) -> None:
    cases = [(changes, reason) for name, changes, reason in CASES if name == table]
    empty = dict.fromkeys((column for changes, _ in cases for column in changes), "")
    good = {**empty, **GOOD[table]}
    rows = [row for changes, _ in cases for row in (good, {**good, **changes})]
    folder = _write(tmp_path / "set", suffix, **{table: rows})
    data = read_dataset(folder, max_reject_share=0.5, rejects_folder=tmp_path / "aside")
    listed = _listed(tmp_path / "aside", table)
    assert [(row["line"], row["reason"]) for row in listed] == [
        (first_line + 2 * number + 1, reason) for number, (_, reason) in enumerate(cases)
    ]
    assert {(row["table"], row["file"]) for row in listed} == {
        (table, str(folder / f"{table}.{suffix}"))
    }
    for row, (changes, _) in zip(listed, cases, strict=True):
        shown = [value for value in changes.values() if value.strip() and '"' not in value]
        assert all(value in row["raw"] for value in shown)
    assert sum(_rejected(data, table).values()) == len(cases)


def test_see_less_needs_no_lead(tmp_path: Path) -> None:
    events = _with_bad("events", {"kind": "SEE_LESS", "lead_id": ""})
    log = read_dataset(_write(tmp_path, events=events)).events
    assert log.lead.tolist() == [0, -1, 0]


def test_json_values_of_a_wrong_type_are_put_aside(tmp_path: Path) -> None:
    folder = _write(tmp_path, "jsonl")
    lines = [
        '{"member_id": "m1", "name": null, "active": true, "topics": "a;b", "latitude": null}',
        '{"member_id": {"id": 1}}',
        '{"member_id": "m3", "topics": [1]}',
        '{"member_id": "m4", "topics": {"a": 1}}',
        "",
        '{"member_id": "m5", ',
        '["m6"]',
        '{"member_id": 7, "name": 1.5, "weekly_push_limit": 2.0, "topics": ["a;b"], "places": []}',
    ]
    data = "\n".join(lines).encode() + b'\n{"member_id": "\xff"}\n\xef\xbb\xbf{}\n'
    (folder / "members.jsonl").write_bytes(b"\xef\xbb\xbf" + data)
    read = read_dataset(folder, max_reject_share=1, rejects_folder=tmp_path)
    assert [(m.member_id, m.name, m.topics) for m in read.members] == [
        ("m1", "", ("a", "b")),
        ("7", "1.5", ("a;b",)),
    ]
    assert [(r["line"], r["reason"]) for r in _listed(tmp_path, "members")] == [
        (2, "bad member_id"),
        (3, "bad topics"),
        (4, "bad topics"),
        (6, "broken JSON"),
        (7, "not a JSON object"),
        (9, "not UTF-8 text"),
        (10, "broken JSON"),
    ]


def test_jsonl_lines_count_on_across_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.tables.jsonl_format.BLOCK_BYTES", 100)
    folder = _write(tmp_path, "jsonl")
    lines = ["oops" if i % 9 == 4 else f'{{"member_id": "m{i}"}}' for i in range(60)]
    (folder / "members.jsonl").write_text("\n".join(lines))
    read = read_dataset(folder, max_reject_share=0.2, rejects_folder=tmp_path)
    assert [r["line"] for r in _listed(tmp_path, "members")] == [5, 14, 23, 32, 41, 50, 59]
    assert len(read.members) == 53


def test_parquet_rows_count_on_across_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.tables.parquet_format.BATCH_ROWS", 10)
    members = [{"member_id": None if i % 9 == 4 else f"m{i}"} for i in range(60)]
    members[0] = {"member_id": "m1"}
    folder = _write(tmp_path, "parquet", members=members)
    read_dataset(folder, max_reject_share=0.2, rejects_folder=tmp_path)
    assert [r["line"] for r in _listed(tmp_path, "members")] == [5, 14, 23, 32, 41, 50, 59]
    assert _listed(tmp_path, "members")[0]["raw"] == '{"member_id":null}'


def test_a_jsonl_file_without_a_required_column_says_what_is_expected(tmp_path: Path) -> None:
    folder = _write(tmp_path, "jsonl")
    (folder / "leads.jsonl").write_text('{"lead_id": "l1", "title": "x"}\n')
    with pytest.raises(DataError, match=r"leads\.jsonl has no column create_time: expected the c"):
        read_dataset(folder)


@pytest.mark.parametrize(("bad", "allowed"), [(1, True), (2, True), (3, False)])
def test_the_job_stops_above_the_share_and_not_at_it(
    tmp_path: Path, bad: int, allowed: bool
) -> None:
    events = [{**GOOD["events"], "kind": "x" if i < bad else "SHOWN"} for i in range(200)]
    folder = _write(tmp_path, events=events)
    if allowed:
        assert len(read_dataset(folder).events) == 200 - bad
    else:
        with pytest.raises(DataError, match=r"3 of 200 rows of events .*1\.5%, at most 1\.0%"):
            read_dataset(folder)


def test_the_error_names_the_worst_reasons_and_where_to_look(tmp_path: Path) -> None:
    kinds = ["SHOWN"] * 70 + ["LIKED"] * 20 + [""] * 10
    events = [{**GOOD["events"], "kind": kind} for kind in kinds]
    folder = _write(tmp_path / "set", events=events)
    with pytest.raises(DataError) as stopped:
        read_dataset(folder, rejects_folder=tmp_path / "aside")
    message = str(stopped.value)
    assert message.startswith("30 of 100 rows of events cannot be used (30.0%, at most 1.0% are")
    file = folder / "events.csv"
    assert f"20 × unknown kind (first in {file} line 72); 10 × missing kind" in message
    assert f"listed in {tmp_path / 'aside' / 'events.rejects.jsonl'}" in message
    assert len(_listed(tmp_path / "aside", "events")) == 30
    with pytest.raises(DataError, match="line 72") as unlisted:
        read_dataset(folder)
    assert "listed" not in str(unlisted.value)


def test_a_clean_run_takes_the_old_list_away(tmp_path: Path) -> None:
    folder = _write(tmp_path / "set", events=_with_bad("events", {"kind": "LIKED"}))
    aside = tmp_path / "aside"
    read = read_dataset(folder, max_reject_share=0.5, rejects_folder=aside)
    table = read.summary.table("events")
    assert table is not None
    assert table.rejects_file == str(aside / "events.rejects.jsonl")
    write_table(folder / "events.csv", [GOOD["events"]])
    read_dataset(folder, rejects_folder=aside)
    assert list(aside.iterdir()) == []


def test_a_list_of_rejects_does_not_grow_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rejects, "MOST_LISTED", 5)
    events = [{**GOOD["events"], "kind": "SHOWN" if i % 2 else "x"} for i in range(40)]
    folder = _write(tmp_path, events=events)
    read = read_dataset(folder, max_reject_share=0.5, rejects_folder=tmp_path)
    assert _rejected(read, "events") == {"unknown kind": 20}
    assert [r["line"] for r in _listed(tmp_path, "events")] == [2, 4, 6, 8, 10]
    with pytest.raises(DataError, match=r"The first 5 are listed in .*events\.rejects\.jsonl"):
        read_dataset(folder, rejects_folder=tmp_path)


def test_a_raw_row_has_at_most_500_characters(tmp_path: Path) -> None:
    for suffix in ("csv", "jsonl", "parquet"):
        leads = _with_bad("leads", {"urgency": "9", "body": "长" * 900})
        folder = _write(tmp_path / suffix, suffix, leads=leads)
        read_dataset(folder, max_reject_share=0.5, rejects_folder=folder)
        (reject,) = _listed(folder, "leads")
        assert len(reject["raw"]) == batch.RAW_CHARACTERS == 500
