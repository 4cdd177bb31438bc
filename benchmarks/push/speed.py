"""How long a plan takes, how it grows with the number of leads, and whether it keeps its limits."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from features.entities import LeadState
from recsvc.matching.filters import Eligibility
from recsvc.matching.pipeline import Pipeline
from recsvc.model.bundle import Bundle
from recsvc.model.snapshot import Snapshot
from recsvc.model.verdicts import Verdict
from recsvc.push.arrival import plan_arrival
from recsvc.push.candidates import CandidateFinder, Pushed
from recsvc.push.caps import allowances
from recsvc.push.config import PushConfig, Waves
from recsvc.push.due import due_leads
from recsvc.push.log import read_push_log
from recsvc.push.plan import plan_pushes
from recsvc.push.types import Plan, PushHistory

_MANY_WAVES = 60
_RECALL_LEADS = 20

DUE_ALWAYS = PushConfig(
    waves=Waves(
        least=(1,) * _MANY_WAVES,
        most=(3,) * _MANY_WAVES,
        deadline_hours=(0.01, 0.01, 0.01, 0.01),
    )
)
"""Three members a lead, whatever the log says of earlier waves: every open lead is planned."""


@dataclass(frozen=True)
class Measured:
    """One plan. `broken` are masks, caps and bounds that its pushes do not keep."""

    leads: int
    seconds: float
    plan: Plan
    masks_broken: int
    caps_broken: int


def open_only(bundle: Bundle, count: int) -> Snapshot:
    """A snapshot in which the newest `count` leads are open and no others."""
    snapshot = Snapshot(bundle)
    columns = snapshot.leads.base
    newest = np.argsort(-columns.create_time_us, kind="stable")
    columns.state[newest[:count]] = LeadState.OPEN
    columns.state[newest[count:]] = LeadState.CLOSED
    columns.close_time_us[newest[count:]] = 0
    return snapshot


def measure_plan(bundle: Bundle, count: int, now_us: int) -> Measured:
    """Plans `count` leads of a bundle."""
    snapshot = open_only(bundle, count)
    pipeline = Pipeline(snapshot, clock=lambda: now_us)
    begin = time.perf_counter()
    plan = plan_pushes(pipeline, DUE_ALWAYS, now_us, PushHistory())
    seconds = time.perf_counter() - begin
    return Measured(
        count, seconds, plan, _masks_broken(pipeline, plan, now_us), _caps_broken(snapshot, plan)
    )


def measure_arrival(bundle: Bundle, count: int, now_us: int) -> float:
    """Seconds until an urgent lead's members are chosen."""
    snapshot = open_only(bundle, count)
    columns = snapshot.leads.base
    row = int(np.argmax(columns.create_time_us))
    columns.urgency[row] = 3
    pipeline = Pipeline(snapshot, clock=lambda: now_us)
    lead = [snapshot.leads.identifier(row)]
    plan_arrival(pipeline, DUE_ALWAYS, now_us, PushHistory(), lead)  # compiles
    begin = time.perf_counter()
    plan_arrival(pipeline, DUE_ALWAYS, now_us, PushHistory(), lead)
    return time.perf_counter() - begin


def candidate_recall(bundle: Bundle, now_us: int) -> float:
    """Share of the best hundred members, by the ranker asked for all, that are candidates."""
    snapshot = open_only(bundle, _RECALL_LEADS)
    history, config = PushHistory(), DUE_ALWAYS
    log = read_push_log(snapshot, history)
    free = allowances(snapshot, config, now_us, log, history).free > 0
    finder = CandidateFinder(snapshot, now_us, free.astype(np.uint8), Pushed.of(log))
    due = due_leads(snapshot, config, now_us, log, history)
    found = finder.best(due.row, due.wanted, config.candidates).pairs
    shares = []
    for lead in due.row.tolist():
        everybody = np.ones(len(free), np.uint8)
        best = finder.everybody(lead, Eligibility(), everybody, config.candidates)
        shares.append(float(np.isin(best.member, found.member[found.lead == lead]).mean()))
    return float(np.mean(shares))


def _masks_broken(pipeline: Pipeline, plan: Plan, now_us: int) -> int:
    """Asked again pair by pair, through the pipeline."""
    pairs = [(push.member_id, push.lead_id) for push in plan.pushes]
    verdicts = pipeline.score_pairs(pairs, now_us).verdicts
    return sum(verdict is not Verdict.KEPT for verdict in verdicts)


def _caps_broken(snapshot: Snapshot, plan: Plan) -> int:
    config, history = DUE_ALWAYS, PushHistory()
    log = read_push_log(snapshot, history)
    free = allowances(snapshot, config, plan.now_us, log, history).free
    members = np.array([snapshot.members.row(p.member_id) for p in plan.pushes], np.int64)
    given = np.bincount(members, minlength=len(free))
    leads: dict[str, int] = {}
    for push in plan.pushes:
        leads[push.lead_id] = leads.get(push.lead_id, 0) + 1
    return int((given > free).sum()) + sum(count > 3 for count in leads.values())
