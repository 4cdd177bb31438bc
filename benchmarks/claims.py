"""`python -m benchmarks claims`: many want few leads at once; is exactly the capacity granted?

Every one of the members claims every one of the leads, all at the same time over several workers.
Afterwards each request is sent again with the same request id, to whichever worker comes next, and
has to get the same answer.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import grpc
import numpy as np
import typer
from rich.table import Table

from benchmarks.options import JsonFile, Workers
from benchmarks.serving import ServiceProcess
from benchmarks.small_model import TENANT, small_bundle
from benchmarks.verdict import conclude, count_bar, make_console, scratch_folder
from features.entities import Lead, Member
from recsvc.client import AsyncClient
from recsvc.errors import AlreadyClaimedError
from recsvc.model.bundle import Bundle
from recsvc.model.registry import ModelRegistry
from recsvc.v1 import catalog_pb2, catalog_pb2_grpc

MOST_CAPACITY = 5
IN_FLIGHT = 256
CONNECTIONS = 16
"""More than workers: the system spreads connections over them at random."""
_SECRET_KEYS = frozenset({"claim_count", "claim_capacity"})

app = typer.Typer(help="Claims: many want few leads at once.")


@dataclass(frozen=True, slots=True)
class Answer:
    """What one request was told: granted, or refused with these words and figures."""

    granted: bool
    text: str
    figures: tuple[tuple[str, str], ...] = ()


@dataclass
class ClaimsReport:
    """Figures of a run; `failures` says in words what must not have been."""

    workers: int
    capacity: dict[str, int]
    granted: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    repeated: int = 0
    different: int = 0
    """Requests that were told something else the second time."""
    counted: dict[str, int] = field(default_factory=dict)
    """What the service says afterwards of how many hold a lead."""
    leaks: int = 0
    """Refusals that name somebody, or more than counts."""
    seconds: float = 0.0

    @property
    def failures(self) -> list[str]:
        """Empty when exactly the capacity was granted and every answer was repeated."""
        found = [
            f"{lead}: {self.granted[lead]} granted, {capacity} may hold it"
            for lead, capacity in self.capacity.items()
            if self.granted[lead] != capacity
        ]
        found += [
            f"{lead}: held by {self.counted.get(lead)}, {self.granted[lead]} granted"
            for lead in self.capacity
            if self.counted.get(lead) != self.granted[lead]
        ]
        if self.different:
            found.append(f"{self.different} requests got another answer when repeated")
        if self.leaks:
            found.append(f"{self.leaks} refusals say more than how many hold the lead")
        return found

    def as_json(self) -> dict[str, Any]:
        """The figures."""
        return {
            "requests": self.requests,
            "leads": len(self.capacity),
            "workers": self.workers,
            "capacity": sum(self.capacity.values()),
            "granted": self.granted.total(),
            "repeated": self.repeated,
            "different_when_repeated": self.different,
            "seconds": round(self.seconds, 3),
            "claims_a_second": round(self.requests / self.seconds) if self.seconds else None,
            "failures": self.failures,
        }

    def render(self) -> Table:
        """The figures as a table."""
        table = Table("claims", "figure", show_header=False)
        for name, value in self.as_json().items():
            if name != "failures":
                table.add_row(name.replace("_", " "), str(value))
        for failure in self.failures[:10]:
            table.add_row("[bold red]failure[/]", failure)
        return table


async def measure_claims(
    folder: Path,
    bundle: Bundle,
    *,
    leads: int = 100,
    members: int = 100,
    workers: int = 4,
    seed: int = 0,
    on_progress: Callable[[int], None] = lambda done: None,
) -> ClaimsReport:
    """`leads` times `members` claims at once, then all of them again."""
    ModelRegistry(folder / "models", TENANT).publish(bundle)
    service = ServiceProcess(folder, folder / "models", workers)
    rng = np.random.default_rng(seed)
    capacity = {
        f"wanted-{i}": int(n) for i, n in enumerate(rng.integers(1, MOST_CAPACITY + 1, leads))
    }
    people = [f"claimer-{i}" for i in range(members)]
    report = ClaimsReport(workers, capacity)
    try:
        ready = await service.start()
        async with AsyncClient(ready.address, tenant=TENANT, connections=CONNECTIONS) as client:
            await client.import_members(Member(person) for person in people)
            await client.import_leads(
                Lead(lead, 1, title="路灯不亮", claim_capacity=n) for lead, n in capacity.items()
            )
            pairs = [(lead, person) for lead in capacity for person in people]
            order = rng.permutation(len(pairs)).tolist()
            await _run(client.within(60.0), [pairs[i] for i in order], report, on_progress)
            async for name, count in _held(ready.address, client.revision):
                if name in capacity:
                    report.counted[name] = count
        await service.stop()
    finally:
        await service.kill()
    return report


async def _run(
    client: AsyncClient,
    pairs: Sequence[tuple[str, str]],
    report: ClaimsReport,
    on_progress: Callable[[int], None],
) -> None:
    turn = asyncio.Semaphore(IN_FLIGHT)
    done = 0

    async def ask(lead: str, person: str) -> Answer:
        nonlocal done
        async with turn:
            answer = await _claim(client, lead, person)
        done += 1
        on_progress(done)
        return answer

    begin = time.perf_counter()
    first = await asyncio.gather(*(ask(*pair) for pair in pairs))
    report.seconds = time.perf_counter() - begin
    again = await asyncio.gather(*(ask(*pair) for pair in pairs))
    report.requests, report.repeated = len(first), len(again)
    report.different = sum(a != b for a, b in zip(first, again, strict=True))
    for (lead, _), answer in zip(pairs, first, strict=True):
        report.granted[lead] += answer.granted
        report.leaks += "claimer" in answer.text and not answer.granted
        report.leaks += not {name for name, _ in answer.figures} <= _SECRET_KEYS


async def _claim(client: AsyncClient, lead: str, person: str) -> Answer:
    try:
        claim = await client.claim(lead, person, request_id=f"{lead} {person}")
    except AlreadyClaimedError as error:
        return Answer(False, error.message, tuple(sorted(error.metadata.items())))
    return Answer(True, f"{claim.member_id} {claim.state} {claim.update_time_us}")


async def _held(address: str, revision: str) -> AsyncGenerator[tuple[str, int], None]:
    """Each lead and how many hold it, as the service lists them."""
    request = catalog_pb2.ListLeadsRequest(
        parent=f"tenants/{TENANT}", page_size=1_000, min_revision=revision
    )
    async with grpc.aio.insecure_channel(address) as channel:
        stub: Any = catalog_pb2_grpc.CatalogServiceStub(channel)
        while True:
            reply = await stub.ListLeads(request)
            for lead in reply.leads:
                yield lead.name.rpartition("/")[2], lead.claim_count
            request.page_token = reply.next_page_token
            if not reply.next_page_token:
                return


@app.command("claims")
def claims(
    leads: Annotated[int, typer.Option(min=1, help="Leads to be claimed.")] = 100,
    members: Annotated[int, typer.Option(min=10, help="Members who claim each of them.")] = 100,
    workers: Workers = 4,
    seed: Annotated[int, typer.Option(min=0, help="Of capacities and order.")] = 0,
    json_file: JsonFile = None,
) -> None:
    """Every member claims every lead at the same time; exactly the capacity must be granted.

    Exits with 1 when it was not, or when a repeated request got another answer.

    Example: python -m benchmarks claims --json claims.json
    """
    console = make_console()
    with scratch_folder(console, "recsvc-claims-") as folder:
        with count_bar(console) as progress:
            task = progress.add_task("claiming", total=2 * leads * members)
            report = asyncio.run(
                measure_claims(
                    folder,
                    small_bundle("small", seed),
                    leads=leads,
                    members=members,
                    workers=workers,
                    seed=seed,
                    on_progress=lambda done: progress.update(task, completed=done),
                )
            )
        conclude(console, report, json_file)
