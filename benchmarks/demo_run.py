"""The steps of the demo, one after the other, each told in a line."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from benchmarks.demo_data import Sample, draft_in_words, new_lead, short, text_of
from benchmarks.demo_service import DemoError, Service, running
from benchmarks.workload import ProvinceConfig, generate, write_dataset
from features.entities import Event, EventKind, Lead, Member
from recsvc.client import Client, Eligibility, LeadList, MemberList, RankedLead, RankedMember
from recsvc.commands import show
from training.cli_import import import_folder
from training.config import TrainingConfig
from training.logs import ReadOptions
from training.nightly import Training

NEW_LEAD = "demo-new-lead"
COUNT = 10
ASKS = 8
"""How often a reply is asked for again, so that every worker answers."""


class Demo:
    """One run, in a folder of its own. Raises RecsvcError when a step fails."""

    def __init__(self, folder: Path, workers: int, seed: int, console: Console) -> None:
        self._folder = folder
        self._models = folder / "models"
        self._workers = workers
        self._seed = seed
        self._seconds: dict[str, float] = {}
        self._console = console

    def run(self, data: Path | None, messages: Path | None) -> None:
        """All steps, then how long each took."""
        folder = self._province() if data is None else data
        with self._step("read", "Read the data set"):
            sample = Sample(folder)
            rows = sample.data
            self._say(
                f"{len(rows.members):,} members, {len(rows.leads):,} leads, "
                f"{len(rows.events):,} events from {folder}"
            )
        self._train(folder)
        service = Service(self._folder, self._models, self._workers)
        with running(service), Client(self._start(service)) as client:
            self._import(client, folder)
            member = sample.member()
            found = self._recommend(client, sample, member)
            best = sample.lead(found.leads[0].lead_id)
            self._match(client, sample, best)
            self._drafts(client, sample, best, sample.citizen_messages(messages, folder))
            self._explain(client, member, best)
            self._new_lead(client, member, best)
            self._dismiss(client, member, found)
            began = time.perf_counter()
        self._seconds["stop"] = time.perf_counter() - began
        self._timings()

    def _province(self) -> Path:
        with self._step("make a province", "Make a small simulated province"):
            # Its present is ours, so that a fresh lead is fresh.
            now_us = time.time_ns() // 1_000
            province = generate(ProvinceConfig(end_time_us=now_us), self._seed)
            write_dataset(province, self._folder / "data")
        return self._folder / "data"

    def _train(self, data: Path) -> None:
        with self._step("train", "Train a model on the log, judge it, publish it"):
            config = TrainingConfig(seed=self._seed)
            with self._console.status("") as status:
                training = Training(config, "default", lambda stage: status.update(stage))
                report = training.publish(data, self._models)
            self._console.print(report.render())
            if not report.published:
                raise DemoError(f"nothing was published: {report.why_not}")

    def _start(self, service: Service) -> str:
        title = f"Start the service: embedded store, {self._workers} workers on one port"
        with self._step("start", title):
            address = service.wait()
            with Client(address) as client:
                client.wait_until_serving()
                found = client.list_workers()
            names = ", ".join(worker.worker_id for worker in found.workers)
            self._say(f"{address} serves; workers {names}; store {found.durability.server}")
        return address

    def _import(self, client: Client, folder: Path) -> None:
        with self._step("import", "Write members, leads and organizations over gRPC"):
            for table in import_folder(client, folder, ReadOptions()):
                sent = table.sent
                self._say(f"{table.read.table}: {sent.imported_count:,} of {sent.row_count:,} rows")
                if sent.rejected_count > 0.01 * sent.row_count:
                    raise DemoError(f"the service refused {sent.rejected_count:,} rows")

    def _recommend(self, client: Client, sample: Sample, member: Member) -> LeadList:
        with self._step("recommend", "Ten leads for one member"):
            name = member.member_id
            self._say(f"member {name}: {short(sample.about_member(name), 100)}")
            found = client.within(30.0).recommend(name, count=COUNT, full=True)
            self._console.print(show.lead_table(found, f"leads for {name}"))
            self._say(show.list_footer(found.info, len(found)))
            check_list(found.leads, found.info.eligible_count)
            return found

    def _match(self, client: Client, sample: Sample, lead: Lead) -> None:
        with self._step("match", "Ten members for one lead"):
            self._say(f"lead {lead.lead_id}: {short(text_of(lead), 100)}")
            found = client.within(30.0).match(lead.lead_id, count=COUNT, full=True)
            self._members(sample, found, lead, f"members for {lead.lead_id}")
            check_list(found.members, found.info.eligible_count)

    def _drafts(self, client: Client, sample: Sample, like: Lead, messages: list[Lead]) -> None:
        what = f"{len(messages)} citizens' messages" if messages else "a draft"
        with self._step("drafts", f"Members for {what}: text that is stored nowhere"):
            own = sample.draft(like)
            drafts = messages or ([own] if own is not None else [])
            for draft in drafts:
                self._say(draft_in_words(draft))
                found = client.match(draft, count=3 if messages else 5, full=True)
                self._members(sample, found, draft, "members for this text")
                if not len(found):
                    raise DemoError("nobody was found for a draft")
            if not drafts:
                self._say("left out: this set knows no text, topic or place to write a draft with")

    def _explain(self, client: Client, member: Member, lead: Lead) -> None:
        with self._step("explain", "Why that lead for that member: the score is its terms' sum"):
            found = client.explain(member.member_id, lead.lead_id)
            show.print_explanation(self._console, found)
            total = found.baseline + sum(term.weight for term in found.terms)
            if not found.shown or abs(total - found.score) > 1e-3 * max(1.0, abs(total)):
                raise DemoError(f"terms add up to {total}, the score is {found.score}")

    def _new_lead(self, client: Client, member: Member, like: Lead) -> None:
        with self._step("new lead", "A citizen raises a new lead; the next reply has it"):
            lead = new_lead(like, NEW_LEAD, time.time_ns() // 1_000)
            client.update_lead(lead, create=True)
            only = Eligibility(candidate_ids=(NEW_LEAD,))
            for _ in range(ASKS):  # whichever worker answers
                found = client.recommend(member.member_id, eligibility=only)
                if [item.lead_id for item in found] != [NEW_LEAD]:
                    raise DemoError("a lead was acknowledged, but the next reply lacks it")
            where = client.explain(member.member_id, NEW_LEAD)
            place = f"rank {where.rank} of {where.eligible_count:,}" if where.rank else "eligible"
            self._say(f"{NEW_LEAD}: {place} for {member.member_id}, in {ASKS} of {ASKS} replies")

    def _dismiss(self, client: Client, member: Member, found: LeadList) -> None:
        with self._step("dismiss", "The member dismisses the first lead; it never comes back"):
            gone, info = found.leads[0].lead_id, found.info
            event = Event(
                EventKind.DISMISSED,
                time.time_ns() // 1_000,
                member.member_id,
                gone,
                position=0,
                attribution_token=info.attribution_token,
                model_version=info.model_version,
            )
            report = client.record([event])
            if report.recorded_count != 1:
                raise DemoError(f"the event was refused: {report.errors}")
            for _ in range(ASKS):
                again = client.recommend(member.member_id, count=100)
                if gone in {item.lead_id for item in again}:
                    raise DemoError(f"{gone} was dismissed, and offered again")
            why = client.explain(member.member_id, gone)
            reasons = "；".join(blocked.text for blocked in why.blocked_by)
            self._say(f"{gone} is in none of {ASKS} replies; why not: {reasons}")
            if why.shown or not why.blocked_by:
                raise DemoError(f"explain does not know that {gone} was dismissed")

    def _members(self, sample: Sample, found: MemberList, lead: Lead, title: str) -> None:
        text = lead.title + lead.body
        works = [sample.works_of(item.member_id, text, most=1) for item in found]
        self._console.print(show.member_table(found, title, {"took on or wrote": works}))

    @contextmanager
    def _step(self, name: str, title: str) -> Iterator[None]:
        self._console.print(Rule(Text(f"{len(self._seconds) + 1}. {title}"), align="left"))
        began = time.perf_counter()
        yield
        self._seconds[name] = time.perf_counter() - began

    def _say(self, text: str) -> None:
        self._console.print(Text(text))

    def _timings(self) -> None:
        table = Table("step", "seconds", title="how long it took", title_justify="left")
        for name, seconds in self._seconds.items():
            table.add_row(name, f"{seconds:.2f}")
        table.add_row("all", f"{sum(self._seconds.values()):.2f}", style="bold")
        self._console.print(table)


def check_list(items: Sequence[RankedLead | RankedMember], eligible_count: int) -> None:
    """Raises DemoError unless the list is as long as it can be, and every item has a reason."""
    expected = min(COUNT, eligible_count)
    if not items or len(items) < expected:
        raise DemoError(f"{len(items)} came back, but {eligible_count:,} are eligible")
    if any(not item.reasons or not item.reasons[0].text for item in items):
        raise DemoError("an item came without a reason")
