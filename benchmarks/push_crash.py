"""`python -m benchmarks push-crash`: kill -9 while pushes are planned, delivered and claimed.

A planner, two consumers (processes of their own) and claimers are at work all the time. Again and
again a worker, the store, a consumer or everything is killed. At the end nobody is killed any more,
what is open is fetched, and the books are compared: what was acknowledged by the service, what the
consumers wrote down, what the service says now.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import typer

from benchmarks.options import JsonFile, Kills, Seed, Workers
from benchmarks.push_consumer import read_ledgers
from benchmarks.push_crash_report import PushCrashReport
from benchmarks.serving import ServiceProcess
from benchmarks.small_model import TENANT, small_bundle
from benchmarks.verdict import conclude, count_bar, make_console, scratch_folder
from features.entities import EventKind, Lead, Member
from recsvc.client import AsyncClient
from recsvc.errors import AlreadyClaimedError, ServiceError
from recsvc.model.bundle import Bundle
from recsvc.model.registry import ModelRegistry
from recsvc.serving.ports import reserve_port
from recsvc.store.changes import changes_between
from recsvc.store.codec import decode_event
from recsvc.store.embedded import EmbeddedValkey
from recsvc.store.protocol import ChangeKind
from recsvc.store.redis_store import RedisStore
from recsvc.store.revision import NOTHING

CONSUMERS = 2
LEADS_A_PLAN = 12
MEMBERS = 150
DAY_CAP, WEEK_CAP = 6, 8
TARGETS = ("worker", "store", "consumer", "group")
_WEIGHTS = (0.35, 0.3, 0.25, 0.1)
_LONGEST_PAUSE_SECONDS = 4.0
_DRAIN_SECONDS = 60.0
_CONFIG = f"""
[caps]
plan = 2
day = {DAY_CAP}
week = {WEEK_CAP}
gap_hours = 0.0
ignored_after = 1000
"""

app = typer.Typer(help="Pushes and claims while everything is killed.")


class PushCrashTest:
    """A run in `folder`, where the store lives."""

    def __init__(self, folder: Path, bundle: Bundle, *, workers: int = 2, seed: int = 0) -> None:
        ModelRegistry(folder / "models", TENANT).publish(bundle)
        (folder / "push.toml").write_text(_CONFIG, "utf-8")
        self._folder = folder
        self._organizations = [
            # Whatever the time of day of this test: what is planned is due at once.
            replace(organization, push_schedule="", quiet_hours="")
            for organization in bundle.organizations
        ]
        self._members = [f"crash-member-{i}" for i in range(MEMBERS)]
        self._rng = np.random.default_rng(seed)
        kept, self._address = reserve_port("127.0.0.1", 0)
        kept.close()
        settings = {
            "PORT": self._address.rpartition(":")[2],
            "PUSH_CONFIG": str((folder / "push.toml").resolve()),
        }
        self._new_service = partial(ServiceProcess, folder, folder / "models", workers, settings)
        self._service = self._new_service()
        self._consumers: list[asyncio.subprocess.Process] = []
        self.report = PushCrashReport(DAY_CAP, WEEK_CAP)

    async def run(self, kills: int, on_kill: Callable[[int], None]) -> PushCrashReport:
        """All kills, then the drain and the books."""
        await self._service.start()
        tasks = []
        try:
            for i in range(CONSUMERS):
                self._consumers.append(await self._start_consumer(i))
            async with AsyncClient(self._address, tenant=TENANT) as client:
                await client.import_organizations(self._organizations)
                await client.import_members(Member(member) for member in self._members)
                tasks = [
                    asyncio.create_task(work) for work in (self._plan(client), self._claim(client))
                ]
                for number in range(kills):
                    await asyncio.sleep(float(self._rng.uniform(0.1, _LONGEST_PAUSE_SECONDS)))
                    await self._kill(str(self._rng.choice(TARGETS, p=_WEIGHTS)))
                    on_kill(number + 1)
                for task in tasks:
                    task.cancel()
                ended = await asyncio.gather(*tasks, return_exceptions=True)
                self.report.faults += [str(e) for e in ended if isinstance(e, Exception)]
                await self._drain(client)
                await self._compare(client)
        finally:
            for process in self._consumers:
                _kill(process.pid)
                await process.wait()
            await self._service.kill()
        return self.report

    async def _plan(self, client: AsyncClient) -> None:
        """New leads and a plan of them, again and again."""
        number = 0
        while True:
            leads = [
                Lead(f"crash-{number}-{i}", 0, title="路灯不亮", claim_capacity=1 + i % 2)
                for i in range(LEADS_A_PLAN)
            ]
            number += 1
            with suppress(ServiceError):
                await client.import_leads(leads)
                self.report.leads += [lead.lead_id for lead in leads]
                plan = await client.plan_pushes(commit=True)
                self.report.planned |= {push.push_id: push.member_id for push in plan.pushes}
                self.report.plans += 1
                self.report.completed += plan.completed_count
            await asyncio.sleep(0.1)

    async def _claim(self, client: AsyncClient) -> None:
        """Members claim leads, each request with an id that can be asked again."""
        number = 0
        while True:
            await asyncio.sleep(0.02)
            if not self.report.leads:
                continue
            lead = str(self._rng.choice(self.report.leads[-5 * LEADS_A_PLAN :]))
            member = str(self._rng.choice(self._members))
            number += 1
            await self._claim_once(client, lead, member, f"r{number}")

    async def _claim_once(self, client: AsyncClient, lead: str, member: str, request: str) -> None:
        report = self.report
        report.asked[request] = (lead, member)
        try:
            await client.within(20.0).claim(lead, member, request_id=request)
        except AlreadyClaimedError:
            report.answers[request] = False
        except ServiceError:
            return  # not answered, or not allowed: nothing was promised
        else:
            report.answers[request] = True

    async def _kill(self, target: str) -> None:
        report, service = self.report, self._service
        report.kills[target] += 1
        if target == "group":
            service.kill_group()
            await service.until_gone(5.0)
            self._service = self._new_service()
            await self._service.start()
            return
        if target == "consumer":
            at = int(self._rng.integers(CONSUMERS))
            _kill(self._consumers[at].pid)
            await self._consumers[at].wait()
            self._consumers[at] = await self._start_consumer(at)
            return
        running = service.running()
        names = [pid for pid, name in running.items() if ("valkey" in name) == (target == "store")]
        found = [pid for pid in names if pid != service.process_id]
        if found:
            _kill(int(self._rng.choice(found)))

    async def _start_consumer(self, number: int) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks.push_consumer",
            self._address, TENANT, f"consumer-{number}", str(self._ledger(number)),
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip

    def _ledger(self, number: int) -> Path:
        return self._folder / f"consumer-{number}.log"

    async def _drain(self, client: AsyncClient) -> None:
        """Completes the last plan and waits until the consumers have fetched everything."""
        await client.wait_until_serving(60.0)
        plan = await client.plan_pushes(commit=True)
        self.report.planned |= {push.push_id: push.member_id for push in plan.pushes}
        self.report.completed += plan.completed_count
        begin = asyncio.get_running_loop().time()
        while asyncio.get_running_loop().time() - begin < _DRAIN_SECONDS:
            handed = read_ledgers([self._ledger(i) for i in range(CONSUMERS)])
            missing = set(self.report.planned) - handed.acknowledged
            states = [await self._state(client, push_id) for push_id in missing]
            if all(state != "WAITING" for state in states):
                return
            await asyncio.sleep(0.5)

    async def _state(self, client: AsyncClient, push_id: str) -> str:
        try:
            return (await client.explain_push(push_id)).push_state
        except ServiceError as error:
            return error.reason

    async def _compare(self, client: AsyncClient) -> None:
        report = self.report
        report.handed = read_ledgers([self._ledger(i) for i in range(CONSUMERS)])
        for push_id in set(report.planned) - set(report.handed.times):
            report.unfetched[push_id] = await self._state(client, push_id)
        for request, granted in report.answers.items():
            lead, member = report.asked[request]
            try:
                await client.claim(lead, member, request_id=request)
                now = True
            except AlreadyClaimedError:
                now = False
            except ServiceError as error:
                report.faults.append(f"{request}: {error}")
                continue
            if now != granted:
                report.faults.append(f"{request}: was told {granted}, now {now}")
        await self._read_store()

    async def _read_store(self) -> None:
        """How many hold each lead, and how often each push is an exposure, as the store has it."""
        url = EmbeddedValkey(self._service.data_folder / "valkey").url
        async with RedisStore(url) as store:
            async for part in store.holders(TENANT):
                self.report.holders.update(part)
            until = await store.latest_revision(TENANT)
            async for changes in changes_between(store, TENANT, NOTHING, until):
                events = [decode_event(c.payload) for c in changes if c.kind is ChangeKind.EVENT]
                pushed = [e.push_id for e in events if e.kind is EventKind.PUSHED]
                self.report.exposures.update(pushed)


def _kill(process_id: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(process_id, signal.SIGKILL)


@app.command("push-crash")
def push_crash(
    kills: Kills = 200,
    workers: Workers = 2,
    seed: Seed = 0,
    json_file: JsonFile = None,
) -> None:
    """Kills workers, store, consumers and everything while pushes are planned, sent and claimed.

    Exits with 1 when an acknowledged claim or a push was lost, or a cap was broken.

    Example: python -m benchmarks push-crash --kills 20
    """
    console = make_console()
    with scratch_folder(console, "recsvc-push-crash-") as folder:
        with count_bar(console) as progress:
            task = progress.add_task("killing", total=kills)
            test = PushCrashTest(folder, small_bundle("small", seed), workers=workers, seed=seed)
            report = asyncio.run(
                test.run(kills, lambda done: progress.update(task, completed=done))
            )
        conclude(console, report, json_file)
