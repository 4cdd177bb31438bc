"""Writing a data set and streaming its tables: what goes out comes back."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from dataset_files import datasets, write_table
from hypothesis import given, settings

from features.entities import Event, EventKind, Member
from features.errors import DataError
from training.logs import (
    DataSet,
    EntityStream,
    ReadOptions,
    iter_conflicts,
    iter_events,
    iter_leads,
    iter_members,
    iter_organizations,
    read_dataset,
    write_dataset,
)


def _all(stream: EntityStream[Any]) -> list[Any]:
    return [entity for chunk in stream for entity in chunk]


def _as_events(data: DataSet) -> list[Event]:
    """The log as entities, with what it keeps of them."""
    log = data.events
    return [
        Event(
            EventKind(int(log.kind[i])),
            int(log.time_us[i]),
            data.member_ids.ids[log.member[i]],
            data.lead_ids.ids[log.lead[i]] if log.lead[i] >= 0 else "",
            position=int(log.position[i]),
            wave=int(log.wave[i]),
            propensity=None if math.isnan(log.propensity[i]) else float(log.propensity[i]),
            rating=None if math.isnan(log.rating[i]) else float(log.rating[i]),
            reason=log.reason[i],
        )
        for i in range(len(log))
    ]


def _without_tokens(event: Event) -> Event:
    return replace(event, event_id="", attribution_token="", push_id="", model_version="", topic="")


@settings(deadline=None, max_examples=40)  # files on a busy machine
@given(datasets())
def test_what_is_written_is_read_again(tables: dict[str, list[Any]]) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_dataset(folder, **tables)
        data = read_dataset(folder, require=())
        streams = (iter_organizations, iter_members, iter_leads, iter_conflicts, iter_events)
        streamed = [_all(stream(folder)) for stream in streams]
    read = [data.organizations, data.members, data.leads, data.conflicts]
    assert streamed == list(tables.values())
    assert read == list(tables.values())[:4]
    first = {event.event_id: event for event in reversed(tables["events"]) if event.event_id}
    kept = [e for e in tables["events"] if not e.event_id or first[e.event_id] is e]
    kept.sort(key=lambda event: event.time_us)
    assert _as_events(data) == [_without_tokens(event) for event in kept]
    ids = [event.event_id or None for event in kept]
    assert (data.event_ids.to_list() if data.event_ids is not None else []) == (
        ids if any(ids) else []
    )


def test_an_export_replaces_itself_but_nothing_else(tmp_path: Path) -> None:
    write_dataset(tmp_path, members=[Member("m1"), Member("m2")])
    write_dataset(tmp_path, members=(Member(f"n{i}") for i in range(3)))
    assert _all(iter_members(tmp_path)) == [Member("n0"), Member("n1"), Member("n2")]
    other = tmp_path / "other"
    write_table(other / "members.csv", [{"member_id": "m1"}])
    with pytest.raises(DataError, match=r"already has members\.csv: write into an empty folder"):
        write_dataset(other)


def test_an_export_that_fails_leaves_the_last_one(tmp_path: Path) -> None:
    write_dataset(tmp_path, members=[Member("m1")])

    def failing() -> Any:
        yield Member("m2")
        raise RuntimeError("store went away")

    with pytest.raises(RuntimeError, match="store went away"):
        write_dataset(tmp_path, members=failing())
    assert _all(iter_members(tmp_path)) == [Member("m1")]
    assert sorted(path.name for path in tmp_path.iterdir())[0] == "conflicts.parquet"


def test_a_stream_checks_rows_but_looks_nothing_up(tmp_path: Path) -> None:
    rows = [
        {"member_id": "m1", "organization_id": "unheard of", "latitude": "28", "longitude": "112"},
        {"member_id": "m2", "organization_id": "", "latitude": "91", "longitude": "112"},
        {"member_id": "m1", "organization_id": "again", "latitude": "", "longitude": ""},
    ]
    write_table(tmp_path / "members.csv", rows)
    stream = iter_members(tmp_path, ReadOptions(max_reject_share=0.5))
    assert stream.found
    assert stream.summary is None
    assert _all(stream) == [
        Member("m1", "unheard of", latitude=28.0, longitude=112.0),
        Member("m1", "again"),
    ]
    assert stream.summary is not None
    assert stream.summary.rejected == {"bad latitude": 1}


def test_a_stream_that_had_too_many_rejects_fails_at_its_end(tmp_path: Path) -> None:
    write_table(tmp_path / "leads.csv", [{"lead_id": f"l{i}", "create_time": "?"} for i in "12"])
    with pytest.raises(DataError, match="2 of 2 rows of leads cannot be used"):
        _all(iter_leads(tmp_path))


def test_a_table_that_is_not_there_streams_nothing(tmp_path: Path) -> None:
    stream = iter_events(tmp_path)
    assert not stream.found
    assert _all(stream) == []
