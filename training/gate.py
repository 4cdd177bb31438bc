"""The gate: may this bundle be published? A bundle that fails any check is not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from recsvc.matching.pipeline import Pipeline
from recsvc.matching.queries import ListQuery
from recsvc.model.bundle import Bundle
from recsvc.model.snapshot import Snapshot
from training.config import GateConfig
from training.evaluate import Evaluation, Figure
from training.state import sample_rows


@dataclass(frozen=True)
class Check:
    """A condition, whether it held, and the figures behind it."""

    name: str
    passed: bool
    detail: str

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"name": self.name, "passed": self.passed, "detail": self.detail}


def gate_checks(
    evaluation: Evaluation,
    final: Bundle,
    previous: dict[str, Any] | None,
    config: GateConfig,
    seed: int,
) -> list[Check]:
    """All checks of a bundle; `previous` holds the metrics of the one published before."""
    checks = [_finite(final)]
    if not checks[0].passed:
        return checks  # such a bundle cannot be asked anything
    checks += _probe(final, config, seed)
    measured = evaluation.figure(evaluation.primary)
    if measured is None or not measured.count:
        checks.append(Check("evaluated", True, "too few later events to judge on: not compared"))
        return checks
    within = evaluation.figure("auc_within_members")
    if within is not None and within.count:
        detail = f"{within.name} {_shown(within)}, chance 0.5"
        checks.append(Check("not_worse_than_chance", not within.high < 0.5, detail))
    popularity = evaluation.figure(evaluation.primary, "popularity")
    if popularity is not None:
        good = measured.high >= popularity.value
        detail = f"{measured.name} {_shown(measured)}, popularity {popularity.value:.4f}"
        checks.append(Check("not_worse_than_popularity", good, detail))
    if previous is not None:
        checks += _compared(evaluation, previous, config)
    return checks


def _compared(evaluation: Evaluation, previous: dict[str, Any], config: GateConfig) -> list[Check]:
    """The primary figure, overall and by cohort, against the last published bundle's."""
    checks = []
    for old in previous.get("figures", []):
        if old["name"] != evaluation.primary or old["cohort"] == "popularity":
            continue
        new = evaluation.figure(old["name"], old["cohort"])
        if new is None or old["value"] is None or np.isnan(new.high):
            continue
        overall = old["cohort"] == "all"
        allowed = config.tolerance if overall else config.slice_tolerance
        checks.append(
            Check(
                "not_worse_than_last" if overall else f"floor: {old['cohort']}",
                new.high >= old["value"] - allowed,
                f"{new.name} {_shown(new)}, last published {old['value']:.4f}, allowed -{allowed}",
            )
        )
    return checks


def _finite(bundle: Bundle) -> Check:
    ranker = bundle.ranker
    arrays = {
        "members.vector": bundle.members.vector,
        "leads.vector": bundle.leads.vector,
        "ranker.values": ranker.values,
        "ranker.slopes": np.stack([ranker.missing, ranker.slope_below, ranker.slope_above]),
        "ranker.intercept": np.array(ranker.intercept),
        "calibration": np.stack(bundle.calibration),
    }
    broken = [name for name, array in arrays.items() if not np.isfinite(array).all()]
    return Check("finite", not broken, ", ".join(broken) or "all vectors and tables are finite")


def _probe(bundle: Bundle, config: GateConfig, seed: int) -> list[Check]:
    """Members with a history must not all get the same list."""
    active = np.flatnonzero(bundle.members.events > 0)
    probes = active[sample_rows(len(active), config.probe_members, seed)]
    if len(probes) < 2:
        return [Check("members_differ", True, "fewer than two members have a history")]
    pipeline = Pipeline(Snapshot(bundle))
    query = ListQuery(count=10, as_of_us=_end_us(bundle))
    lists = []
    for member in probes.tolist():
        answer = pipeline.recommend(bundle.member_ids.ids[member], query)
        lists.append(tuple(item.id for item in answer.items))
    if not any(lists):
        return [Check("members_differ", True, "no lead is open: nothing to compare")]
    different = len(set(lists))
    return [Check("members_differ", different > 1, f"{different} lists for {len(lists)} members")]


def _end_us(bundle: Bundle) -> int:
    """The last instant that the bundle knows of: asked then, it answers the same every time."""
    times = bundle.leads.create_time_us, bundle.leads.close_time_us
    reference_us = bundle.manifest.interest.reference_time_us
    return max(reference_us, *(int(t.max(initial=0)) for t in times))


def _shown(figure: Figure) -> str:
    return f"{figure.value:.4f} [{figure.low:.4f}, {figure.high:.4f}]"
