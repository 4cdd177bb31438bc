"""A task as the peers are told it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import rjieba
from numpy.typing import NDArray
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer

from benchmarks.quality.peers.job import Floats, Ints, Job
from benchmarks.quality.protocols import labelled_pairs
from benchmarks.quality.questions import Matches, Pairs, Question
from benchmarks.quality.tasks import Task
from features.entities import EventKind, Lead, Member
from features.events import EventLog
from features.regions import RegionTable

_HAN = re.compile(r"[\u4e00-\u9fff]")
TAKEN = (EventKind.CLAIMED, EventKind.SUPPORTED, EventKind.COMMENTED, EventKind.AUTHORED)


class Jobs:
    """The jobs of one task: what is the same for all of them is worked out once."""

    def __init__(self, task: Task, threads: int) -> None:
        self._task = task
        shape = len(task.full.members), len(task.full.leads)
        leads, members = _contents(task)
        member, lead, count = _claims(task.train, shape[1])
        shown = labelled_pairs(task.train)
        latitude, longitude = _places(task.full.leads)
        home_latitude, home_longitude = _places(task.full.members)
        self._job = Job(
            question="",
            claim_member=member,
            claim_lead=lead,
            claim_count=count,
            exposed_member=shown[0],
            exposed_lead=shown[1],
            exposed_label=shown[2],
            exposed_us=_shown_at(task.train, shown[0], shown[1]),
            lead_content=leads,
            member_content=members,
            lead_latitude=latitude,
            lead_longitude=longitude,
            member_latitude=home_latitude,
            member_longitude=home_longitude,
            lead_us=np.array([one.create_time_us for one in task.full.leads], np.int64),
            as_of_us=0,
            fold_leads=task.untouched,
            asked=np.zeros(0, np.int32),
            candidates=np.zeros(0, np.int32),
            excluded=sparse.csr_matrix((0, shape[1]), dtype=np.float32),
            pair_member=np.zeros(0, np.int32),
            pair_lead=np.zeros(0, np.int32),
            k=0,
            seed=task.seed,
            threads=threads,
        )

    def of(self, question: Question) -> Job:
        """The job of one question of the task."""
        job = replace(self._job, as_of_us=question.as_of_us)
        if isinstance(question, Pairs):
            return replace(
                job, question="pairs", pair_member=question.member, pair_lead=question.lead
            )
        if isinstance(question, Matches):
            return replace(job, question="matches", asked=question.lead_rows, k=question.k)
        everything = np.arange(job.shape[1], dtype=np.int32)
        return replace(
            job,
            question="lists",
            asked=question.asked,
            candidates=everything if question.candidates is None else question.candidates,
            excluded=question.excluded,
            k=question.k,
        )


def _contents(task: Task) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """Counts of words and topics: leads csr[n, t], members csr[m, t], over leads' vocabulary."""
    leads = [_tokens(f"{one.title} {one.body}", one.topics) for one in task.full.leads]
    members = [_tokens(one.expertise, one.topics) for one in task.full.members]
    if not any(leads):
        return sparse.csr_matrix((len(leads), 0)), sparse.csr_matrix((len(members), 0))
    counter = CountVectorizer(analyzer=list, dtype=np.float32)
    return counter.fit_transform(leads).tocsr(), counter.transform(members).tocsr()


def _tokens(text: str, topics: Sequence[str]) -> list[str]:
    words = rjieba.cut(text) if _HAN.search(text) else text.split()
    return [word for word in words if word.strip()] + [f"topic:{topic}" for topic in topics]


def _claims(train: EventLog, width: int) -> tuple[Ints, Ints, Floats]:
    taken = train.of_kind(*TAKEN)
    taken = taken.select(taken.lead >= 0)
    keys, count = np.unique(taken.member.astype(np.int64) * width + taken.lead, return_counts=True)
    member, lead = np.divmod(keys, width)
    return member.astype(np.int32), lead.astype(np.int32), count.astype(np.float32)


def _shown_at(train: EventLog, member: Ints, lead: Ints) -> NDArray[np.int64]:
    """When each exposed pair was exposed first (int64[n], microseconds)."""
    shown = train.of_kind(EventKind.PUSHED, EventKind.SHOWN)
    keys, first = np.unique(shown.member.astype(np.int64) << 32 | shown.lead, return_index=True)
    found: NDArray[np.int64] = shown.time_us[first][
        np.searchsorted(keys, member.astype(np.int64) << 32 | lead)
    ]
    return found


def _places(things: Sequence[Lead | Member]) -> tuple[Floats, Floats]:
    """Latitudes and longitudes (radians), a region's centroid where there is no coordinate."""
    regions = RegionTable.load()
    degrees = np.full((len(things), 2), np.nan)
    for row, one in enumerate(things):
        if one.latitude is not None and one.longitude is not None:
            degrees[row] = one.latitude, one.longitude
        elif one.region_code:
            degrees[row] = regions.centroid(one.region_code) or (np.nan, np.nan)
    radians = np.radians(degrees).astype(np.float32)
    return radians[:, 0].copy(), radians[:, 1].copy()
