"""A small model for tests of the service: a dozen members, two dozen leads, made in a second."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np
from scipy import sparse

from features.config import FeatureConfig
from features.entities import Conflict, EventKind, Lead, Member, Organization, Place
from features.events import EventLog
from features.vocabulary import Vocabulary
from recsvc.model.additive import Calibration
from recsvc.model.bundle import Bundle, Manifest, write_bundle
from recsvc.model.registry import ModelRegistry
from recsvc.model.terms import FEATURE_COUNT
from training.assemble_bundle import assemble_bundle
from training.config import TrainingConfig
from training.defaults import default_ranker
from training.embeddings import Embedding
from training.embeddings.spectral import SpectralModel
from training.logs import DataSet
from training.state import build_catalog, learn_state
from training.tables.summary import ReadSummary

NOW = datetime.now(UTC).replace(microsecond=0)
SUBJECTS = {
    "交通": "道路交通公交停车红绿灯拥堵",
    "环保": "河道污水垃圾分类噪声扬尘",
    "教育": "学校学位课后托管幼儿园教师",
    "养老": "养老社区食堂助餐电梯加装",
}
MEMBER_COUNT, LEAD_COUNT = 12, 24


def ago_us(days: float) -> int:
    """A time before now, in microseconds."""
    return int((NOW - timedelta(days=days)).timestamp() * 1_000_000)


def member(number: int) -> Member:
    """m0 … m11: every fourth knows the same subject; all live in Changsha."""
    topic, words = list(SUBJECTS.items())[number % len(SUBJECTS)]
    return Member(
        member_id=f"m{number}",
        organization_id="city" if number % 2 else "county",
        name=f"委员{number}",
        sector=f"{topic}界",
        expertise=f"长期从事{topic}工作，熟悉{words}",
        topics=(topic,),
        region_code="430104",
        latitude=28.2 + 0.01 * number,
        longitude=112.9,
        places=(Place("STUDIO", 28.25, 113.0, "430105"),) if number % 3 == 0 else (),
    )


def lead(number: int) -> Lead:
    """l0 … l23: every fourth is about the same subject; m1 wrote l1."""
    topic, words = list(SUBJECTS.items())[number % len(SUBJECTS)]
    return Lead(
        lead_id=f"l{number}",
        create_time_us=ago_us(30 - number),
        organization_id="city",
        author_id="m1" if number == 1 else f"citizen{number}",
        title=f"关于{topic}的建议{number}",
        body=f"请有关部门关注{words[: 4 + number % 6]}问题",
        topics=(topic,) if number % 5 else (),
        region_code="430104",
        latitude=28.2 + 0.005 * number,
        longitude=112.9,
        urgency=number % 4,
    )


@cache
def _dataset() -> DataSet:
    members = [member(i) for i in range(MEMBER_COUNT)]
    leads = [lead(i) for i in range(LEAD_COUNT)]
    return DataSet(
        members,
        leads,
        [Organization("city", "长沙市政协"), Organization("county", "岳麓区政协", "city", 3)],
        [Conflict("m2", lead_id="l2", reason="近亲属")],
        Vocabulary(m.member_id for m in members),
        Vocabulary(x.lead_id for x in leads),
        _events(),
        None,
        ReadSummary("tests", (), 0.0),
    )


def _events() -> EventLog:
    """m0 … m9 were pushed leads and took those of their subject; m10, m11 did nothing yet."""
    pairs = [(m, j) for m in range(10) for j in range(12) if (m + j) % 2 == 0]
    rows = [(m, j, EventKind.PUSHED, 20.0) for m, j in pairs]
    rows += [(m, j, EventKind.CLAIMED, 19.0) for m, j in pairs if m % 4 == j % 4 and m != j]
    rows.sort(key=lambda row: -row[3])
    n = len(rows)
    return EventLog.from_columns(
        {
            "member": np.array([r[0] for r in rows], np.int32),
            "lead": np.array([r[1] for r in rows], np.int32),
            "kind": np.array([r[2] for r in rows], np.uint8),
            "time_us": np.array([ago_us(r[3]) for r in rows], np.int64),
            "position": np.full(n, -1, np.int16),
            "propensity": np.full(n, np.nan, np.float32),
            "rating": np.full(n, np.nan, np.float32),
            "reason": np.zeros(n, np.uint8),
            "wave": np.zeros(n, np.int16),
        }
    )


@cache
def _trained() -> Bundle:
    config = TrainingConfig(
        features=FeatureConfig(text_dimensions=8, min_document_count=1, ngram_max=2), threads=1
    )
    catalog = build_catalog(_dataset(), config)

    def fit(interactions: sparse.csr_matrix) -> Embedding:
        model = SpectralModel(dimensions=4)
        return model.fit(interactions, catalog.content, seed=1, threads=1)

    state = learn_state(catalog, _dataset().events, fit, config)
    ranker = default_ranker(np.empty((0, FEATURE_COUNT), np.float32))
    scale = np.array([-20.0, 0.0, 20.0], np.float32), np.array([0.0, 0.1, 1.0], np.float32)
    return assemble_bundle(catalog, state, ranker, Calibration(*scale), Manifest(model_id="tiny"))


def tiny_bundle(model_id: str = "tiny", tenant: str = "default", revision: str = "") -> Bundle:
    """The bundle under another id, with rows of its own: a snapshot writes into them."""
    trained = _trained()
    manifest = Manifest(
        model_id=model_id,
        tenant=tenant,
        create_time=datetime.now(UTC).isoformat(),
        training_window=((NOW - timedelta(days=20)).isoformat(), NOW.isoformat()),
        revision=revision,
        member_count=MEMBER_COUNT,
        lead_count=LEAD_COUNT,
        event_count=len(_dataset().events),
        feature_space_version=trained.space.version,
        config_hash="tests",
        embedding="spectral",
        metrics={
            "calibrated": True,
            "primary": "ndcg@10",
            "figures": [{"name": "ndcg@10", "cohort": "all", "value": 0.5}],
            "checks": [{"name": "members_differ", "passed": True, "detail": "12 of 12"}],
        },
    )
    members, leads = deepcopy((trained.members, trained.leads))
    return replace(trained, manifest=manifest, members=members, leads=leads)


def put_model(registry: ModelRegistry, model_id: str) -> Path:
    """The tiny bundle in a registry, not published yet; its folder.

    `ModelRegistry.publish` would flush a hundred files to the disk.
    """
    draft, target = registry.folder / f".{model_id}", registry.folder / model_id
    write_bundle(tiny_bundle(model_id), draft)
    return draft.rename(target)


def publish_tiny(registry: ModelRegistry, model_id: str) -> Path:
    """As `put_model`, and published."""
    folder = put_model(registry, model_id)
    registry.mark_published(model_id)
    return folder
