"""What tests of the pipeline ask, and whom."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from features.entities import Lead
from recsvc.matching.pipeline import Pipeline
from recsvc.matching.queries import ListQuery
from recsvc.model.arrays import stable_key
from recsvc.model.bundle import Bundle
from recsvc.model.snapshot import Snapshot
from support.worlds import DAY_US, NOW_US, pipeline_of, tiny_dataset

ALL = ListQuery(count=1_000)
GOLDEN = ListQuery(count=8, diversity=0.2)
NEW_LEAD = Lead(
    "new", NOW_US, "", title="关于道路停车的建议", body="公交站台拥堵", region_code="430104"
)
NOBODY = "m38"
"""Nothing is known of this member, and nothing was done by them."""


def offered(pipeline: Pipeline, member_id: str) -> list[str]:
    """All leads a member is offered, best first."""
    return [item.id for item in pipeline.recommend(member_id, ALL).items]


def matched(pipeline: Pipeline, lead_id: str) -> list[str]:
    """All members a lead is offered to, best first."""
    return [item.id for item in pipeline.match(lead_id, ALL).items]


def base_lead(number: int) -> Lead:
    """A lead as the bundle knows it."""
    return tiny_dataset().leads[number]


def add_copies(snapshot: Snapshot, count: int) -> None:
    """Open leads without a place, alike but for their age: `copy0` is freshest and fits best."""
    text = int(np.argmax(snapshot.bundle.leads.text.any(axis=1)))
    liked = snapshot.bundle.leads.vector[text] + snapshot.bundle.fold_in.lead_mean
    for i in range(count):
        row = snapshot.leads.move_to_tail(f"copy{i}", b"") - snapshot.leads.base_count
        tail = snapshot.leads.tail
        tail.key[row] = stable_key(f"copy{i}")
        tail.text[row] = snapshot.bundle.leads.text[text]
        tail.vector[row] = liked * (1.0 - i / count)
        tail.create_time_us[row] = NOW_US - i * DAY_US


def golden_answers(bundle: Bundle) -> dict[str, Any]:
    """What a bundle answers to fixed questions, as plain values; scores to five digits."""
    pipeline = pipeline_of(Snapshot(bundle))
    answers = {f"member {i}": pipeline.recommend(i, GOLDEN) for i in ("m0", "m3", "m12", NOBODY)}
    answers |= {f"lead {i}": pipeline.match(i, GOLDEN) for i in ("l9", "l34", "l67")}
    draft = replace(NEW_LEAD, lead_id="", latitude=28.2, longitude=112.95)
    answers["draft"] = pipeline.match(draft, GOLDEN)
    return {
        question: [[item.id, round(item.score, 5)] for item in answer.items]
        for question, answer in answers.items()
    }
