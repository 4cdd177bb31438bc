"""Small data sets for tests: strategies for entities, and writers of every file format."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
from hypothesis import strategies as st

from features.entities import (
    Conflict,
    DismissReason,
    Event,
    EventKind,
    Lead,
    LeadState,
    Member,
    Organization,
    Place,
)

Row = Mapping[str, Any]
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8)
LABELS = st.text("abz019-_教育", max_size=6)
IDS = st.text("abc019甲", min_size=1, max_size=4)
TOPICS = st.lists(st.text("交通ab", min_size=1, max_size=3), max_size=3).map(tuple)
REGIONS = st.just("") | st.from_regex(r"[0-9]{2,12}", fullmatch=True)
TIMES_US = st.integers(-(10**15), 4 * 10**15)
LATER_US = st.just(0) | st.integers(1, 4 * 10**15)
COUNTS = st.integers(0, 2**31 - 1)
COORDINATES = st.tuples(st.none(), st.none()) | st.tuples(st.floats(-90, 90), st.floats(-180, 180))


def _place(kind: str, coordinate: tuple[float | None, float | None], region: str) -> Place:
    return Place(kind, *coordinate, region)


PLACES = st.lists(
    st.builds(_place, st.sampled_from(["HOME", "WORK", "STUDIO"]), COORDINATES, REGIONS), max_size=2
).map(tuple)


@st.composite
def members(draw: st.DrawFn, organization_ids: Sequence[str]) -> Member:
    """A member of one of the organizations, or of any when there are none."""
    latitude, longitude = draw(COORDINATES)
    return Member(
        draw(IDS),
        draw(organization_of(organization_ids)),
        *draw(st.tuples(TEXTS, LABELS, TEXTS, TOPICS, REGIONS)),
        latitude,
        longitude,
        *draw(st.tuples(PLACES, st.none() | COUNTS, st.booleans(), LATER_US)),
    )


@st.composite
def leads(draw: st.DrawFn, organization_ids: Sequence[str]) -> Lead:
    """A lead of one of the organizations, or of any when there are none."""
    latitude, longitude = draw(COORDINATES)
    return Lead(
        draw(IDS),
        draw(TIMES_US),
        draw(organization_of(organization_ids)),
        *draw(st.tuples(LABELS, LABELS, TEXTS, TEXTS)),
        draw(TOPICS),
        draw(REGIONS),
        latitude,
        longitude,
        *draw(st.tuples(st.integers(0, 3), COUNTS, st.sampled_from(LeadState), LATER_US)),
        draw(st.none() | COUNTS),
    )


def organization_of(ids: Sequence[str]) -> st.SearchStrategy[str]:
    """One of `ids` or none; any label when there are no organizations to check it against."""
    return st.sampled_from(["", *ids]) if ids else LABELS


def organizations() -> st.SearchStrategy[list[Organization]]:
    """A tree of organizations: each has an earlier one as its parent, or none."""
    details = st.tuples(
        TEXTS,
        st.integers(-1, 3),
        st.integers(0, 3),
        REGIONS,
        st.sampled_from(["", "ANY", "OWN;PARENTS"]),
        st.sampled_from(["", "0 8 * * 1"]),
        st.sampled_from(["Asia/Shanghai", "Asia/Urumqi"]),
        st.sampled_from(["", "22:00-07:00"]),
    )
    listed = st.lists(st.tuples(IDS, details), max_size=4, unique_by=lambda pair: pair[0])
    return listed.map(_tree)


def _tree(listed: list[tuple[str, tuple[Any, ...]]]) -> list[Organization]:
    ids = [identifier for identifier, _ in listed]
    return [
        Organization(identifier, name, ids[up] if 0 <= up < number else "", *rest)
        for number, (identifier, (name, up, *rest)) in enumerate(listed)
    ]


@st.composite
def events(draw: st.DrawFn, member_ids: Sequence[str], lead_ids: Sequence[str]) -> Event:
    """An event between known members and leads; without leads only SEE_LESS can happen."""
    kind = draw(st.sampled_from(EventKind)) if lead_ids else EventKind.SEE_LESS
    of_lead = st.sampled_from([*lead_ids, ""] if kind is EventKind.SEE_LESS else lead_ids)
    return Event(
        kind,
        draw(TIMES_US),
        draw(st.sampled_from(member_ids)),
        draw(of_lead),
        *draw(st.tuples(LABELS, st.integers(-1, 500), LABELS, LABELS, st.integers(0, 9))),
        draw(st.none() | st.floats(0, 1, width=32)),
        draw(LABELS),
        draw(st.none() | st.floats(-5, 5, width=32)),
        draw(st.sampled_from(DismissReason)),
        draw(LABELS),
    )


@st.composite
def datasets(draw: st.DrawFn) -> dict[str, list[Any]]:
    """The arguments of `write_dataset`, ids unique and all references known."""
    tree = draw(organizations())
    nodes = [organization.organization_id for organization in tree]
    people = draw(st.lists(members(nodes), max_size=3, unique_by=lambda m: m.member_id))
    issues = draw(st.lists(leads(nodes), max_size=3, unique_by=lambda lead: lead.lead_id))
    member_ids, lead_ids = [m.member_id for m in people], [lead.lead_id for lead in issues]
    conflict = st.builds(
        Conflict,
        st.sampled_from(member_ids),
        st.sampled_from(["", *lead_ids]),
        IDS,
        organization_of(nodes),
        TEXTS,
    )
    return {
        "organizations": tree,
        "members": people,
        "leads": issues,
        "conflicts": draw(st.lists(conflict, max_size=2, unique=True)) if people else [],
        "events": draw(st.lists(events(member_ids, lead_ids), max_size=6)) if people else [],
    }


def rfc3339(time_us: int, offset_minutes: int = 0, letter: str = "T") -> str:
    """An instant as text, in the given offset from UTC."""
    instant = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time_us)
    local = (instant + timedelta(minutes=offset_minutes)).replace(tzinfo=None)
    sign, minutes = "-" if offset_minutes < 0 else "+", abs(offset_minutes)
    text = local.isoformat(letter, "microseconds")
    return f"{text}{sign}{minutes // 60:02}:{minutes % 60:02}" if offset_minutes else f"{text}Z"


def write_table(path: Path, rows: Sequence[Row]) -> Path:
    """Writes rows in the format of the file's name; a column's first row decides its order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pl.DataFrame(list(rows), infer_schema_length=None).write_parquet(path)
        return path
    text = _csv(rows) if ".csv" in path.name else _jsonl(rows)
    data = text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def _jsonl(rows: Sequence[Row]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _csv(rows: Sequence[Row]) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row))
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, names, restval="", quoting=csv.QUOTE_MINIMAL)
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return stream.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        plain = all(isinstance(item, str) for item in value)
        return ";".join(value) if plain else json.dumps(value)
    return value
