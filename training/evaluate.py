"""How good a bundle is: the later part of the log, asked through the served pipeline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from features.entities import Lead
from recsvc.matching.pipeline import Pipeline
from recsvc.matching.queries import ListQuery
from recsvc.model.arrays import F64
from recsvc.model.bundle import Bundle
from recsvc.model.snapshot import Snapshot
from recsvc.store.codec import decode_entity
from training.assemble_bundle import as_all_open
from training.cohorts import NEW_LEADS, member_cohorts, untouched
from training.config import GateConfig
from training.exposures import MICROSECONDS_PER_DAY, Pairs
from training.intervals import bootstrap_mean
from training.metrics import (
    auc,
    auc_within_groups,
    brier_skill,
    ece,
    grouped_hits,
    list_hits,
    ndcg_at,
    recall_at,
)
from training.state import State, sample_rows

LIST_LENGTH = 20


@dataclass(frozen=True)
class Figure:
    """One measured value with its 95 % interval (NaN when there is none) and whom it is about."""

    name: str
    value: float
    low: float = float("nan")
    high: float = float("nan")
    cohort: str = "all"
    count: int = 0

    def as_json(self) -> dict[str, Any]:
        """Plain values; NaN becomes None."""
        numbers = {"value": self.value, "low": self.low, "high": self.high}
        return {
            "name": self.name,
            "cohort": self.cohort,
            "count": self.count,
            **{k: None if np.isnan(v) else round(float(v), 6) for k, v in numbers.items()},
        }


@dataclass(frozen=True)
class Evaluation:
    """All figures of a bundle; `primary` names the one the gate compares."""

    primary: str
    figures: tuple[Figure, ...] = ()
    lists: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, LIST_LENGTH), np.int64))

    def figure(self, name: str, cohort: str = "all") -> Figure | None:
        """The figure of that name and cohort, None when it was not measured."""
        found = [f for f in self.figures if f.name == name and f.cohort == cohort]
        return found[0] if found else None


def evaluate_choices(
    bundle: Bundle, state: State, chosen: Pairs, config: GateConfig, seed: int
) -> Evaluation:
    """RecommendLeads against what members chose later: Recall@20 and NDCG@20 over members.

    Each member is asked for at the instant of their last choice.
    """
    pipeline = Pipeline(Snapshot(as_all_open(bundle)))
    who = np.unique(chosen.member)
    who = who[sample_rows(len(who), config.evaluation_members, seed)]
    lists = np.full((len(who), LIST_LENGTH), -1, np.int64)
    popular = np.full((len(who), LIST_LENGTH), -1, np.int64)
    by_popularity = np.argsort(-state.leads.events, kind="stable")
    for at, member in enumerate(who.tolist()):
        when = int(chosen.time_us[chosen.member == member].max())
        answer = pipeline.recommend(
            bundle.member_ids.ids[member], ListQuery(count=LIST_LENGTH, as_of_us=when)
        )
        rows = [item.row for item in answer.items]
        lists[at, : len(rows)] = rows
        met = state.history.lead[
            state.history.member_start[member] : state.history.member_start[member + 1]
        ]
        unmet = by_popularity[: LIST_LENGTH + len(met)]
        unmet = unmet[~np.isin(unmet, met)][:LIST_LENGTH]
        popular[at, : len(unmet)] = unmet
    truth = _truth(chosen, who, len(bundle.lead_ids))
    cohorts = list(member_cohorts(state.members, who))
    figures = _list_figures(lists, truth, cohorts, seed)
    new = truth @ sparse.diags(untouched(state.leads).astype(np.float32))
    new.eliminate_zeros()
    if new.nnz:
        figures += _list_figures(lists, new.tocsr(), (), seed, NEW_LEADS)
    hits, relevant = list_hits(popular, truth)
    base = bootstrap_mean(recall_at(hits, relevant, LIST_LENGTH), seed=seed)
    figures.append(Figure("recall@20", base.value, base.low, base.high, "popularity", len(who)))
    return Evaluation("recall@20", tuple(figures), lists)


def _truth(chosen: Pairs, who: NDArray[np.int32], lead_count: int) -> sparse.csr_matrix:
    at = np.searchsorted(who, chosen.member)
    at = np.minimum(at, max(len(who) - 1, 0))
    known = who[at] == chosen.member if len(who) else np.zeros(len(chosen), bool)
    ones = np.ones(int(known.sum()), np.float32)
    return sparse.csr_matrix((ones, (at[known], chosen.lead[known])), shape=(len(who), lead_count))


def _list_figures(
    lists: NDArray[np.int64],
    truth: sparse.csr_matrix,
    cohorts: Iterable[tuple[str, NDArray[np.bool_]]],
    seed: int,
    among: str = "all",
) -> list[Figure]:
    """Figures of all lists, `among` the leads that count, and of the slices of their members."""
    hits, relevant = list_hits(lists, truth)
    figures = []
    for name, values in (
        ("recall@20", recall_at(hits, relevant, LIST_LENGTH)),
        ("ndcg@20", ndcg_at(hits, relevant, LIST_LENGTH)),
    ):
        figures.append(_figure(name, values, seed, among))
        for cohort, kept in cohorts:
            if kept.any():
                figures.append(_figure(name, values[kept], seed, cohort))
    return figures


def evaluate_exposures(bundle: Bundle, pairs: Pairs, seed: int) -> Evaluation:
    """ScorePairs against what followed each push: NDCG over leads, AUC, calibration."""
    scores, probabilities = _scored_then(Pipeline(Snapshot(as_all_open(bundle))), pairs)
    within = auc_within_groups(scores, pairs.label, pairs.member)
    figures = [
        _figure("ndcg@5,10", _ndcg(scores, pairs, seed), seed),
        Figure("auc", auc(scores, pairs.label), count=len(pairs)),
        _figure("auc_within_members", within.auc, seed),
    ]
    if len(bundle.calibration.scores) and len(pairs):
        figures.append(Figure("ece", ece(probabilities, pairs.label), count=len(pairs)))
        figures.append(
            Figure("brier_skill", brier_skill(probabilities, pairs.label), count=len(pairs))
        )
    for cohort, kept in _slices(bundle, pairs):
        if pairs.label[kept].any():
            part = _ndcg(scores[kept], pairs.select(kept), seed)
            figures.append(_figure("ndcg@5,10", part, seed, cohort))
    return Evaluation("ndcg@5,10", tuple(figures))


def _ndcg(scores: F64, pairs: Pairs, seed: int) -> F64:
    """The mean of NDCG@5 and NDCG@10 of each lead (float64[leads], NaN without a claim)."""
    hits = grouped_hits(scores, pairs.label, pairs.lead, 10, seed=seed)
    mean: F64 = (ndcg_at(hits.hits, hits.relevant, 5) + ndcg_at(hits.hits, hits.relevant, 10)) / 2
    return mean


def _slices(bundle: Bundle, pairs: Pairs) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Pairs (bool[n]) by the cohort of the member, and those of leads nobody had met."""
    yield from member_cohorts(bundle.members, pairs.member)
    yield NEW_LEADS, untouched(bundle.leads)[pairs.lead]


