"""The nightly run: read, featurise, learn, judge, publish.

Everything is learned twice: on the early part of the log, to teach the ranker and to judge on what
came later, and on all of it, to serve.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from scipy import sparse
from threadpoolctl import threadpool_limits

from features.entities import EventKind
from features.events import EventLog
from features.interest import event_weights
from recsvc.matching.prepare import prepared
from recsvc.matching.profile import half_life
from recsvc.model.arrays import F32, I32
from recsvc.model.bundle import Bundle
from recsvc.model.registry import ModelRegistry
from recsvc.model.terms import FEATURES
from training.assemble_bundle import assemble_bundle
from training.authored import authored_examples, with_features
from training.config import TrainingConfig
from training.crossed import crossed_examples
from training.embeddings import Embedding
from training.embeddings.select import choose_embedding
from training.evaluate import (
    Evaluation,
    evaluate_authors,
    evaluate_choices,
    evaluate_exposures,
)
from training.examples import (
    chosen_pairs,
    features_of,
    with_negatives,
)
from training.exposures import KNOWN_WEIGHT, Pairs, exposed_pairs, joined, weights_of
from training.gate import gate_checks
from training.learn import Learned, learn_ranker, pushes, teach_mask
from training.logs import DataSet, read_dataset
from training.manifest import manifest_of, published_metrics, revision_of, with_metrics
from training.report import TrainingReport
from training.split import Split, split_log
from training.state import (
    Catalog,
    Fit,
    State,
    build_catalog,
    interactions,
    interest_rule,
    last_time_us,
    learn_state,
    sample_rows,
)

CONTENT_MAP = "CONTENT_MAP"
Progress = Callable[[str], None]
"""Told the name of each stage as it begins."""


@dataclass(frozen=True)
class Lesson:
    """The labelled pairs of the later part, and what kind of log they come from.

    EXPOSED: pushed or shown, then claimed or not. CHOSEN: taken, nobody knows over what. AUTHORED:
    the log only says who wrote what.
    """

    pairs: Pairs
    kind: Literal["EXPOSED", "CHOSEN", "AUTHORED"]


class Training:
    """One run; `publish` is the whole of it, the steps can be called alone (benchmarks do)."""

    def __init__(self, config: TrainingConfig, tenant: str, progress: Progress) -> None:
        self.config = config
        self.report = TrainingReport(tenant)
        self._progress = progress

    def publish(self, folder: Path, models: Path, rejects: Path | None = None) -> TrainingReport:
        """Trains on a data set and publishes the bundle if the gate lets it.

        Raises DataError when the data set cannot be used; the report says why nothing was
        published otherwise.
        """
        registry = ModelRegistry(models, self.report.tenant)
        with self._stage("read"):
            revision = revision_of(folder)
            data = read_dataset(folder, rejects_folder=rejects)
        bundle, evaluation = self.train(data, revision)
        with self._stage("gate"):
            config = self.config
            previous = published_metrics(registry)
            checks = gate_checks(evaluation, bundle, previous, config.gate, config.seed)
            self.report.checks = checks
        failed = [check.name for check in checks if not check.passed]
        if failed:
            self.report.why_not = f"the gate failed: {', '.join(failed)}"
            return self.report
        with self._stage("publish"):
            registry.publish(prepared(with_metrics(bundle, self.report), config.threads))
        self.report.published = True
        return self.report

    def train(self, data: DataSet, revision: str = "") -> tuple[Bundle, Evaluation]:
        """The bundle of a data set, and how good its like was on the later part of the log."""
        config, report = self.config, self.report
        report.summary = data.summary
        report.member_count, report.lead_count = len(data.members), len(data.leads)
        report.event_count = len(data.events)
        with threadpool_limits(1, "blas"):
            with self._stage("features"):
                catalog = build_catalog(data, config)
            split = split_log(data.events, len(data.leads), config.split, config.seed)
            with self._stage("choose"):
                fit = self._choose(catalog, split.early)
            with self._stage("early state"):
                early = learn_state(catalog, split.early, fit, config)
            with self._stage("ranker"):
                lesson = self._lesson(early, split.later)
                teach = teach_mask(lesson.pairs, config.seed, split.cut_time_us)
                learned = self._learn(early, lesson, lesson.pairs.select(teach))
            with self._stage("evaluate"):
                trial = assemble_bundle(
                    catalog,
                    early,
                    learned.ranker,
                    learned.calibration,
                    manifest_of(catalog, early, config, report.tenant),
                )
                evaluation = self._judge(trial, early, lesson, lesson.pairs.select(~teach))
            with self._stage("final state"):
                final = learn_state(catalog, data.events, fit, config)
                learned = self._learn_served(catalog, data.events, fit, early, lesson, split)
        report.evaluation = evaluation
        report.embedding, report.dimensions = (
            final.embedding.name,
            final.embedding.dimensions_count,
        )
        report.ranker_pairs = learned.pair_count
        report.calibrated = len(learned.calibration.scores) > 0
        manifest = manifest_of(catalog, final, config, report.tenant, revision)
        report.model_id = manifest.model_id
        bundle = assemble_bundle(catalog, final, learned.ranker, learned.calibration, manifest)
        return bundle, evaluation

    def _choose(self, catalog: Catalog, early: EventLog) -> Fit:
        """The embedding model for this data, chosen on the early part of the log alone."""
        config = self.config
        weights = event_weights(early, last_time_us(early), half_life(interest_rule(early, config)))
        content = None if CONTENT_MAP in config.left_out else catalog.content
        model = choose_embedding(
            interactions(early, weights, *catalog.shape),
            content,
            seed=config.seed,
            threads=config.threads,
        )

        def fit(matrix: sparse.csr_matrix) -> Embedding:
            return model.fit(matrix, content, seed=config.seed, threads=config.threads)

        return fit

    def _lesson(self, early: State, later: EventLog) -> Lesson:
        exposed = exposed_pairs(later, early.leads.capacity_left, self.config.split)
        if exposed.label.sum() > 0:
            return Lesson(exposed, "EXPOSED")
        chosen = chosen_pairs(early, later)
        if len(chosen):
            return Lesson(chosen, "CHOSEN")
        return Lesson(chosen_pairs(early, later, (EventKind.AUTHORED,)), "AUTHORED")

    def _learn(self, early: State, lesson: Lesson, pairs: Pairs) -> Learned:
        config, groups = self.config, None
        pairs = pairs.select(sample_rows(len(pairs), config.examples.most_pairs, config.seed))
        if lesson.kind == "AUTHORED":
            pairs, features = with_features(early, pairs, config)
            return self._learned(pairs, features, pairs.lead)
        if lesson.kind == "CHOSEN":
            pairs = with_negatives(early, pairs, config.examples, config.seed)
            groups = pairs.member
        return self._learned(pairs, features_of(early, pairs), groups)

    def _learned(self, pairs: Pairs, features: F32, groups: I32 | None) -> Learned:
        for at, feature in enumerate(FEATURES):
            if feature.group in self.config.left_out:
                features[:, at] = np.nan  # never known: no table is learned for it
        return learn_ranker(pairs, features, groups, self.config)

    def _learn_served(
        self,
        catalog: Catalog,
        events: EventLog,
        fit: Fit,
        early: State,
        lesson: Lesson,
        split: Split,
    ) -> Learned:
        """The ranker of the bundle, from all pairs there are."""
        config, count = self.config, len(lesson.pairs)
        if lesson.kind == "AUTHORED" and count < config.examples.few_authored:
            pairs, features = authored_examples(catalog, events, fit, config)
            return self._learned(pairs, features, pairs.lead)
        if lesson.kind == "EXPOSED" and count < config.examples.few_exposed:
            capacity = early.leads.capacity_left
            cut_us = split.cut_time_us
            pairs, features = crossed_examples(catalog, events, fit, capacity, cut_us, config)
            # What came after the cut is seen as the service will see leads that others met.
            late = lesson.pairs.select((lesson.pairs.time_us >= cut_us) & (cut_us > 0))
            features = np.concatenate([features, features_of(early, late)])
            return self._learned(joined([pairs, late]), features, None)
        return self._learn(early, lesson, lesson.pairs)

    def _judge(self, trial: Bundle, early: State, lesson: Lesson, pairs: Pairs) -> Evaluation:
        if lesson.kind == "EXPOSED":
            known = weights_of(pairs) > KNOWN_WEIGHT
            return evaluate_exposures(trial, pairs.select(pushes(pairs) & known), self.config.seed)
        if lesson.kind == "AUTHORED":
            return evaluate_authors(trial, pairs, self.config.gate, self.config.seed)
        return evaluate_choices(trial, early, pairs, self.config.gate, self.config.seed)

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        self._progress(name)
        begin = time.perf_counter()
        yield
        self.report.seconds[name] = time.perf_counter() - begin
