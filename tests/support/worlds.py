"""A small world with every oddity in it: members without place or text, closed leads, recusals.

Everything is drawn from one seed, so that a test that fails once fails always.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any, cast

import numpy as np
from scipy import sparse

from features.config import FeatureConfig
from features.entities import (
    Conflict,
    DismissReason,
    Event,
    EventKind,
    Lead,
    LeadState,
    Member,
    Organization,
    Place,
)
from features.events import EventLog
from features.vocabulary import Vocabulary
from recsvc.matching.pipeline import Pipeline
from recsvc.model.additive import AdditiveModel, Calibration
from recsvc.model.arrays import F32, Columns
from recsvc.model.bundle import Bundle, Manifest
from recsvc.model.joint_terms import JOINT_KNOTS
from recsvc.model.snapshot import Snapshot
from recsvc.model.terms import INDEX
from training.assemble_bundle import assemble_bundle
from training.config import TrainingConfig
from training.defaults import default_ranker
from training.embeddings import Embedding
from training.embeddings.content import ContentConfig
from training.embeddings.spectral import SpectralModel
from training.examples import features_of
from training.exposures import Pairs
from training.logs import DataSet, ReadSummary
from training.state import Catalog, Fit, State, build_catalog, learn_state

DAY_US = 86_400_000_000
NOW_US = 1_751_299_200_000_000
"""The present of the small world, 2025-06-30T16:00Z; nothing in its log is later."""

CONFIG = TrainingConfig(
    features=FeatureConfig(
        text_dimensions=12, min_document_count=1, min_labelled_leads=10, min_topic_leads=3
    ),
    threads=1,
)
MODEL = SpectralModel(dimensions=6, content=ContentConfig(rank=20))
TOPICS = ("交通", "环保", "教育", "养老", "住房")
WORDS = {
    "交通": ("道路", "公交", "停车", "红绿灯", "拥堵", "斑马线"),
    "环保": ("河道", "污水", "垃圾分类", "噪声", "扬尘", "绿化"),
    "教育": ("学校", "学位", "课后托管", "幼儿园", "教师", "食堂"),
    "养老": ("养老院", "助餐", "护理", "慢性病", "电梯", "社区医院"),
    "住房": ("物业", "漏水", "维修基金", "公租房", "消防通道", "充电桩"),
}
SECTORS = ("医药卫生界", "教育界", "经济界")
REGIONS = ("430104", "430105", "430302", "430304")
"""Two districts of Changsha, two of Xiangtan."""
ORGANIZATIONS = (
    Organization("hn", "湖南", "", 1, "43", "OWN;CHILDREN"),
    Organization("cs", "长沙", "hn", 2, "4301", "OWN;PARENTS;CHILDREN"),
    Organization("xt", "湘潭", "hn", 2, "4303", "OWN;NEIGHBOURS"),
    Organization("yl", "岳麓", "cs", 3, "430104", "OWN;PARENTS"),
    Organization("kf", "开福", "cs", 3, "430105", "ANY"),
    Organization("yh", "雨湖", "xt", 3, "430302", "OWN"),
)
ORGANIZATION_IDS = ("", *(o.organization_id for o in ORGANIZATIONS), "unlisted")


def make_member(number: int, rng: np.random.Generator) -> Member:
    """m0, m1, …; of some nothing is known but the id."""
    member_id = f"m{number}"
    if number % 13 == 12:
        return Member(member_id)
    topic = str(rng.choice(TOPICS))
    known = rng.random(6) < 0.7
    region = str(rng.choice(REGIONS))
    latitude, longitude = _coordinates(region, rng) if known[0] else (None, None)
    places = (Place("STUDIO", *_coordinates(region, rng)),) if known[1] else ()
    return Member(
        member_id,
        organization_id=str(rng.choice(ORGANIZATION_IDS)),
        name=f"委员{number}",
        sector=str(rng.choice(SECTORS)) if known[2] else "",
        expertise="、".join(rng.choice(WORDS[topic], 3)) if known[3] else "",
        topics=(topic,) if known[4] else (),
        region_code=region if known[5] else "",
        latitude=latitude,
        longitude=longitude,
        places=places,
        active=bool(rng.random() < 0.9),
    )


def make_lead(number: int, rng: np.random.Generator) -> Lead:
    """l0, l1, …; of some nothing is known but the id."""
    lead_id = f"l{number}"
    if number % 17 == 16:
        return Lead(lead_id)
    topic = str(rng.choice(TOPICS))
    known = rng.random(5) < 0.8
    region = str(rng.choice(REGIONS))
    latitude, longitude = _coordinates(region, rng) if known[0] else (None, None)
    state = rng.choice(list(LeadState), p=[0.8, 0.08, 0.06, 0.06])
    created = NOW_US - int(rng.integers(1, 200)) * DAY_US
    capacity = int(rng.integers(0, 3)) if rng.random() < 0.2 else None
    return Lead(
        lead_id,
        create_time_us=created if known[1] else 0,
        organization_id=str(rng.choice(ORGANIZATION_IDS)),
        author_id=f"m{rng.integers(0, 40)}" if rng.random() < 0.3 else f"citizen{number}",
        title=f"关于{rng.choice(WORDS[topic])}的建议" if known[2] else "",
        body=f"请关注{'和'.join(rng.choice(WORDS[topic], 2))}问题" if known[3] else "",
        topics=(topic,) if rng.random() < 0.7 else (),
        region_code=region if known[4] else "",
        latitude=latitude,
        longitude=longitude,
        urgency=int(rng.integers(0, 4)),
        state=LeadState(state),
        close_time_us=0 if state == LeadState.OPEN else NOW_US - int(rng.integers(0, 9)) * DAY_US,
        claim_capacity=capacity,
    )


def _coordinates(region: str, rng: np.random.Generator) -> tuple[float, float]:
    """Somewhere within a few kilometres of the region's middle (degrees)."""
    latitude, longitude = {"4301": (28.2, 112.95), "4303": (27.85, 112.9)}[region[:4]]
    return round(latitude + rng.normal(0, 0.03), 5), round(longitude + rng.normal(0, 0.03), 5)


