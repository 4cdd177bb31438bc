"""What a crash test found, as a table and as JSON."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.table import Table

from benchmarks.crash_ledger import Fault, Ledger
from benchmarks.serving import Ready
from recsvc.errors import ServiceError

NOTE = (
    "kill -9 does not test the disk: what a process has written outlives it in the system's memory."
    " What a power loss may cost is up to the persistence setting above."
)
_MOST_SHOWN = 10


@dataclass
class CrashReport:
    """Figures of a run; `failures` says in words what must not have been."""

    ledger: Ledger
    start_seconds: list[float] = field(default_factory=list)
    persistence: str = ""
    group_kills: int = 0
    supervisor_kills: int = 0
    busy_kills: int = 0
    """Kills that met at least one client still writing."""
    gone_seconds: list[float] = field(default_factory=list)
    """How long the others outlived the supervisor, when it alone was killed."""
    orphans: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    """Writes that failed while nobody had been killed."""

    def started(self, ready: Ready) -> None:
        """A service is up."""
        self.start_seconds.append(ready.seconds)
        self.persistence = ready.persistence

    def killing(self, writers: Sequence[asyncio.Task[None]]) -> None:
        """This is how the writers stand a moment before the kill."""
        self.busy_kills += any(not task.done() for task in writers)
        for task in writers:
            error = task.exception() if task.done() else None
            if isinstance(error, ServiceError):
                self.refusals.append(f"{error.reason}: {error.message}")

    def killed(self, supervisor_alone: bool, seconds: float, left: Mapping[int, str]) -> None:
        """All is dead after so many seconds, but for what is left."""
        if supervisor_alone:
            self.supervisor_kills += 1
            self.gone_seconds.append(seconds)
        else:
            self.group_kills += 1
        self.orphans += [f"{command} ({pid})" for pid, command in left.items()]

    @property
    def kills(self) -> int:
        """How often everything was killed."""
        return self.group_kills + self.supervisor_kills

    @property
    def failures(self) -> list[str]:
        """Empty when nothing acknowledged was lost, doubled or back, and nobody left running."""
        found = [f"{fault}: {what}" for fault, what in self.ledger.faults]
        found += [f"left running: {who}" for who in self.orphans]
        return found + [f"refused before the kill: {what}" for what in self.refusals]

    def as_json(self) -> dict[str, Any]:
        """The figures."""
        ledger = self.ledger
        return {
            "rounds": self.kills,
            "group_kills": self.group_kills,
            "supervisor_kills": self.supervisor_kills,
            "kills_during_writes": self.busy_kills,
            "acknowledged": ledger.total,
            "acknowledged_by_kind": dict(ledger.acknowledged),
            "in_doubt_happened": ledger.settled[True],
            "in_doubt_did_not_happen": ledger.settled[False],
            "lost": ledger.count(Fault.LOST, Fault.STALE),
            "deleted_and_back": ledger.count(Fault.RETURNED),
            "duplicated": ledger.count(Fault.DUPLICATED),
            "refused_before_kill": len(self.refusals),
            "orphans": len(self.orphans),
            "seconds_alive_after_supervisor_max": max(self.gone_seconds, default=None),
            "restart_seconds_median": statistics.median(self.start_seconds),
            "restart_seconds_max": max(self.start_seconds),
            "persistence": self.persistence,
            "failures": self.failures,
        }

    def render(self) -> Table:
        """The summary table."""
        told = self.as_json()
        kinds = ", ".join(f"{n:,} {what}" for what, n in self.ledger.acknowledged.items())
        alive = told["seconds_alive_after_supervisor_max"]
        table = Table(title="kill -9 during writes", caption=NOTE, show_header=False)
        table.add_column("what")
        table.add_column("found", overflow="fold")
        for what, value in (
            (
                "rounds",
                f"{self.kills} ({self.group_kills} times everything at once, "
                f"{self.supervisor_kills} times the supervisor alone; "
                f"{self.busy_kills} met unfinished writes)",
            ),
            ("acknowledged", f"{self.ledger.total:,}: {kinds}"),
            (
                "unanswered when killed",
                f"{self.ledger.settled.total():,}, of which {self.ledger.settled[True]:,} happened",
            ),
            ("lost", f"{told['lost']}"),
            ("deleted, and back", f"{told['deleted_and_back']}"),
            ("duplicated", f"{told['duplicated']}"),
            ("left running (orphans)", f"{told['orphans']}"),
            (
                "alive after the supervisor",
                "not tried" if alive is None else f"{alive:.2f} s at most",
            ),
            (
                "restart, until every worker serves",
                f"{told['restart_seconds_median']:.2f} s median, "
                f"{told['restart_seconds_max']:.2f} s at most",
            ),
            ("persistence", self.persistence),
            *(("FAILED", text) for text in self.failures[:_MOST_SHOWN]),
        ):
            table.add_row(what, value)
        return table
