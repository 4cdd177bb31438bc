"""Policies judged on a data set's own log (`recsvc push simulate --log`): no simulated world.

The model learns from the log up to a cut; the pushes after it are weighed (see `.logged`).
A policy here says with which chance it would draw a member for a lead, among everybody whom the
masks allow: a plan's own choice would hardly ever be among the logged pushes, so its ranking is
judged instead.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.push.logged import Estimate, LoggedPushes, estimate, logged_pushes
from benchmarks.push.stage import TENANT, known_until, without_hindsight
from features.errors import DataError
from recsvc.matching.updates import load_records
from recsvc.model.registry import ModelRegistry
from recsvc.model.snapshot import Snapshot
from recsvc.push.candidates import CandidateFinder, Pairs, Pushed
from recsvc.store.codec import RecordKind, encode_entity
from recsvc.store.types import StoredRecord
from training.config import TrainingConfig
from training.logs import DataSet, read_dataset
from training.nightly import Training

LATER_SHARE = 0.2
MOST_LEADS = 400
_TOP = 10

Chances = Callable[[Pairs], NDArray[np.float64]]
"""From a lead's allowed members (best first) to the chance of each to be drawn."""


def _ranked(pairs: Pairs) -> NDArray[np.float64]:
    weight = np.exp(pairs.score.astype(np.float64) - float(pairs.score.max()))
    return np.asarray(weight / weight.sum())


def _top(pairs: Pairs) -> NDArray[np.float64]:
    return (np.arange(len(pairs.member)) < _TOP) / min(_TOP, len(pairs.member))


def _nearest(pairs: Pairs) -> NDArray[np.float64]:
    km = np.where(np.isnan(pairs.distance_km), np.inf, pairs.distance_km)
    chances = np.zeros(len(km))
    chances[np.argsort(km, kind="stable")[:_TOP]] = 1.0 / min(_TOP, len(km))
    return chances


def _anybody(pairs: Pairs) -> NDArray[np.float64]:
    return np.full(len(pairs.member), 1.0 / len(pairs.member))


LOG_POLICIES: dict[str, Chances] = {
    "ranked": _ranked,
    "ten-best": _top,
    "ten-nearest": _nearest,
    "anybody": _anybody,
}


def replay_log(
    folder: Path, seed: int, step: Callable[[str], None] = lambda _: None
) -> dict[str, Estimate]:
    """Claims a push under the logging policy ("as logged") and under each of `LOG_POLICIES`.

    At most 400 leads of the later part, drawn by the seed. Raises DataError for a log without
    times or without propensities.
    """
    whole = read_dataset(folder)
    if not whole.events.has_times:
        raise DataError(f"{folder}: all events are of one instant, so there is no later part")
    cut_us = int(np.quantile(whole.events.time_us, 1.0 - LATER_SHARE))
    capacity = np.array([lead.claim_capacity or 0 for lead in whole.leads], np.int32)
    later = whole.events.select(whole.events.time_us >= cut_us)
    pushes = _sampled(logged_pushes(later, capacity), seed)
    step("model of the early part")
    with tempfile.TemporaryDirectory(prefix="recsvc-log-") as models:
        snapshot = _early_model(whole, np.unique(pushes.lead), cut_us, seed, Path(models))
        step("policies")
        chances = _chances(snapshot, whole, pushes)
    found = {"as logged": estimate(pushes, pushes.propensity, seed)}
    return found | {name: estimate(pushes, chances[name], seed) for name in LOG_POLICIES}


def _sampled(pushes: LoggedPushes, seed: int) -> LoggedPushes:
    leads = np.unique(pushes.lead)
    rng = np.random.default_rng(seed)
    kept = rng.choice(leads, min(MOST_LEADS, len(leads)), replace=False)
    which = np.isin(pushes.lead, kept)
    return LoggedPushes._make(column[which] for column in pushes)


def _early_model(
    whole: DataSet, leads: NDArray[np.int32], cut_us: int, seed: int, models: Path
) -> Snapshot:
    """The model of the early part, with the sampled leads open in it."""
    plain = tuple(without_hindsight(lead) for lead in whole.leads)
    known = known_until(whole, plain, leads.astype(np.int64), cut_us)
    bundle, _ = Training(TrainingConfig(seed=seed, threads=1), TENANT, lambda _: None).train(known)
    registry = ModelRegistry(models, TENANT)
    registry.publish(bundle)
    snapshot = Snapshot(registry.load(bundle.manifest.model_id))
    new = [plain[row] for row in leads.tolist() if plain[row].create_time_us >= cut_us]
    records = [encode_entity(lead) for lead in new]
    stored = [StoredRecord(r.kind, r.id, r.fingerprint, r.data) for r in records]
    load_records(snapshot, RecordKind.LEAD, stored)
    return snapshot


def _chances(
    snapshot: Snapshot, whole: DataSet, pushes: LoggedPushes
) -> dict[str, NDArray[np.float64]]:
    """P(push) of each logged push under each policy, with as many draws as the log made."""
    count = len(snapshot.members)
    free = np.ones(count, np.uint8)
    nobody = Pushed(np.empty(0, np.int64), np.empty(0, np.int64))
    out = {name: np.zeros(len(pushes.lead)) for name in LOG_POLICIES}
    for lead in np.unique(pushes.lead).tolist():
        at = np.flatnonzero(pushes.lead == lead)
        row = snapshot.leads.row(whole.leads[lead].lead_id)
        when_us = int(pushes.time_us[at].min())
        finder = CandidateFinder(snapshot, when_us, free, nobody)
        members = finder.everyone(row, free)
        if len(members) == 0:
            continue
        pairs = finder.scored(members, np.full(len(members), row, np.int64), count)
        place = np.full(count, -1, np.int64)
        place[pairs.member] = np.arange(len(pairs.member))
        names = [whole.members[m].member_id for m in pushes.member[at].tolist()]
        logged = place[[snapshot.members.row(name) for name in names]]
        for name, policy in LOG_POLICIES.items():
            drawn = policy(pairs)[np.maximum(logged, 0)] * (logged >= 0)
            out[name][at] = 1.0 - (1.0 - np.minimum(drawn, 1.0)) ** len(at)
    return out
