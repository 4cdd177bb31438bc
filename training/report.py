"""What a training run has to say at its end: a table for people, JSON for programs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from training.evaluate import Evaluation
from training.gate import Check
from training.logs import ReadSummary


@dataclass
class TrainingReport:
    """Filled while the run goes on."""

    tenant: str
    model_id: str = ""
    embedding: str = ""
    dimensions: int = 0
    ranker_pairs: int = 0
    calibrated: bool = False
    member_count: int = 0
    lead_count: int = 0
    event_count: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    evaluation: Evaluation | None = None
    checks: list[Check] = field(default_factory=list)
    published: bool = False
    why_not: str = ""
    summary: ReadSummary | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        figures = self.evaluation.figures if self.evaluation else ()
        return {
            "tenant": self.tenant,
            "model_id": self.model_id,
            "published": self.published,
            "why_not": self.why_not,
            "embedding": self.embedding,
            "dimensions": self.dimensions,
            "ranker_pairs": self.ranker_pairs,
            "calibrated": self.calibrated,
            "members": self.member_count,
            "leads": self.lead_count,
            "events": self.event_count,
            "seconds": {name: round(value, 3) for name, value in self.seconds.items()},
            "primary": self.evaluation.primary if self.evaluation else None,
            "figures": [figure.as_json() for figure in figures],
            "checks": [check.as_json() for check in self.checks],
            "read": self.summary.to_json() if self.summary else None,
        }

    def render(self) -> Group:
        """The table for a terminal."""
        table = Table("what", "value", title=f"training {self.model_id}", title_justify="left")
        table.add_row(
            "members / leads / events",
            f"{self.member_count:,} / {self.lead_count:,} / {self.event_count:,}",
        )
        table.add_row("embedding", f"{self.embedding}, {self.dimensions} dimensions")
        table.add_row(
            "ranker",
            f"{self.ranker_pairs:,} pairs"
            if self.ranker_pairs
            else "default weights (too little to learn from)",
        )
        table.add_row(
            "claim probability",
            "calibrated" if self.calibrated else "none: the log has no exposures to calibrate on",
        )
        for figure in self.evaluation.figures if self.evaluation else ():
            interval = "" if figure.low != figure.low else f" [{figure.low:.4f}, {figure.high:.4f}]"
            table.add_row(
                f"{figure.name} ({figure.cohort})",
                f"{figure.value:.4f}{interval}  n={figure.count:,}",
            )
        for check in self.checks:
            table.add_row(
                f"gate: {check.name}",
                Text(
                    "passed  " if check.passed else "FAILED  ",
                    style="green" if check.passed else "red",
                )
                + Text(check.detail),
            )
        table.add_row("seconds", ", ".join(f"{k} {v:.1f}" for k, v in self.seconds.items()))
        verdict = (
            Text("published", style="green")
            if self.published
            else Text(f"NOT published: {self.why_not}", style="red")
        )
        table.add_row("result", verdict)
        return Group(table)
