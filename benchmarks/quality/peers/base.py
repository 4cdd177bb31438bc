"""What every peer can do, and how its scores become an answer."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Protocol

import numpy as np

from benchmarks.quality.peers.job import Floats, Ints, Job, Reply

BLOCK_CELLS = 8_000_000
"""Scores held at a time: 32 MB."""


class Peer(Protocol):
    """A recommender, made for one job."""

    def fit(self, job: Job) -> None:
        """Learns from the job's training part."""

    def block(self, members: Ints, leads: Ints) -> Floats:
        """Scores float32[len(members), len(leads)]."""


class Factors:
    """A peer whose score is an inner product; subclasses fill `members` and `leads` in `fit`."""

    members: Floats
    leads: Floats

    def block(self, members: Ints, leads: Ints) -> Floats:
        """See Peer."""
        return np.asarray(self.members[members] @ self.leads[leads].T, np.float32)


def answer(peer: Peer, job: Job) -> Reply:
    """Trains a peer and asks it."""
    begin = time.perf_counter()
    peer.fit(job)
    seconds = time.perf_counter() - begin
    rows, scores = answer_with(peer, job)
    return Reply(rows, scores, seconds, _peak_mib())


def _peak_mib() -> float:
    """The most memory that this process held; rusage would count its parent's before the start."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return float("nan")


def answer_with(peer: Peer, job: Job) -> tuple[Ints, Floats]:
    """Rows int32[asked, k] and scores float32[pairs]; one of them is empty."""
    if job.question == "lists":
        return _lists(peer, job), np.zeros(0, np.float32)
    if job.question == "matches":
        return _matches(peer, job), np.zeros(0, np.float32)
    return np.zeros((0, job.k), np.int32), pair_scores(peer, job.pair_member, job.pair_lead)


def pair_scores(peer: Peer, members: Ints, leads: Ints) -> Floats:
    """Scores (float32[n]) of n pairs, asked lead by lead."""
    direct = getattr(peer, "pairs", None)
    if direct is not None:
        return np.asarray(direct(members, leads), np.float32)
    scores = np.empty(len(leads), np.float32)
    order = np.argsort(leads, kind="stable")
    for at in np.split(order, np.flatnonzero(np.diff(leads[order])) + 1):
        if len(at):
            scores[at] = peer.block(members[at], leads[at[:1]])[:, 0]
    return scores


def _lists(peer: Peer, job: Job) -> Ints:
    out = np.full((len(job.asked), job.k), -1, np.int32)
    step = max(1, BLOCK_CELLS // max(len(job.candidates), 1))
    for begin in range(0, len(job.asked), step):
        scores = peer.block(job.asked[begin : begin + step], job.candidates)
        excluded = job.excluded[begin : begin + step][:, job.candidates].tocoo()
        scores[excluded.row, excluded.col] = -np.inf
        out[begin : begin + step] = _best(scores, job.candidates, job.k)
    return out


def _matches(peer: Peer, job: Job) -> Ints:
    everybody = np.arange(job.shape[0], dtype=np.int32)
    out = np.full((len(job.asked), job.k), -1, np.int32)
    step = max(1, BLOCK_CELLS // job.shape[0])
    for begin in range(0, len(job.asked), step):
        scores = peer.block(everybody, job.asked[begin : begin + step]).T
        out[begin : begin + step] = _best(np.array(scores), everybody, job.k)
    return out


def _best(scores: Floats, names: Ints, k: int) -> Ints:
    """The names (int32[b, k]) of the best k columns of each row; ties in a fixed shuffled order."""
    count = scores.shape[1]
    width = min(k, count)
    # Equal scores must not gain by the order of the rows: who comes first is drawn once.
    turn = np.argsort(np.random.default_rng(0).permutation(count))
    if np.isnan(scores.sum()):  # far cheaper than to look at each
        scores = np.where(np.isnan(scores), -np.inf, scores)
    rows = np.full((len(scores), k), -1, np.int32)
    for own, limit, out in zip(scores, _limits(scores, width), rows, strict=True):
        at = np.flatnonzero(own >= limit)
        at = at[np.lexsort((turn[at], -own[at]))][:width]
        out[: len(at)] = np.where(np.isfinite(own[at]), names[at], -1)
    return rows


def _limits(scores: Floats, width: int) -> Floats:
    """For each row (float32[b]) a limit that at least `width` scores reach, and not many more.

    So many groups of neighbours have a maximum that reaches it: several times as fast as a
    partition of the whole row.
    """
    size = scores.shape[1] // (4 * width)
    if size < 2:
        return np.full(len(scores), -np.inf, np.float32)
    groups = scores[:, : scores.shape[1] // size * size].reshape(len(scores), -1, size)
    maxima = groups.max(axis=2)
    limit: Floats = np.partition(maxima, maxima.shape[1] - width, axis=1)[:, -width]
    return limit
