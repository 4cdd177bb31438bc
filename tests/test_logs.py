"""Reading a whole data set: the same rows from every format, references, duplicates, errors."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from dataset_files import Row, rfc3339, write_table
from hypothesis import given, settings
from hypothesis import strategies as st

from features.entities import Lead, Member, Organization
from features.errors import DataError
from training.logs import (
    read_dataset,
)

SUFFIXES = ("parquet", "csv", "csv.gz", "jsonl", "jsonl.gz")
MEMBERS: list[Row] = [{"member_id": "m1"}, {"member_id": "m2"}]
LEADS: list[Row] = [
    {"lead_id": "l1", "create_time": "2024-01-01T00:00:00Z"},
    {"lead_id": "l2", "create_time": "2024-01-02T00:00:00Z"},
]


def _event(member: str, lead: str, second: int, **more: Any) -> Row:
    time = f"2024-02-01T00:00:{second:02}+08:00"
    return {"member_id": member, "lead_id": lead, "kind": "SHOWN", "time": time, **more}


def _write(folder: Path, suffix: str = "csv", **tables: Sequence[Row]) -> Path:
    everything: dict[str, Sequence[Row]] = {
        "members": MEMBERS,
        "leads": LEADS,
        "events": [_event("m1", "l1", 0)],
        **tables,
    }
    for name, rows in everything.items():
        write_table(folder / f"{name}.{suffix}", rows)
    return folder


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_format_gives_the_same(tmp_path: Path, suffix: str) -> None:
    members: list[Row] = [
        {
            "member_id": "m1",
            "name": "王 委员",
            "topics": ["交通", "教育"],
            "region_code": "430102",
            "latitude": 28.2,
            "longitude": 112.9,
            "places": [{"kind": "WORK", "latitude": 1.5, "longitude": -2, "region_code": "43"}],
            "weekly_push_limit": 3,
            "active": False,
            "join_time": "2023-05-01T08:00:00.25+08:00",
        },
        {"member_id": "m2", "name": 'a "b",\nc'},
    ]
    events = [_event("m2", "l2", 9, rating=4.5), _event("m1", "l1", 3, position=2, wave=1)]
    data = read_dataset(_write(tmp_path, suffix, members=members, events=events))
    assert data.members[0].topics == ("交通", "教育")
    assert data.members[0].places[0].longitude == -2.0
    assert data.members[0].join_time_us == 1_682_899_200_250_000
    assert data.members[0].weekly_push_limit == 3
    assert not data.members[0].active
    assert data.members[1] == Member("m2", name='a "b",\nc')
    assert data.leads[1] == Lead("l2", 1_704_153_600_000_000)
    assert data.events.member.tolist() == [0, 1]
    assert data.events.position.tolist() == [2, -1]
    assert data.events.wave.tolist() == [1, 0]
    assert math.isnan(data.events.rating[0])
    assert data.events.rating[1] == 4.5
    assert data.events.time_us[0] == 1_706_716_803_000_000


def test_a_table_may_be_a_folder_of_files_in_any_format(tmp_path: Path) -> None:
    folder = _write(tmp_path)
    (folder / "events.csv").unlink()
    for number, suffix in enumerate(reversed(SUFFIXES)):
        rows = [_event("m1", "l1", number, position=number)]
        write_table(folder / "events" / f"part-{number}.{suffix}", rows)
    (folder / "events" / "_SUCCESS").touch()
    (folder / "events" / ".part-0.crc").touch()
    data = read_dataset(folder)
    assert data.events.position.tolist() == [0, 1, 2, 3, 4]
    table = data.summary.table("events")
    assert table is not None
    assert table.files[:2] == ("events/part-0.jsonl.gz", "events/part-1.jsonl")


def test_events_with_one_id_count_once_and_those_without_an_id_always(tmp_path: Path) -> None:
    events = [
        _event("m1", "l1", 5, event_id="e1", position=1),
        _event("m1", "l1", 5, position=2),
        _event("m2", "l2", 1, event_id="e2", position=3),
        _event("m1", "l1", 5, position=2),
        _event("m2", "l1", 0, event_id="e1", position=4),
    ]
    data = read_dataset(_write(tmp_path, events=events))
    assert data.events.position.tolist() == [3, 1, 2, 2]
    assert data.event_ids is not None
    assert data.event_ids.to_list() == ["e2", "e1", None, None]
    table = data.summary.table("events")
    assert table is not None
    assert (table.rows_read, table.rows_kept, table.duplicates) == (5, 4, 1)


def test_without_event_ids_there_are_none(tmp_path: Path) -> None:
    assert read_dataset(_write(tmp_path)).event_ids is None


def test_of_members_and_leads_with_one_id_the_last_counts(tmp_path: Path) -> None:
    members = [{"member_id": i, "name": n} for i, n in (("m1", "old"), ("m2", "x"), ("m1", "new"))]
    leads: list[Row] = [*LEADS, {**LEADS[0], "urgency": 3}]
    data = read_dataset(_write(tmp_path, members=members, leads=leads))
    assert [(member.member_id, member.name) for member in data.members] == [
        ("m1", "new"),
        ("m2", "x"),
    ]
    assert data.member_ids.ids == ("m1", "m2")
    assert [lead.urgency for lead in data.leads] == [3, 0]
    assert [table.duplicates for table in data.summary.tables] == [1, 1, 0]


def test_an_organization_below_a_missing_one_is_rejected_with_its_children(tmp_path: Path) -> None:
    parents = {"province": "", "city": "province", "a": "nowhere", "b": "a", "c": "b"}
    organizations = [{"organization_id": i, "parent_id": up} for i, up in parents.items()]
    members = [{"member_id": "m1", "organization_id": "city"}, {"member_id": "m2"}]
    folder = _write(tmp_path, organizations=organizations, members=members)
    data = read_dataset(folder, max_reject_share=0.6)
    assert data.organizations == [Organization("province"), Organization("city", "", "province")]
    table = data.summary.table("organizations")
    assert table is not None
    assert table.rejected == {"unknown parent_id": 3}


def test_organizations_are_checked_only_where_the_set_has_them(tmp_path: Path) -> None:
    members = [{"member_id": f"m{i}", "organization_id": "o1"} for i in (1, 2)]
    assert len(read_dataset(_write(tmp_path, members=members)).members) == 2
    write_table(tmp_path / "organizations.csv", [{"organization_id": "o2"}])
    with pytest.raises(DataError, match="2 × unknown organization_id"):
        read_dataset(tmp_path)


@pytest.mark.parametrize(
    ("conflict", "reason"),
    [
        ({"lead_id": "l1"}, None),
        ({"author_id": "somebody"}, None),
        ({"organization_id": "any"}, None),
        ({"lead_id": "l9"}, "unknown lead_id"),
        ({"member_id": "m9", "lead_id": "l1"}, "unknown member_id"),
        ({}, "missing lead_id, author_id or organization_id"),
    ],
)
def test_a_conflict_needs_a_member_and_something_it_is_about(
    tmp_path: Path, conflict: Row, reason: str | None
) -> None:
    row = {"member_id": "m1", "lead_id": "", "author_id": "", "organization_id": "", **conflict}
    folder = _write(tmp_path, conflicts=[row, row])
    if reason:
        with pytest.raises(DataError, match=f"2 × {reason}"):
            read_dataset(folder)
    else:
        data = read_dataset(folder)
        assert len(data.conflicts) == 1
        assert data.summary.tables[2].duplicates == 1


@pytest.mark.parametrize("name", ["members", "leads", "events"])
def test_a_missing_table_says_what_is_expected(tmp_path: Path, name: str) -> None:
    folder = _write(tmp_path)
    (folder / f"{name}.csv").unlink()
    write_table(folder / "truth.csv.gz", MEMBERS)
    with pytest.raises(DataError, match=rf"has no table {name}: expected one of {name}\.parquet,"):
        read_dataset(folder)
    others = {"members", "leads", "events"} - {name}
    if name == "events":
        assert len(read_dataset(folder, require=others).events) == 0


def test_leads_alone_can_be_read(tmp_path: Path) -> None:
    write_table(tmp_path / "leads.jsonl", LEADS)
    data = read_dataset(tmp_path, require=("leads",))
    assert len(data.lead_ids) == 2
    assert not data.members
    assert [table.table for table in data.summary.tables] == ["leads"]


def test_a_required_table_needs_a_usable_row(tmp_path: Path) -> None:
    folder = _write(tmp_path)
    (folder / "leads.csv").write_text("lead_id,create_time\n")
    with pytest.raises(DataError, match="the table leads has no usable row"):
        read_dataset(folder, require=("leads",))


def test_a_table_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    folder = _write(tmp_path)
    write_table(folder / "leads.parquet", LEADS)
    with pytest.raises(DataError, match=r"table leads twice \(leads\.parquet and leads\.csv\)"):
        read_dataset(folder)


def test_a_folder_without_readable_files_is_refused(tmp_path: Path) -> None:
    folder = _write(tmp_path / "set")
    (folder / "events.csv").unlink()
    (folder / "events").mkdir()
    with pytest.raises(DataError, match="events is empty: expected files of the columns kind, ti"):
        read_dataset(folder)
    (folder / "events" / "part.csv.bz2").touch()
    with pytest.raises(DataError, match=r"holds part\.csv\.bz2, which is none of \.parquet, \.csv"):
        read_dataset(folder)
    with pytest.raises(DataError, match="nowhere is not a folder"):
        read_dataset(tmp_path / "nowhere")


def test_the_summary_adds_up_and_is_json(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    members = [{"member_id": "m1", "shoe size": "43"}, {"member_id": "m2"}]
    summary = read_dataset(_write(tmp_path, members=members)).summary
    assert "members.csv: the column 'shoe size' is unknown and left out" in caplog.text
    assert json.loads(json.dumps(summary.to_json()))["tables"][0]["unknown_columns"] == [
        "shoe size"
    ]
    assert summary.rows()[0][:6] == ("members", "1", "2", "2", "0", "0")
    assert summary.rows()[0][-1] == "left out: shoe size"
    assert summary.table("conflicts") is None
    assert 0 < summary.seconds < 60


def test_progress_is_told_per_table_and_ends_at_one(tmp_path: Path) -> None:
    told: list[tuple[str, int, float]] = []
    read_dataset(_write(tmp_path), progress=lambda *news: told.append(news))
    assert list(dict.fromkeys(table for table, _, _ in told)) == ["members", "leads", "events"]
    assert told[-1] == ("events", 1, 1.0)


@settings(deadline=None, max_examples=25)  # files on a busy machine
@given(st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=20))
def test_the_log_is_in_order_of_time_then_of_the_file(seconds: list[int]) -> None:
    events = [
        {**_event("m1", "l1", 0), "time": rfc3339(second * 10**6), "position": place}
        for place, second in enumerate(seconds)
    ]
    with TemporaryDirectory() as name:
        log = read_dataset(_write(Path(name), events=events)).events
    expected = sorted(range(len(seconds)), key=lambda place: seconds[place])
    assert log.position.tolist() == expected
