"""`python -m benchmarks crash`: kill -9 in the middle of writes, again and again; is all there?

Each round starts `recsvc serve` on the data that the last one left behind, compares what it answers
with everything that was ever acknowledged, lets several clients write, and kills every process at a
random moment. In some rounds only the supervisor is killed: the others have to die with it.

kill -9 does not test the disk: what a process has written is safe in the system's memory however
the process ends. What a power loss may cost is up to the store's persistence setting, which is
printed. The setting in force is the default, fsync always; with everysec a store may answer before
it has written, and loses a few writes even to kill -9.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import numpy as np
import typer

from benchmarks.crash_ledger import Fault, Ledger
from benchmarks.crash_report import CrashReport
from benchmarks.crash_writers import Subjects, Writer, read_back, read_stream, send_again
from benchmarks.options import JsonFile, Seed, Workers
from benchmarks.serving import Ready, ServiceProcess, ServingError
from benchmarks.small_model import TENANT, small_bundle
from benchmarks.verdict import conclude, count_bar, make_console, scratch_folder
from features.entities import Lead, Member
from recsvc.client import AsyncClient, RetryPolicy
from recsvc.errors import RevisionNotReachedError, ServiceError
from recsvc.model.bundle import Bundle
from recsvc.model.registry import ModelRegistry
from recsvc.store.embedded import EmbeddedValkey
from recsvc.store.revision import NOTHING, Revision

WRITERS = 4
OLD_SAMPLE = 60
"""Records and events of older rounds that are looked at after each restart."""
ORPHAN_SECONDS = 2.0
"""How long a process may outlive the rest of its service."""
_SUPERVISOR_EVERY = 5
"""In every fifth round, from the second on, the supervisor alone is killed."""
_LATEST_KILL_SECONDS = 0.005
_OLDER_PER_WRITER = 6
_SUBJECTS = 20

T = TypeVar("T")
app = typer.Typer(help="Does anything that was acknowledged get lost when everything is killed?")


class CrashTest:
    """A run in `folder`, where the store lives. It serves `bundle`, whose arrays are not kept.

    `count` members, leads and events are to be written a round. Same seed, same plan; what the kill
    meets is up to the machine.
    """

    def __init__(
        self, folder: Path, bundle: Bundle, *, workers: int = 2, count: int = 50, seed: int = 0
    ) -> None:
        self.ledger = Ledger()
        self._folder = folder
        self._model_id = ModelRegistry(folder / "models", TENANT).publish(bundle).model_id
        some = slice(0, _SUBJECTS)
        self._subjects = Subjects(bundle.member_ids.ids[some], bundle.lead_ids.ids[some])
        self._workers = workers
        self._count = count
        self._rng = np.random.default_rng(seed)
        self._report = CrashReport(self.ledger)
        self._seen: Revision = NOTHING

    async def run(self, kills: int, on_round: Callable[[int], None]) -> CrashReport:
        """All rounds, and a last look at everything; `on_round` hears the number of each."""
        service = self._service()
        try:
            for number in range(kills):
                ready = await self._start(service)
                await self._check(ready, number - 1)
                await self._write_and_kill(service, ready, number)
                on_round(number + 1)
                service = self._service()
            ready = await self._start(service)
            await self._check(ready, None)
            await read_stream(self._store_url(service), TENANT, self.ledger)
            await service.stop()
        finally:
            await service.kill()
        return self._report

    def _service(self) -> ServiceProcess:
        return ServiceProcess(self._folder, self._folder / "models", self._workers)

    def _store_url(self, service: ServiceProcess) -> str:
        return EmbeddedValkey(service.data_folder / "valkey").url

    async def _start(self, service: ServiceProcess) -> Ready:
        ready = await service.start()
        self._report.started(ready)
        if ready.models != f"{TENANT}={self._model_id}":
            raise ServingError(f"{ready.models} is served\n{service.log_end()}")
        found = service.running()
        if len(found) != 2 + self._workers:
            raise ServingError(f"a supervisor, a store and {self._workers} workers, not {found}")
        return ready

    async def _check(self, ready: Ready, last_round: int | None) -> None:
        """Reads back the last round and a sample of those before it, or (None) everything."""
        ledger = self.ledger
        keys, events = ledger.keys(last_round), ledger.events_of(last_round)
        if last_round is not None:
            keys += self._sample(ledger.keys(), OLD_SAMPLE)
            events += self._sample(ledger.events_of(), OLD_SAMPLE)
        async with AsyncClient(ready.address, tenant=TENANT) as client:
            await self._ask_for_revision(client)
            await read_back(client, ledger, list(dict.fromkeys(keys)))
            await send_again(client, ledger, list({e.event_id: e for e in events}.values()))
            self._seen = Revision.parse(client.revision)

    async def _ask_for_revision(self, client: AsyncClient) -> None:
        """What was acknowledged must be in the reply of whichever worker is asked for it."""
        client.see(str(self._seen))
        try:
            async for _ in client.list_organizations():
                break
        except RevisionNotReachedError:
            self.ledger.faults.append((Fault.LOST, f"the change stream up to {self._seen}"))
            client.forget()

    async def _write_and_kill(self, service: ServiceProcess, ready: Ready, number: int) -> None:
        """Lets the clients write until a random one of their writes has been answered."""
        enough = asyncio.Event()
        limit = self.ledger.total + int(self._rng.integers(3 * self._count))

        def acknowledged() -> None:
            if self.ledger.total >= limit:
                enough.set()

        clients = [
            AsyncClient(ready.address, tenant=TENANT, connections=1, retry=RetryPolicy(attempts=1))
            for _ in range(WRITERS)
        ]
        tasks = self._begin_writing(clients, number, acknowledged)
        writing = asyncio.gather(*tasks, return_exceptions=True)
        waiting = asyncio.create_task(enough.wait())
        either: list[asyncio.Future[Any]] = [writing, waiting]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        await asyncio.sleep(float(self._rng.uniform(0, _LATEST_KILL_SECONDS)))
        self._report.killing(tasks)
        await self._kill(service, alone=number % _SUPERVISOR_EVERY == 1)
        answers = await writing
        for client in clients:
            self._seen = self._seen.merge(Revision.parse(client.revision))
            await client.close()
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, ServiceError):
                raise answer

    def _begin_writing(
        self, clients: list[AsyncClient], number: int, acknowledged: Callable[[], None]
    ) -> list[asyncio.Task[None]]:
        """A task a client, each with its share of what is new and of what there is."""
        shares = np.diff(np.linspace(0, self._count, WRITERS + 1).astype(int)).tolist()
        there = [*self.ledger.present(Member), *self.ledger.present(Lead)]
        older = self._sample(there, _OLDER_PER_WRITER * WRITERS)
        tasks = []
        for i, (client, share) in enumerate(zip(clients, shares, strict=True)):
            writer = Writer(
                client,
                self.ledger,
                f"{number}-{i}",
                number,
                self._rng.spawn(1)[0],
                self._subjects,
                older[i::WRITERS],
                acknowledged,
            )
            tasks.append(asyncio.create_task(writer.run(share)))
        return tasks

    async def _kill(self, service: ServiceProcess, *, alone: bool) -> None:
        if alone:
            service.kill_supervisor()
        else:
            service.kill_group(store_first=bool(self._rng.random() < 0.5))
        self._report.killed(alone, *await service.until_gone(ORPHAN_SECONDS))

    def _sample(self, values: list[T], most: int) -> list[T]:
        chosen = self._rng.choice(len(values), min(most, len(values)), replace=False)
        return [values[i] for i in chosen.tolist()]


@app.command("crash")
def crash(
    kills: Annotated[int, typer.Option(min=1, help="How often everything is killed.")] = 200,
    workers: Workers = 2,
    seed: Seed = 0,
    json_file: JsonFile = None,
) -> None:
    """Kills the service in the middle of writes, starts it again, and looks for what is missing.

    Exits with 1 when anything acknowledged was lost, or a process was left running; the folder with
    the store and the logs is kept then.

    Example: python -m benchmarks crash --kills 10
    """
    console = make_console()
    with scratch_folder(console, "recsvc-crash-") as folder:
        with count_bar(console) as progress:
            task = progress.add_task("making a model", total=kills)
            test = CrashTest(folder, small_bundle("small", seed), workers=workers, seed=seed)

            def on_round(number: int) -> None:
                text = f"{test.ledger.total:,} acknowledged, {len(test.ledger.faults)} faults"
                progress.update(task, completed=number, description=text)

            report = asyncio.run(test.run(kills, on_round))
        conclude(console, report, json_file)
