"""What tests of the pipeline ask, and whom."""

from __future__ import annotations

from features.entities import Lead
from recsvc.pipeline import Pipeline
from recsvc.queries import ListQuery
from support.worlds import NOW_US, tiny_dataset

ALL = ListQuery(count=1_000)
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