def _scored_then(pipeline: Pipeline, pairs: Pairs) -> tuple[F64, F64]:
    """Scores and probabilities (float64[n], NaN without calibration) as on the day of each pair."""
    bundle = pipeline.snapshot.bundle
    members, leads = bundle.member_ids.ids, bundle.lead_ids.ids
    scores, probabilities = np.full((2, len(pairs)), np.nan)
    day = pairs.time_us // MICROSECONDS_PER_DAY
    for at in np.split(np.argsort(day, kind="stable"), np.flatnonzero(np.diff(np.sort(day))) + 1):
        rows = zip(pairs.member[at].tolist(), pairs.lead[at].tolist(), strict=True)
        when = int(pairs.time_us[at].max(initial=0))
        found = pipeline.score_pairs([(members[m], leads[n]) for m, n in rows], when)
        scores[at] = found.scores
        if found.probabilities is not None:
            probabilities[at] = found.probabilities
    return scores, probabilities


def evaluate_authors(bundle: Bundle, authored: Pairs, config: GateConfig, seed: int) -> Evaluation:
    """MatchMembers with each lead as a draft: the reciprocal rank of the member who wrote it."""
    pipeline = Pipeline(Snapshot(as_all_open(bundle)))
    at = sample_rows(len(authored), config.evaluation_members, seed)
    found = np.zeros(len(at))
    for place, pair in enumerate(at.tolist()):
        data = bundle.lead_records[int(authored.lead[pair])]
        lead = decode_entity(Lead, data)
        assert isinstance(lead, Lead), "a bundle holds no tombstones"
        draft = replace(lead, lead_id="", author_id="")
        when = int(authored.time_us[pair])
        answer = pipeline.match(draft, ListQuery(count=100, as_of_us=when))
        rows = [item.row for item in answer.items]
        author = int(authored.member[pair])
        found[place] = 1.0 / (rows.index(author) + 1) if author in rows else 0.0
    return Evaluation("mrr", (_figure("mrr", found, seed),))


def _figure(name: str, values: NDArray[np.float64], seed: int, cohort: str = "all") -> Figure:
    found = bootstrap_mean(values, seed=seed)
    return Figure(name, found.value, found.low, found.high, cohort, int((~np.isnan(values)).sum()))
