"""Which questions a data set can answer, by the kind of its events and the split files beside it.

cold_leads + cold_truth   lists of leads nobody touched               (leads left out whole)
truth                     lists of leads new to the member
labelled                  topics of texts, folds of the labels
PUSHED and CLAIMED        scores of pairs: new leads, new pairs       (by hash; by time if any)
AUTHORED alone            who wrote this: leads as drafts, one a member
CLAIMED alone             lists; a part of the events is cut off      (by hash; by time if any)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse

from benchmarks.quality import names
from benchmarks.quality.folders import id_hashes, write_part
from benchmarks.quality.questions import Lists, Matches, Pairs, Question
from benchmarks.quality.slices import history_slices, untouched_slice
from benchmarks.quality.tasks import Task
from features.entities import EventKind
from features.errors import DataError
from features.events import EventLog
from features.vocabulary import Vocabulary
from training.logs import read_dataset

NEW_LEADS_SHARE, NEW_PAIRS_SHARE, LATER_SHARE = 0.15, 0.10, 0.10
PLANNED_LEADS = 200
"""So many leads are planned together, so that lists of MOST_LISTED members are long enough."""
MOST_LISTED = 1_000
TAKEN = (EventKind.CLAIMED, EventKind.SUPPORTED, EventKind.COMMENTED)
Mask = NDArray[np.bool_]


class Protocols:
    """The tasks of one data-set folder, written below `work`. Raises DataError."""

    def __init__(self, folder: Path, work: Path, seed: int) -> None:
        self._folder, self._seed = folder, seed
        self._work = work / folder.name
        self._data = read_dataset(folder)

    def tasks(self) -> Iterator[Task]:
        """Task after task; each writes its training part when it is reached."""
        events = self._data.events
        kinds = {EventKind(k) for k in np.unique(events.kind).tolist()}
        if (self._folder / names.COLD_TRUTH).exists():
            yield self._cold()
        if (self._folder / names.TRUTH).exists():
            yield self._truth()
        elif EventKind.CLAIMED in kinds and kinds & {EventKind.PUSHED, EventKind.SHOWN}:
            yield from self._exposed()
        elif kinds == {EventKind.AUTHORED}:
            yield self._authors()
        elif EventKind.CLAIMED in kinds and not (self._folder / names.COLD_TRUTH).exists():
            yield self._later()
        elif not (self._folder / names.COLD_TRUTH).exists():
            told = ", ".join(sorted(kind.name for kind in kinds))
            raise DataError(
                f"{self._folder}: the events are {told}: nobody took anything (CLAIMED), and they "
                "are not of authors alone (AUTHORED); there is nothing to ask"
            )

    def _cold(self) -> Task:
        candidates = self._rows(names.COLD_LEADS, "lead_id", self._data.lead_ids)
        truth = self._pairs(names.COLD_TRUTH)
        kept = ~np.isin(self._data.events.lead, candidates)
        asked, wanted = self._asked(truth)
        question = Lists(
            "RecommendLeads",
            asked,
            100,
            sparse.csr_matrix(wanted.shape, dtype=np.float32),
            _last_us(self._data.events),
            truth=wanted,
            candidates=candidates,
            cuts=(100,),
            slices=history_slices(self._data.events.select(kept), asked),
        )
        return self._task("cold leads", kept, (question,), untouched=True)

    def _truth(self) -> Task:
        kept = np.ones(len(self._data.events), bool)
        return self._new_to_member("truth", kept, self._pairs(names.TRUTH))

    def _later(self) -> Task:
        """What members took in the part that is cut off and had not taken before."""
        held = self._held(LATER_SHARE)
        shape = (len(self._data.members), len(self._data.leads))
        chosen = self._data.events.select(held).of_kind(*TAKEN)
        truth = _taken(chosen, shape)
        truth.data[:] = 1.0
        known = _taken(self._data.events.select(~held), shape)
        truth = (truth - truth.multiply(known > 0)).tocsr()
        truth.eliminate_zeros()
        return self._new_to_member("later", ~held, truth)

    def _new_to_member(self, split: str, kept: Mask, truth: sparse.csr_matrix) -> Task:
        train = self._data.events.select(kept)
        asked, wanted = self._asked(truth)
        question = Lists(
            "RecommendLeads",
            asked,
            20,
            _taken(train, truth.shape)[asked],
            _last_us(train),
            truth=wanted,
            slices=history_slices(train, asked),
            lead_slices=untouched_slice(train, np.arange(truth.shape[1], dtype=np.int32)),
        )
        return self._task(split, kept, (question,))

    def _exposed(self) -> Iterator[Task]:
        if self._data.events.has_times:
            yield self._pair_task("later", self._held(LATER_SHARE), untouched=False)
            return
        by_lead = np.append(id_hashes(self._data.lead_ids.ids, self._seed) < NEW_LEADS_SHARE, False)
        yield self._pair_task("new leads", by_lead[self._data.events.lead], untouched=True)
        yield self._pair_task("new pairs", self._held(NEW_PAIRS_SHARE), untouched=False)

    def _pair_task(self, split: str, held: Mask, *, untouched: bool) -> Task:
        events = self._data.events
        member, lead, label = labelled_pairs(events.select(held))
        if not len(lead):
            raise DataError(f"{self._folder}: nothing was pushed or shown in the part kept back")
        train = events.select(~held)
        slices = history_slices(train, member) | untouched_slice(train, lead)
        when = _last_us(events)
        pairs = Pairs("ScorePairs", member, lead, label, when, self._seed, slices)
        if not untouched:
            return self._task(split, ~held, (pairs,))
        return self._task(split, ~held, (pairs, self._plan(pairs)), untouched=True)

    def _plan(self, pairs: Pairs) -> Matches:
        """Some of the leads that were exposed, planned together under a cap."""
        new = np.unique(pairs.lead)
        some = np.argsort(id_hashes([str(row) for row in new.tolist()], self._seed))
        new = np.sort(new[some[:PLANNED_LEADS]])
        at, count = np.flatnonzero(np.isin(pairs.lead, new)), len(self._data.members)
        logged = sparse.csr_matrix(
            (1.0 + pairs.label[at], (np.searchsorted(new, pairs.lead[at]), pairs.member[at])),
            shape=(len(new), count),
        )
        most = min(MOST_LISTED, count)
        return Matches("MatchMembers", new, most, pairs.as_of_us, count, logged=logged)

    def _authors(self) -> Task:
        """One lead of everybody who wrote two or more, held out and known to nobody."""
        events = self._data.events
        member, lead = events.member, events.lead
        hashes = id_hashes(self._data.lead_ids.ids, self._seed)[lead]
        order = np.lexsort((hashes, member))
        first = order[np.append(True, np.diff(member[order]) != 0)]
        many = np.bincount(member, minlength=len(self._data.members)) >= 2
        chosen = first[many[member[first]]]
        if not len(chosen):
            raise DataError(f"{self._folder}: nobody wrote two leads: none can be held out")
        rows, once = np.unique(lead[chosen], return_index=True)
        authors = member[chosen][once]
        held = np.isin(lead, rows)
        drafts = tuple(names.as_draft(self._data.leads[row]) for row in rows.tolist())
        question = Matches(
            "MatchMembers of a draft",
            rows,
            len(self._data.members),
            _last_us(events.select(~held)),
            len(self._data.members),
            drafts=drafts,
            authors=authors,
            slices=history_slices(events.select(~held), authors),
        )
        gone = [self._data.lead_ids.ids[row] for row in rows.tolist()]
        return self._task("one held out", ~held, (question,), untouched=True, gone=gone)

    def _held(self, share: float) -> Mask:
        """The last share of a log with times, otherwise a share of the pairs by hash."""
        events = self._data.events
        if events.has_times:
            return np.asarray(events.time_us >= np.quantile(events.time_us, 1.0 - share))
        members, leads = self._data.member_ids.ids, self._data.lead_ids.ids
        pairs = zip(events.member.tolist(), events.lead.tolist(), strict=True)
        return id_hashes([f"{members[m]} {leads[n]}" for m, n in pairs], self._seed) < share

    def _task(
        self,
        split: str,
        kept: Mask,
        questions: tuple[Question, ...],
        *,
        untouched: bool = False,
        gone: Sequence[str] = (),
    ) -> Task:
        """Writes the training part: the `kept` events, without the leads that are `gone`."""
        target = self._work / split.replace(" ", "-")
        write_part(self._folder, target, self._data, kept, without_leads=gone)
        train = self._data.events.select(kept)
        return Task(
            self._folder.name, split, target, self._data, train, questions, untouched, self._seed
        )

    def _asked(self, truth: sparse.csr_matrix) -> tuple[NDArray[np.int32], sparse.csr_matrix]:
        """The members with something to find, and their rows of the truth."""
        truth.sum_duplicates()
        asked = np.flatnonzero(np.diff(truth.indptr)).astype(np.int32)
        if not len(asked):
            raise DataError(f"{self._folder}: no member has anything to find in the part kept back")
        return asked, truth[asked].tocsr()

    def _rows(self, name: str, column: str, ids: Vocabulary) -> NDArray[np.int32]:
        """The rows of the ids in a column of a split file."""
        path = self._folder / name
        try:
            told = pl.read_csv(path, infer_schema=False)[column].to_list()
            return ids.rows(told, "error")
        except (pl.exceptions.PolarsError, OSError, KeyError, DataError) as error:
            raise DataError(f"{path}: {error}") from error

    def _pairs(self, name: str) -> sparse.csr_matrix:
        member = self._rows(name, "member_id", self._data.member_ids)
        lead = self._rows(name, "lead_id", self._data.lead_ids)
        shape = (len(self._data.members), len(self._data.leads))
        return sparse.csr_matrix((np.ones(len(lead), np.float32), (member, lead)), shape=shape)


def labelled_pairs(
    events: EventLog,
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
    """Each exposed pair once: member, lead, and 1 where a claim is in `events`, too."""
    shown = events.of_kind(EventKind.PUSHED, EventKind.SHOWN)
    claims = events.of_kind(EventKind.CLAIMED)
    keys = np.unique(shown.member.astype(np.int64) << 32 | shown.lead)
    taken = claims.member.astype(np.int64) << 32 | claims.lead
    label = np.isin(keys, taken).astype(np.float32)
    return (keys >> 32).astype(np.int32), (keys & 0xFFFFFFFF).astype(np.int32), label


def _taken(events: EventLog, shape: tuple[int, int]) -> sparse.csr_matrix:
    known = events.select(events.lead >= 0)
    ones = np.ones(len(known), np.float32)
    return sparse.csr_matrix((ones, (known.member, known.lead)), shape=shape)


def _last_us(events: EventLog) -> int:
    return int(events.time_us[-1]) if len(events) else 0
