"""Peers that learn vectors: implicit's ALS and BPR, LightFM, LensKit's ALS; content maps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from implicit.cpu.als import AlternatingLeastSquares
from implicit.cpu.bpr import BayesianPersonalizedRanking
from lenskit.algorithms.als import ImplicitMF
from lightfm import LightFM
from scipy import sparse
from sklearn.linear_model import Ridge
from sklearn.preprocessing import normalize
from threadpoolctl import threadpool_limits

from benchmarks.quality.peers.base import Factors
from benchmarks.quality.peers.content import tfidf
from benchmarks.quality.peers.job import Floats, Job

FEW_PAIRS = 200_000
"""Below so many pairs, few factors are better for every model here."""


@dataclass
class Als(Factors):
    """implicit's ALS; where untouched leads are asked for, a ridge maps content to its factors."""

    factors: int = 0
    alpha: float = 40.0

    def fit(self, job: Job) -> None:
        """See Peer."""
        pairs = _once(job)
        few = pairs.nnz < FEW_PAIRS
        model = AlternatingLeastSquares(
            factors=self.factors or (64 if few and not job.fold_leads else 200),
            regularization=10.0 if few else 20.0,
            alpha=10.0 if few and not job.fold_leads else self.alpha,
            iterations=15,
            random_state=job.seed,
            num_threads=job.threads,
        )
        with threadpool_limits(1, "blas"):
            model.fit(pairs, show_progress=False)
        self.members = np.asarray(model.user_factors)
        self.leads = np.asarray(model.item_factors)
        _map_content(job, self.leads)


@dataclass
class Bpr(Factors):
    """implicit's BPR; untouched leads as with ALS."""

    factors: int = 64

    def fit(self, job: Job) -> None:
        """See Peer."""
        model = BayesianPersonalizedRanking(
            factors=self.factors,
            learning_rate=0.05,
            regularization=0.01,
            iterations=100,
            random_state=job.seed,
            num_threads=job.threads,
        )
        with threadpool_limits(1, "blas"):
            model.fit(_once(job), show_progress=False)
        self.members = np.asarray(model.user_factors)
        self.leads = np.asarray(model.item_factors)
        _map_content(job, self.leads)


@dataclass
class LensKitAls(Factors):
    """LensKit's implicit-feedback ALS (0.14, the last release without torch)."""

    factors: int = 64

    def fit(self, job: Job) -> None:
        """See Peer."""
        model = ImplicitMF(self.factors, iterations=15, rng_spec=job.seed)
        ratings = pd.DataFrame({"user": job.claim_member, "item": job.claim_lead})
        with threadpool_limits(job.threads, "blas"):
            model.fit(ratings.drop_duplicates())
        self.members = np.zeros((job.shape[0], self.factors), np.float32)
        self.leads = np.zeros((job.shape[1], self.factors), np.float32)
        self.members[np.asarray(model.user_index_)] = model.user_features_
        self.leads[np.asarray(model.item_index_)] = model.item_features_


@dataclass
class LightFm(Factors):
    """LightFM's hybrid of ids, words and topics: WARP on claims, logistic on pushes."""

    factors: int = 64
    epochs: int = 20

    def fit(self, job: Job) -> None:
        """See Peer."""
        member_content, lead_content = tfidf(job)
        members, leads = _with_ids(member_content), _with_ids(lead_content)
        exposed = job.question == "pairs" and len(job.exposed_label) > 0
        model = LightFM(
            no_components=self.factors,
            loss="logistic" if exposed else "warp",
            learning_rate=0.05,
            max_sampled=20,
            random_state=job.seed,
        )
        pairs = _answers(job) if exposed else _once(job).tocoo()
        model.fit(
            pairs,
            user_features=members,
            item_features=leads,
            epochs=self.epochs,
            num_threads=job.threads,
        )
        bias, vectors = model.get_user_representations(members)
        self.members = np.column_stack([vectors, bias, np.ones(len(bias))]).astype(np.float32)
        bias, vectors = model.get_item_representations(leads)
        self.leads = np.column_stack([vectors, np.ones(len(bias)), bias]).astype(np.float32)


def _once(job: Job) -> sparse.csr_matrix:
    pairs = job.interactions()
    pairs.data[:] = 1.0
    return pairs


def _answers(job: Job) -> sparse.coo_matrix:
    """+1 for a push that was answered, -1 for one that was not."""
    signs = np.where(job.exposed_label > 0, 1.0, -1.0).astype(np.float32)
    return sparse.coo_matrix((signs, (job.exposed_member, job.exposed_lead)), shape=job.shape)


def _with_ids(content: sparse.csr_matrix) -> sparse.csr_matrix:
    ids = sparse.identity(content.shape[0], dtype=np.float32, format="csr")
    return normalize(sparse.hstack([ids, content]).tocsr().astype(np.float32), norm="l1")


def _map_content(job: Job, leads: Floats) -> None:
    """Gives untouched leads the vectors that a ridge regression reads from their content."""
    untouched = job.untouched()
    if not job.fold_leads or not untouched.any() or not job.lead_content.nnz:
        return
    content = tfidf(job)[1]
    ridge = Ridge(alpha=1.0, solver="sparse_cg", max_iter=100)
    ridge.fit(content[~untouched], leads[~untouched])
    leads[untouched] = ridge.predict(content[untouched])
