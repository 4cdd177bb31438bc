"""What a crash test of pushes found, as a table and as JSON."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from rich.table import Table

from benchmarks.push_consumer import Handed

_MOST_SHOWN = 10


@dataclass
class PushCrashReport:
    """The books of a run; `failures` says in words what must not have been."""

    day_cap: int
    week_cap: int
    kills: Counter[str] = field(default_factory=Counter)
    plans: int = 0
    completed: int = 0
    """Pushes of half-committed plans that a later call put."""
    leads: list[str] = field(default_factory=list)
    planned: dict[str, str] = field(default_factory=dict)
    """Acknowledged pushes and their members."""
    handed: Handed = field(default_factory=Handed)
    unfetched: dict[str, str] = field(default_factory=dict)
    """Acknowledged pushes that no consumer wrote down, and their state in the end."""
    asked: dict[str, tuple[str, str]] = field(default_factory=dict)
    answers: dict[str, bool] = field(default_factory=dict)
    """Answered claims by request id: granted, or not."""
    holders: Counter[str] = field(default_factory=Counter)
    exposures: Counter[str] = field(default_factory=Counter)
    """How often each push is a PUSHED event in the change stream."""
    faults: list[str] = field(default_factory=list)

    @property
    def failures(self) -> list[str]:
        """Empty when nothing acknowledged was lost and no cap was broken."""
        found = list(self.faults)
        found += [
            f"push {push_id} was planned and is {state}"
            for push_id, state in self.unfetched.items()
            if state != "DROPPED"
        ]
        per_member = Counter(self.handed.members.values())
        most = min(self.day_cap, self.week_cap)
        found += [f"{m} was handed {n} pushes" for m, n in per_member.items() if n > most]
        held = Counter(
            {(self.asked[r][0], self.asked[r][1]) for r, ok in self.answers.items() if ok}
        )
        granted = Counter(lead for lead, _ in held)
        found += [
            f"{lead}: {n} claims were granted, {self.holders[lead]} are held"
            for lead, n in granted.items()
            if self.holders[lead] < n
        ]
        found += [f"push {p} is {n} exposures" for p, n in self.exposures.items() if n > 1]
        return found + [f"{x}: held by {n}" for x, n in self.holders.items() if n > _capacity(x)]

    def as_json(self) -> dict[str, Any]:
        """The figures."""
        times = self.handed.times
        return {
            "kills": self.kills.total(),
            **{f"kills_of_{target}": n for target, n in sorted(self.kills.items())},
            "plans_acknowledged": self.plans,
            "pushes_of_crashed_plans_completed": self.completed,
            "pushes_acknowledged": len(self.planned),
            "pushes_handed_out": len(times),
            "handed_out_more_than_once": sum(n > 1 for n in times.values()),
            "pushes_dropped": sum(state == "DROPPED" for state in self.unfetched.values()),
            "most_a_member": max(Counter(self.handed.members.values()).values(), default=0),
            "exposures_recorded": len(self.exposures),
            "claims_answered": len(self.answers),
            "claims_granted": sum(self.answers.values()),
            "claims_unanswered": len(self.asked) - len(self.answers),
            "failures": self.failures[:_MOST_SHOWN],
        }

    def render(self) -> Table:
        """The figures as a table."""
        table = Table("push-crash", "figure", show_header=False)
        for name, value in self.as_json().items():
            if name != "failures":
                table.add_row(name.replace("_", " "), str(value))
        for failure in self.failures[:_MOST_SHOWN]:
            table.add_row("[bold red]failure[/]", failure)
        return table


def _capacity(lead_id: str) -> int:
    """Of the leads that the test writes: one or two, by their number."""
    return 1 + int(lead_id.rpartition("-")[2]) % 2
