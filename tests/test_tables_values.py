"""Values: every way to write an instant, and every type a Parquet column may have."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from dataset_files import rfc3339
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from features.entities import Lead, LeadState, Member, Organization, Place
from features.errors import DataError
from recsvc.store.dataset_columns import schema_of
from training.logs import iter_leads, iter_members, iter_organizations
from training.tables.parse import REASON, parse
from training.tables.schema import LEADS, TABLES

FIRST_US, LAST_US = -62_135_596_800_000_000, 253_402_300_799_999_999
DAY_US = 86_400_000_000


def _times(*texts: str) -> list[int | None]:
    frame = pl.DataFrame({"lead_id": ["l"] * len(texts), "create_time": texts})
    parsed = parse(frame, LEADS, {})
    bad = parsed[REASON].is_not_null()
    assert bad.to_list() == parsed["create_time"].is_null().to_list()
    times: list[int | None] = parsed["create_time"].to_list()
    return times


@settings(deadline=None)
@given(
    st.integers(FIRST_US + DAY_US, LAST_US - DAY_US),
    st.integers(-23 * 60 - 59, 23 * 60 + 59),
    st.sampled_from("Tt "),
)
@example(0, 0, "T")
@example(-1, -30, "t")
def test_an_instant_is_the_same_in_every_offset(
    time_us: int, offset_minutes: int, letter: str
) -> None:
    assert _times(rfc3339(time_us, offset_minutes, letter)) == [time_us]


@settings(deadline=None)
@given(st.text("0123456789", min_size=1, max_size=12))
def test_fractions_are_cut_to_microseconds(digits: str) -> None:
    expected = int(digits[:6].ljust(6, "0"))
    assert _times(f"1970-01-01T00:00:00.{digits}Z") == [expected]
    assert _times(f" 1970-01-01t01:00:00.{digits}+01:00 ") == [expected]


@settings(deadline=None)
@given(st.text("0123456789-T:Z+. ", max_size=26) | st.text(max_size=12))
@example("2024-01-01")
@example("2024-01-01T00:00:00")
@example("2024-01-01T00:00:00+0800")
@example("2024-01-01T00:00:00 +08:00")
@example("2024-01-01T24:00:00Z")
@example("2024-01-01T00:00:00+24:00")
@example("2024-1-1T00:00:00Z")
@example("2024-01-01T00:00:00.Z")
@example("0000-12-31T23:59:59Z")
@example("9999-12-31T23:59:59-00:01")
@example("２０２４-01-01T00:00:00Z")
def test_what_is_no_instant_is_not_read(text: str) -> None:
    assert _times(text) == [None]


def _parquet(folder: Path, name: str, /, **columns: Any) -> Path:
    parquet.write_table(pa.table(columns), folder / f"{name}.parquet")
    return folder


def _members(folder: Path, **columns: Any) -> list[Member]:
    chunks = iter_members(_parquet(folder, "members", **columns))
    return [member for chunk in chunks for member in chunk]


INSTANT = datetime(2024, 5, 1, 2, 3, 4, 567_000, tzinfo=UTC)
INSTANT_US = 1_714_528_984_567_000


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (pa.array([INSTANT], pa.timestamp("ns", "Asia/Shanghai")), INSTANT_US),
        (pa.array([INSTANT], pa.timestamp("ms", "UTC")), INSTANT_US),
        (pa.array([INSTANT.replace(tzinfo=None)], pa.timestamp("us")), INSTANT_US),
        (pa.array([date(2024, 5, 1)]), 1_714_521_600_000_000),
        (pa.array(["2024-05-01T10:03:04.567+08:00"]).dictionary_encode(), INSTANT_US),
        (pa.array([b"2024-05-01T10:03:04.567+08:00"]), INSTANT_US),
    ],
)
def test_parquet_times(tmp_path: Path, times: Any, expected: int) -> None:
    folder = _parquet(tmp_path, "leads", lead_id=["l1"], create_time=times)
    assert list(iter_leads(folder)) == [[Lead("l1", expected)]]


def test_parquet_columns_of_their_own_types(tmp_path: Path) -> None:
    place = {"kind": "STUDIO", "latitude": 1.0, "longitude": 2.0, "region_code": None}
    nan = float("nan")
    members = _members(
        tmp_path,
        member_id=pa.array([1, 2], pa.int32()),
        region_code=pa.array([430102.0, nan]),
        topics=[["a;b", " c ", None, ""], None],
        places=[[place], []],
        latitude=pa.array([Decimal("28.5"), None]),
        longitude=pa.array([112, None], pa.uint8()),
        weekly_push_limit=pa.array([3.0, nan]),
        active=[False, None],
        sector=pa.nulls(2),
    )
    assert members == [
        Member(
            "1",
            topics=("a;b", "c"),
            region_code="430102",
            latitude=28.5,
            longitude=112.0,
            places=(Place("STUDIO", 1.0, 2.0),),
            weekly_push_limit=3,
            active=False,
        ),
        Member("2"),
    ]


def test_a_code_that_is_no_whole_number_stays_bad(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="1 × bad region_code"):
        _members(tmp_path, member_id=["m1"], region_code=[4301.5])


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("join_time", [1_714_528_984], "column join_time has the type Int64: expected a timestamp"),
        ("name", [["a"]], r"column name has the type List\(String\): expected text"),
        ("latitude", [True], "column latitude has the type Boolean: expected a number"),
        ("topics", [[1]], r"column topics has the type List\(Int64\): expected `;`-separated"),
        (
            "places",
            [3],
            "column places has the type Int64: expected JSON text or a list of structs",
        ),
        ("name", [b"\xff"], "invalid utf8"),
        ("name", pa.array([b"\xff"]).view(pa.string()), "Invalid UTF8"),
    ],
)
def test_an_impossible_column_is_named(
    tmp_path: Path, column: str, values: Any, message: str
) -> None:
    with pytest.raises(DataError, match=rf"members\.parquet.*{message}"):
        _members(tmp_path, member_id=["m1"], **{column: values})


def test_a_parquet_file_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "members.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(DataError, match=r"members\.parquet cannot be read"):
        list(iter_members(tmp_path))


def test_enums_and_flags_do_not_care_about_case(tmp_path: Path) -> None:
    folder = _parquet(
        tmp_path,
        "leads",
        lead_id=["l1", "l2"],
        create_time=["1970-01-01T00:00:00Z"] * 2,
        state=["withdrawn", ""],
    )
    (leads,) = iter_leads(folder)
    assert [lead.state for lead in leads] == [LeadState.WITHDRAWN, LeadState.OPEN]
    flags = ["TRUE", "t", "Yes", "1", "False", "F", "no", "0", ""]
    members = _members(tmp_path, member_id=[str(i) for i in range(9)], active=flags)
    assert [member.active for member in members] == [True] * 4 + [False] * 4 + [True]


def test_what_is_not_given_has_the_default_of_its_entity(tmp_path: Path) -> None:
    (tmp_path / "organizations.csv").write_text("organization_id,time_zone,level\no1,,\n")
    assert list(iter_organizations(tmp_path)) == [[Organization("o1")]]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_the_columns_of_a_table_are_the_fields_of_its_entity(table: Any) -> None:
    fields = [field.name for field in table.entity.__dataclass_fields__.values()]
    assert [column.field for column in table.columns] == fields
    assert schema_of(table.entity).names == list(table.names)
