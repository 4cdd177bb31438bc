"""The crash test: three real rounds, and that it would notice what it looks for."""

from __future__ import annotations

import asyncio
import io
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from fake_service import Script
from fake_service import serving as scripted
from rich.console import Console
from tiny_bundle import tiny_bundle

from benchmarks.crash import CrashTest
from benchmarks.crash_ledger import Fault, Ledger, key_of
from benchmarks.crash_report import CrashReport
from benchmarks.crash_writers import read_back, send_again
from benchmarks.serving import Ready, ServiceProcess
from benchmarks.verdict import conclude, scratch_folder
from features.entities import Event, EventKind, Lead, Member
from features.errors import DataError
from recsvc.client import AsyncClient
from recsvc.convert.members import member_to_proto
from recsvc.errors import StoreUnavailableError, UnknownLeadError
from recsvc.v1 import catalog_pb2
from recsvc.v1 import participation_pb2 as pb

OLD, NEW = Member("m1", expertise="旧"), Member("m1", expertise="新")
LEAD = Lead("l1", 1)
EVENTS = [Event(EventKind.OPENED, 1, "m1", "l1", event_id=f"e{i}") for i in range(3)]


def write(ledger: Ledger, record: Member | Lead, *, acknowledged: bool = True) -> None:
    ledger.begin(0, key_of(record), record)
    if acknowledged:
        ledger.acknowledge("records", [(key_of(record), record)])


def faults(ledger: Ledger) -> list[Fault]:
    return [fault for fault, _ in ledger.faults]


def test_what_was_acknowledged_must_be_found_as_it_was_last() -> None:
    ledger = Ledger()
    write(ledger, OLD)
    write(ledger, NEW)
    ledger.observe(key_of(NEW), NEW)
    assert faults(ledger) == []
    ledger.observe(key_of(NEW), OLD)
    assert faults(ledger) == [Fault.STALE]
    write(ledger, LEAD)
    ledger.observe(key_of(LEAD), None)
    assert faults(ledger) == [Fault.STALE, Fault.LOST]


def test_what_was_not_answered_may_be_there_or_not_but_not_both() -> None:
    ledger = Ledger()
    write(ledger, OLD)
    write(ledger, NEW, acknowledged=False)
    ledger.observe(key_of(NEW), NEW)
    ledger.observe(key_of(NEW), NEW)
    assert faults(ledger) == []
    assert ledger.settled == {True: 1}
    ledger.observe(key_of(NEW), OLD)
    assert faults(ledger) == [Fault.STALE]
    write(ledger, LEAD, acknowledged=False)
    assert ledger.present(Lead) == []
    ledger.observe(key_of(LEAD), None)
    assert ledger.settled == {True: 1, False: 1}
    ledger.observe(key_of(LEAD), LEAD)
    assert faults(ledger) == [Fault.STALE, Fault.RETURNED]


def test_deleted_things_stay_deleted() -> None:
    ledger = Ledger()
    write(ledger, LEAD)
    ledger.begin(1, key_of(LEAD), None)
    ledger.acknowledge("deletions", [(key_of(LEAD), None)])
    ledger.observe(key_of(LEAD), None)
    assert faults(ledger) == []
    assert ledger.keys(0) == []
    assert ledger.keys(1) == [key_of(LEAD)]
    ledger.observe(key_of(LEAD), LEAD)
    assert faults(ledger) == [Fault.RETURNED]


async def test_reading_back_finds_what_a_service_forgot() -> None:
    script, ledger = Script(), Ledger()
    stale = catalog_pb2.GetMemberResponse(member=member_to_proto(OLD, "default"))
    script.on("GetMember", stale)
    script.on("GetLead", UnknownLeadError("gone"))
    script.on("RecordEvents", pb.RecordEventsResponse(recorded_count=1, repeated_count=1))
    write(ledger, NEW)
    write(ledger, LEAD)
    ledger.begin_events(0, EVENTS[:2])
    ledger.acknowledge_events(EVENTS[:2])
    with scripted(script) as address:
        async with AsyncClient(address) as client:
            await read_back(client, ledger, ledger.keys())
            await send_again(client, ledger, ledger.events_of(0))
    assert sorted(faults(ledger)) == [Fault.STALE, Fault.LOST, Fault.LOST]
    sent = script.last("RecordEvents").events
    assert [event.event_id for event in sent] == ["e0", "e1"]


