"""Free boosted trees (LightGBM) on simple features of a pair, learned out of fold."""

from __future__ import annotations

from dataclasses import replace

import lightgbm
import numpy as np
from scipy import sparse

from benchmarks.quality.peers.content import tfidf
from benchmarks.quality.peers.job import Floats, Ints, Job
from benchmarks.quality.peers.places import points
from benchmarks.quality.peers.rates import smoothed

FOLDS = 5
_EARTH_KM = 6371.0
_HOUR_US = 3_600_000_000


class BoostedTrees:
    """Trees of any depth over all features: willingness, appeal, likeness, places and age.

    The features of a training pair are counted without its fold (leads or pairs, as the question
    asks for untouched leads or not), so that training pairs look like the asked ones.
    """

    rounds = 200

    def fit(self, job: Job) -> None:
        """See Peer."""
        rng = np.random.default_rng(job.seed)
        fold = rng.integers(0, FOLDS, len(job.exposed_lead))
        if job.fold_leads:
            fold = rng.integers(0, FOLDS, job.shape[1])[job.exposed_lead]
        self._as_of_us = job.as_of_us
        parts, labels = [], []
        for number in range(FOLDS):
            held = fold == number
            known = Known(_without(job, held))
            when = job.exposed_us[held]
            parts.append(known.features(job.exposed_member[held], job.exposed_lead[held], when))
            labels.append(job.exposed_label[held])
        train = lightgbm.Dataset(np.concatenate(parts), np.concatenate(labels))
        parameters = {
            "objective": "binary",
            "learning_rate": 0.05,
            "num_leaves": 31,
            "min_data_in_leaf": 50,
            "lambda_l2": 5.0,
            "feature_fraction": 0.8,
            "seed": job.seed,
            "num_threads": job.threads,
            "verbosity": -1,
        }
        self._model = lightgbm.train(parameters, train, self.rounds)
        self._known = Known(job)

    def pairs(self, members: Ints, leads: Ints) -> Floats:
        """Probabilities (float32[n]) of n pairs."""
        when = np.full(len(leads), self._as_of_us, np.int64)
        features = self._known.features(members, leads, when)
        return np.asarray(self._model.predict(features), np.float32)

    def block(self, members: Ints, leads: Ints) -> Floats:
        """See Peer."""
        found = self.pairs(np.repeat(members, len(leads)), np.tile(leads, len(members)))
        return found.reshape(len(members), len(leads))


def _without(job: Job, held: np.ndarray) -> Job:
    """The job without the held exposures and the claims of the same pairs."""
    width = np.int64(job.shape[1])
    gone = job.exposed_member[held] * width + job.exposed_lead[held]
    kept = ~np.isin(job.claim_member * width + job.claim_lead, gone)
    return replace(
        job,
        exposed_member=job.exposed_member[~held],
        exposed_lead=job.exposed_lead[~held],
        exposed_label=job.exposed_label[~held],
        exposed_us=job.exposed_us[~held],
        claim_member=job.claim_member[kept],
        claim_lead=job.claim_lead[kept],
        claim_count=job.claim_count[kept],
    )


class Known:
    """What is counted from one part of a log, and the features of pairs from it."""

    def __init__(self, job: Job) -> None:
        members, leads = job.shape
        self._member_rate, self._member_shown = smoothed(
            job.exposed_member, job.exposed_label, members
        )
        self._lead_rate, self._lead_shown = smoothed(job.exposed_lead, job.exposed_label, leads)
        self._member_claims = np.bincount(job.claim_member, minlength=members)
        self._lead_claims = np.bincount(job.claim_lead, minlength=leads)
        self._own, self._leads = tfidf(job)
        taken = job.interactions()
        taken.data[:] = 1.0
        self._liked = (taken @ self._leads).tocsr()
        refused = job.exposed_label == 0
        ones = np.ones(int(refused.sum()), np.float32)
        pairs = job.exposed_member[refused], job.exposed_lead[refused]
        self._left = (sparse.csr_matrix((ones, pairs), shape=job.shape) @ self._leads).tocsr()
        self._term_rate = self._rates_of_terms(job)
        self._words = np.diff(job.lead_content.indptr)
        self._member_words = np.diff(job.member_content.indptr)
        self._points = points(job.lead_latitude, job.lead_longitude)
        self._homes = points(job.member_latitude, job.member_longitude)
        self._centres = np.asarray(taken @ self._points)
        self._born_us = job.lead_us

    def _rates_of_terms(self, job: Job) -> Floats:
        """Mean over a lead's terms of how often pushes of leads with the term were answered."""
        shown = np.bincount(job.exposed_lead, minlength=job.shape[1])
        hits = np.bincount(job.exposed_lead, job.exposed_label, minlength=job.shape[1])
        has = job.lead_content.copy()
        has.data = np.ones_like(has.data)
        mean = hits.sum() / max(shown.sum(), 1)
        rate = (has.T @ hits + 20 * mean) / (has.T @ shown + 20)
        count = np.maximum(np.diff(has.indptr), 1)
        return np.asarray(has @ rate / count, np.float32)

    def features(self, member: Ints, lead: Ints, when_us: np.ndarray) -> Floats:
        """float32[n, 16], NaN where something cannot be known."""
        wanted = self._leads[lead]
        claims = self._member_claims[member]
        columns = [
            self._member_rate[member],
            self._member_shown[member],
            claims,
            self._lead_rate[lead],
            self._lead_shown[lead],
            self._lead_claims[lead],
            _dots(self._own[member], wanted),
            _dots(self._liked[member], wanted) / np.maximum(claims, 1),
            _dots(self._liked[member], wanted),
            _dots(self._left[member], wanted),
            self._term_rate[lead],
            self._words[lead],
            self._member_words[member],
            _km(self._homes[member], self._points[lead]),
            _km(_unit(self._centres[member]), self._points[lead]),
            np.log1p(np.maximum(when_us - self._born_us[lead], 0) / _HOUR_US),
        ]
        return np.column_stack(columns).astype(np.float32)


def _dots(first: sparse.csr_matrix, second: sparse.csr_matrix) -> Floats:
    return np.asarray(first.multiply(second).sum(axis=1)).ravel()


def _unit(points_: Floats) -> Floats:
    length = np.linalg.norm(points_, axis=1, keepdims=True)
    return np.asarray(points_ / np.where(length > 0, length, 1.0), np.float32)


def _km(first: Floats, second: Floats) -> Floats:
    known = first.any(axis=1) & second.any(axis=1)
    angle = np.arccos(np.clip((first * second).sum(axis=1), -1.0, 1.0))
    return np.asarray(np.where(known, _EARTH_KM * angle, np.nan), np.float32)
