"""The simulated province: open leads, judged by the oracle's expected claims.

New leads, which no event names, and beside them those that other members have met: there the log
speaks of the lead, too, and a ranker taught with new leads alone overrates what it says.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy import sparse

from benchmarks.province.config import ProvinceConfig
from benchmarks.province.world import Province, generate
from benchmarks.quality.folders import id_hashes
from benchmarks.quality.protocols import MOST_LISTED, PLANNED_LEADS
from benchmarks.quality.questions import Answer, Ints, Lists, Matches, Question
from benchmarks.quality.slices import history_slices
from benchmarks.quality.tasks import Task
from benchmarks.workload import write_dataset
from features.entities import EventKind
from training.logs import read_dataset

NAME, SPLIT = "province", "new leads"
SIZE, QUICK_SIZE = (4_000, 8_000, 150_000), (600, 1_500, 25_000)
MOST_ASKED = 2_000
SETTLED = (EventKind.CLAIMED, EventKind.RESOLVED, EventKind.DISMISSED)
K = 10


class ProvinceTask:
    """A province on disk, its task, and what the oracle would say."""

    def __init__(self, size: tuple[int, int, int], work: Path, seed: int) -> None:
        self.province = generate(ProvinceConfig(*size), seed)
        folder = work / NAME
        shutil.rmtree(folder, ignore_errors=True)
        write_dataset(self.province, folder)
        self.task = _task(self.province, folder, seed)

    def oracle(self, question: Question) -> Answer:
        """The best lists by the true chances: 1.0 by definition."""
        return self._best(question, noise=True)

    def without_noise(self, question: Question) -> Answer:
        """The best lists by the chances without the pair's noise: nobody can know more."""
        return self._best(question, noise=False)

    def _best(self, question: Question, *, noise: bool) -> Answer:
        if isinstance(question, Matches):
            everybody = np.arange(question.member_count, dtype=np.int32)
            chances = _chances(self.province, everybody, question.lead_rows, noise=noise).T
            return Answer(np.argsort(-chances, axis=1)[:, : question.k].astype(np.int32))
        assert isinstance(question, Lists)
        assert question.candidates is not None
        chances = _chances(self.province, question.asked, question.candidates, noise=noise)
        best = np.argsort(-chances, axis=1)[:, :K]
        return Answer(question.candidates[best])


def _task(province: Province, folder: Path, seed: int) -> Task:
    data = read_dataset(folder)
    # Who has left gets no list, from the oracle neither: nobody is to be pushed anything then.
    active = np.flatnonzero([member.active for member in data.members]).astype(np.int32)
    order = np.argsort(id_hashes(province.member_ids, seed)[active])
    asked = np.sort(active[order[:MOST_ASKED]])
    new = province.new_rows.astype(np.int32)
    met = np.setdiff1d(province.open_rows, new).astype(np.int32)
    slices = history_slices(data.events, asked) | {
        "rural": province.member_rural[asked],
        "urban": ~province.member_rural[asked],
    }
    questions = (
        replace(_lists(province, "RecommendLeads", asked, new), slices=slices),
        _plan(province, new, seed),
        replace(_lists(province, "RecommendLeads, met", asked, met), suffix=", met by others"),
    )
    return Task(NAME, SPLIT, folder, data, data.events, questions, True, seed)


def _lists(province: Province, name: str, asked: Ints, candidates: Ints) -> Lists:
    """The best of `candidates` (int32[c]) for each of the asked, without what they took or left."""
    gains = _chances(province, asked, candidates, noise=True)
    forbidden = sparse.lil_matrix((len(asked), len(province.lead_ids)), dtype=np.float32)
    forbidden[:, candidates] = (gains == 0.0).astype(np.float32)
    return Lists(
        name,
        asked,
        K,
        forbidden.tocsr(),
        province.config.end_time_us,
        gains=gains,
        candidates=candidates,
    )


def _plan(province: Province, candidates: np.ndarray, seed: int) -> Matches:
    """Some of the new leads, planned together under a cap and judged by the true chances."""
    some = np.argsort(id_hashes([str(row) for row in candidates.tolist()], seed))
    leads = np.sort(candidates[some[:PLANNED_LEADS]])
    count = len(province.member_ids)
    gains = _chances(province, np.arange(count, dtype=np.int32), leads, noise=True).T
    when = province.config.end_time_us
    return Matches("MatchMembers", leads, min(MOST_LISTED, count), when, count, gains=gains)


def _chances(
    province: Province, members: np.ndarray, leads: np.ndarray, *, noise: bool
) -> np.ndarray:
    """float64[u, c]: P(claim) of a push at the log's end.

    0 where the pair is not allowed, or the member has taken the lead or declined it.
    """
    rows = np.repeat(members, len(leads)).astype(np.int64)
    columns = np.tile(leads, len(members)).astype(np.int64)
    when = province.config.end_time_us
    chances = province.claim_probability(rows, columns, when, noise=noise)
    chances[~province.masks.allowed(rows, columns)] = 0.0
    events = province.log.events
    settled = np.isin(events.kind, SETTLED) & (events.lead >= 0)
    over = events.member[settled].astype(np.int64) << 32 | events.lead[settled]
    chances[np.isin(rows << 32 | columns, over)] = 0.0
    return np.asarray(chances.reshape(len(members), len(leads)))
