"""A model of a small simulated province, made in seconds: for tests of what does not depend on how
good a model is (crashes, swaps). The embedding is learned, the ranker is the default one, no gate
is asked.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from msgspec import structs
from scipy import sparse

from benchmarks.workload import ProvinceConfig, generate, write_dataset
from features.config import FeatureConfig
from recsvc.model.additive import Calibration
from recsvc.model.arrays import F32
from recsvc.model.bundle import Bundle, Manifest
from recsvc.model.terms import FEATURE_COUNT
from training.assemble_bundle import assemble_bundle
from training.config import TrainingConfig
from training.defaults import default_ranker
from training.embeddings import Embedding
from training.embeddings.spectral import SpectralModel
from training.logs import DataSet, read_dataset
from training.state import build_catalog, learn_state

TENANT = "default"
MEMBER_COUNT, LEAD_COUNT, EVENT_COUNT = 200, 400, 4_000
_SCORES = np.array([-20.0, 0.0, 20.0], np.float32)
_PROBABILITIES = np.array([0.0, 0.1, 1.0], np.float32)


def small_bundle(model_id: str, seed: int) -> Bundle:
    """A bundle of 200 members, 400 leads and some 4,000 events, whose present is ours."""
    config = TrainingConfig(features=FeatureConfig(text_dimensions=32), seed=seed, threads=1)
    data = _province(seed)
    catalog = build_catalog(data, config)

    def fit(interactions: sparse.csr_matrix) -> Embedding:
        model = SpectralModel(dimensions=16)
        return model.fit(interactions, catalog.content, seed=seed, threads=1)

    state = learn_state(catalog, data.events, fit, config)
    manifest = Manifest(
        model_id=model_id,
        tenant=TENANT,
        create_time=_now(),
        member_count=len(data.members),
        lead_count=len(data.leads),
        event_count=len(data.events),
        feature_space_version=catalog.space.version,
        config_hash=config.hash,
        interest=state.interest,
        embedding=state.embedding.name,
    )
    ranker = default_ranker(np.empty((0, FEATURE_COUNT), np.float32))
    calibration = Calibration(_SCORES, _PROBABILITIES)
    return assemble_bundle(catalog, state, ranker, calibration, manifest)


def variant(bundle: Bundle, model_id: str, number: int, *, new_vectors: bool, seed: int) -> Bundle:
    """A copy of a bundle under another id whose scores are all shifted by `number` hundredths, so
    that they tell which model a reply came from. With `new_vectors` it has embeddings of its own,
    which rank differently; without, the tables that were written with the bundle stay true.
    """
    members, leads, ranker = bundle.members, bundle.leads, bundle.ranker
    if new_vectors:
        rng = np.random.default_rng((seed, number))
        members = members._replace(vector=_redrawn(members.vector, rng))
        leads = leads._replace(vector=_redrawn(leads.vector, rng))
    made = replace(
        bundle,
        manifest=structs.replace(bundle.manifest, model_id=model_id, create_time=_now()),
        members=members,
        leads=leads,
        ranker=ranker._replace(intercept=ranker.intercept + number / 100),
    )
    if not new_vectors:
        made.tables.arrays |= bundle.tables.arrays
    return made


def _redrawn(vectors: F32, rng: np.random.Generator) -> F32:
    """Vectors in random directions, each as long as it was."""
    drawn = rng.standard_normal(vectors.shape, np.float32)
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(drawn * lengths, np.float32)


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _province(seed: int) -> DataSet:
    config = ProvinceConfig(
        MEMBER_COUNT, LEAD_COUNT, EVENT_COUNT, end_time_us=time.time_ns() // 1_000
    )
    with tempfile.TemporaryDirectory(prefix="recsvc-province-") as folder:
        write_dataset(generate(config, seed), Path(folder))
        return read_dataset(Path(folder))
