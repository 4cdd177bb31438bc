"""Peers that score by likeness of leads (implicit's item-kNN, RecTools' EASE) or by count."""

from __future__ import annotations

import numpy as np
import pandas as pd
from implicit.nearest_neighbours import CosineRecommender
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import EASEModel, PopularModel

from benchmarks.quality.peers.job import Floats, Ints, Job


class ItemKnn:
    """implicit's item-item neighbours by cosine."""

    neighbours = 100

    def fit(self, job: Job) -> None:
        """See Peer."""
        self._taken = job.interactions()
        self._taken.data[:] = 1.0
        model = CosineRecommender(K=self.neighbours, num_threads=job.threads)
        model.fit(self._taken, show_progress=False)
        self._likeness = model.similarity.tocsc()

    def block(self, members: Ints, leads: Ints) -> Floats:
        """See Peer."""
        scores = self._taken[members] @ self._likeness[:, leads]
        return np.asarray(scores.toarray(), np.float32)


class Ease:
    """RecTools' EASE: a dense likeness of all leads with all, so memory is leads squared."""

    regularization = 200.0

    def fit(self, job: Job) -> None:
        """See Peer."""
        dataset, members, leads = _dataset(job)
        model = EASEModel(regularization=self.regularization, num_threads=job.threads)
        model.fit(dataset)
        self._taken = dataset.get_user_item_matrix(include_weights=False).tocsr()
        self._weight = np.asarray(model.weight)
        self._member_at, self._lead_at = (
            _places(members, job.shape[0]),
            _places(leads, job.shape[1]),
        )

    def block(self, members: Ints, leads: Ints) -> Floats:
        """See Peer."""
        scores = np.zeros((len(members), len(leads)), np.float32)
        rows, columns = self._member_at[members], self._lead_at[leads]
        known = np.flatnonzero(rows >= 0), np.flatnonzero(columns >= 0)
        weight = np.ascontiguousarray(self._weight[:, columns[known[1]]])
        scores[np.ix_(*known)] = self._taken[rows[known[0]]] @ weight
        return scores


class Popular:
    """RecTools' popularity: the same leads for everybody."""

    def fit(self, job: Job) -> None:
        """See Peer."""
        dataset, _, leads = _dataset(job)
        model = PopularModel()
        model.fit(dataset)
        rows, scores = model.popularity_list
        self._counts = np.zeros(job.shape[1], np.float32)
        self._counts[leads[rows]] = scores

    def block(self, members: Ints, leads: Ints) -> Floats:
        """See Peer."""
        return np.tile(self._counts[leads], (len(members), 1))


def _dataset(job: Job) -> tuple[Dataset, Ints, Ints]:
    """RecTools' data set, and the rows its members and leads had with us."""
    table = pd.DataFrame(
        {
            Columns.User: job.claim_member,
            Columns.Item: job.claim_lead,
            Columns.Weight: np.ones(len(job.claim_lead), np.float32),
            Columns.Datetime: pd.Timestamp("2020-01-01"),
        }
    )
    dataset = Dataset.construct(table)
    return dataset, dataset.user_id_map.external_ids, dataset.item_id_map.external_ids


def _places(names: Ints, count: int) -> Ints:
    places = np.full(count, -1, np.int32)
    places[names] = np.arange(len(names), dtype=np.int32)
    return places