def make_event(kind: EventKind, time_us: int, member: int, lead: int, reason: int = 0) -> Event:
    """An event of members and leads by number; lead -1 for none."""
    return Event(
        kind,
        time_us,
        f"m{member}",
        f"l{lead}" if lead >= 0 else "",
        reason=DismissReason(reason),
    )


def _make_events(count: int, rng: np.random.Generator) -> list[Event]:
    """Members keep to two kinds of leads, so that there is something to learn."""
    kinds = list(EventKind)
    odds = np.array([0.25, 0.2, 0.12, 0.06, 0.06, 0.02, 0.14, 0.02, 0.01, 0.05, 0.02, 0.04, 0.01])
    events = []
    for _ in range(count):
        member = int(rng.integers(0, 36))  # m36 … m39 never did anything
        lead = int(rng.integers(0, 64)) // 4 * 4 + member % 4  # l64 … l79: nobody touched
        kind = EventKind(int(rng.choice(kinds, p=odds)))
        if kind is EventKind.SEE_LESS and rng.random() < 0.5:
            lead = -1
        time_us = NOW_US - int(rng.integers(0, 190 * 24)) * (DAY_US // 24)
        reason = int(rng.integers(0, 5)) if kind is EventKind.DISMISSED else 0
        events.append(make_event(kind, time_us, member, lead, reason))
    return sorted(events, key=lambda e: e.time_us)


def dataset_of(
    members: Sequence[Member],
    leads: Sequence[Lead],
    events: Sequence[Event],
    organizations: Sequence[Organization] = (),
    conflicts: Sequence[Conflict] = (),
) -> DataSet:
    """A data set as the reader would give it."""
    member_ids = Vocabulary(m.member_id for m in members)
    lead_ids = Vocabulary(lead.lead_id for lead in leads)
    return DataSet(
        list(members),
        list(leads),
        list(organizations),
        list(conflicts),
        member_ids,
        lead_ids,
        log_of(events, member_ids, lead_ids),
        None,
        ReadSummary("tests", (), 0.0),
    )


def log_of(events: Sequence[Event], member_ids: Vocabulary, lead_ids: Vocabulary) -> EventLog:
    """Events as a log over these vocabularies."""
    return EventLog.from_columns(
        {
            "member": member_ids.rows([e.member_id for e in events], "error"),
            "lead": np.array([lead_ids.row(e.lead_id) if e.lead_id else -1 for e in events]),
            "kind": np.array([e.kind for e in events]),
            "time_us": np.array([e.time_us for e in events], np.int64),
            "position": np.full(len(events), -1),
            "propensity": np.full(len(events), np.nan),
            "rating": np.full(len(events), np.nan),
            "reason": np.array([e.reason for e in events]),
            "wave": np.zeros(len(events)),
        }
    )


@cache
def tiny_events() -> tuple[Event, ...]:
    """The small world's log as entities, in order of time."""
    return tuple(_make_events(900, np.random.default_rng(3)))


@cache
def tiny_dataset() -> DataSet:
    """40 members, 80 leads, 6 organizations on three levels, 900 events over half a year."""
    rng = np.random.default_rng(1)
    members = [make_member(i, rng) for i in range(40)]
    leads = [make_lead(i, rng) for i in range(80)]
    conflicts = (
        Conflict("m0", lead_id="l0", reason="近亲属"),
        Conflict("m1", author_id="citizen1"),
        Conflict("m2", organization_id="cs"),
        Conflict("m2", lead_id="l5"),
    )
    return dataset_of(members, leads, tiny_events(), ORGANIZATIONS, conflicts)


@cache
def tiny_catalog() -> Catalog:
    """The small world's features."""
    return build_catalog(tiny_dataset(), CONFIG)


def spectral_fit(catalog: Catalog) -> Fit:
    """Fits a small spectral embedding."""

    def fit(interactions: sparse.csr_matrix) -> Embedding:
        return MODEL.fit(interactions, catalog.content, seed=CONFIG.seed, threads=1)

    return fit


@cache
def tiny_state() -> State:
    """What training learns from the whole log. Copy before you change anything."""
    return learn_state(tiny_catalog(), tiny_dataset().events, spectral_fit(tiny_catalog()), CONFIG)


def random_pairs(state: State, count: int, seed: int) -> Pairs:
    """Pairs of random members and leads, seen now."""
    rng = np.random.default_rng(seed)
    return Pairs(
        rng.integers(0, len(state.members.alive), count).astype(np.int32),
        rng.integers(0, len(state.leads.alive), count).astype(np.int32),
        np.full(count, NOW_US, np.int64),
        np.zeros(count, np.float32),
    )


def every_feature_ranker(features: F32) -> AdditiveModel:
    """The default ranker, with a table for each feature that it leaves out, and a joint one."""
    model = default_ranker(features)
    for at in np.flatnonzero(model.counts == 0):
        model.counts[at] = 3
        model.knots[at, :3] = (-1.0, 0.5, 2.0)
        model.values[at, :3] = np.array([-0.2, 0.05, 0.3]) * (1.0 if at % 2 else -1.0)
        model.missing[at] = 0.1
        model.linear[at] = at % 3 == 0
    joint = np.linspace(-0.1, 0.1, (JOINT_KNOTS + 2) ** 2, dtype=np.float32)
    knots = np.full((1, 2, JOINT_KNOTS), np.inf, np.float32)
    knots[0, :, :3] = (-1.0, 0.5, 2.0)
    return model._replace(
        joint_features=np.array([[INDEX["willingness"], INDEX["audience_met"]]], np.int32),
        joint_knots=knots,
        joint_values=joint.reshape(1, JOINT_KNOTS + 2, -1),
    )


SCALE = Calibration(
    np.array([-5.0, 0.0, 5.0, 20.0], np.float32), np.array([0.01, 0.1, 0.6, 0.9], np.float32)
)


def bundle_of(
    catalog: Catalog, state: State, ranker: AdditiveModel, manifest: Manifest | None = None
) -> Bundle:
    """A bundle with a made-up calibration; shares the state's arrays."""
    manifest = manifest or Manifest(model_id="tiny", interest=state.interest)
    return assemble_bundle(catalog, state, ranker, SCALE, manifest)


@cache
def shared_bundle() -> Bundle:
    """The small world's bundle. Its arrays are shared: never apply changes to a snapshot of it."""
    state = tiny_state()
    features = features_of(state, random_pairs(state, 500, seed=5))
    return bundle_of(tiny_catalog(), state, every_feature_ranker(features))


def own_arrays(bundle: Bundle) -> Bundle:
    """The same bundle with columns of its own, which may be changed."""
    return replace(bundle, members=_copied(bundle.members), leads=_copied(bundle.leads))


def _copied(columns: Columns) -> Columns:
    make: Any = type(columns)
    return cast(Columns, make(*(column.copy() for column in columns)))


def tiny_bundle() -> Bundle:
    """The small world's bundle, to be changed at will."""
    return own_arrays(shared_bundle())


def pipeline_of(snapshot: Snapshot) -> Pipeline:
    """A pipeline whose clock stands at NOW_US."""
    return Pipeline(snapshot, clock=lambda: NOW_US)