async def test_events_in_doubt_are_settled_by_sending_them_again() -> None:
    script, ledger = Script(), Ledger()
    script.on("RecordEvents", pb.RecordEventsResponse(recorded_count=2, repeated_count=1))
    ledger.begin_events(0, EVENTS)
    with scripted(script) as address:
        async with AsyncClient(address) as client:
            await send_again(client, ledger, ledger.events_of(0))
    assert faults(ledger) == []
    assert ledger.settled == {True: 1, False: 2}
    assert len(ledger.events) == 3


async def test_a_refusal_before_the_kill_and_an_orphan_are_failures() -> None:
    async def refused() -> None:
        raise StoreUnavailableError("away")

    report = CrashReport(Ledger())
    report.started(Ready("", 2, "default=m", "valkey", 1.0))
    task = asyncio.create_task(refused())
    await asyncio.wait([task])
    report.killing([task])
    report.killed(True, 2.0, {17: "valkey-server"})
    assert [failure.split(":")[0] for failure in report.failures] == [
        "left running",
        "refused before the kill",
    ]
    assert report.busy_kills == 0
    with pytest.raises(typer.Exit) as ended:
        conclude(Console(quiet=True), report, None)
    assert ended.value.exit_code == 1


def test_the_folder_is_kept_when_a_test_fails(tmp_path: Path) -> None:
    console = Console(quiet=True)
    with scratch_folder(console, "recsvc-test-") as folder:
        (folder / "x").touch()
    assert not folder.exists()
    with pytest.raises(typer.Exit), scratch_folder(console, "recsvc-test-") as folder:
        raise DataError("broken")
    assert folder.exists()
    folder.rmdir()


async def test_processes_are_found_by_their_folder(tmp_path: Path) -> None:
    service = ServiceProcess(tmp_path, tmp_path / "models")
    (tmp_path / "deep").mkdir()
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    with subprocess.Popen(command, cwd=tmp_path / "deep", start_new_session=True) as other:
        assert set(service.running()) == {other.pid}
        os.kill(other.pid, signal.SIGKILL)
        while service.running():
            await asyncio.sleep(0.01)


def crash_test(folder: Path) -> CrashTest:
    return CrashTest(folder, tiny_bundle("crash"), count=20, seed=1)


@pytest.mark.slow
async def test_nothing_acknowledged_is_lost_and_nobody_is_left(tmp_path: Path) -> None:
    rounds: list[int] = []
    report = await crash_test(tmp_path).run(3, rounds.append)
    assert report.failures == []
    assert rounds == [1, 2, 3]
    assert (report.group_kills, report.supervisor_kills) == (2, 1)
    assert report.ledger.acknowledged["members"] > 0
    told = report.as_json()
    assert told["lost"] == told["duplicated"] == told["orphans"] == 0
    shown = io.StringIO()
    conclude(Console(file=shown, width=120), report, tmp_path / "report.json")
    assert "fsync always" in shown.getvalue()
    assert "kill -9 does not test the disk" in shown.getvalue()
    assert json.loads((tmp_path / "report.json").read_text())["rounds"] == 3


@pytest.mark.slow
async def test_a_store_that_loses_everything_is_found_out(tmp_path: Path) -> None:
    test = crash_test(tmp_path)
    report = await test.run(1, lambda _: shutil.rmtree(tmp_path / "data" / "valkey"))
    told = report.as_json()
    assert told["acknowledged"] > 0
    assert told["lost"] >= sum(told["acknowledged_by_kind"].values())
