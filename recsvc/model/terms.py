"""The pair features: what the ranker knows about one member and one lead.

Their kernels (`pair_terms`, `one_sided_terms`) are used by training to learn the ranker and by the
service to apply it, so that a feature means the same in both. NaN means "cannot be known for this
pair"; the ranker has a value for that.
"""

from __future__ import annotations

from typing import NamedTuple

from recsvc.model.arrays import F32


class Feature(NamedTuple):
    """A pair feature: its name, the group a reason speaks of, and how the ranker reads it.

    `linear` features are interpolated between knots, because steps would tie the best candidates.
    `monotone` is +1 (never lowers the score), -1 (never raises it) or 0. `is_log_odds`: training
    has worked out already how much the score should move; the ranker starts from it as it is.
    """

    name: str
    group: str
    linear: bool
    monotone: int
    is_log_odds: bool = False


FEATURES: tuple[Feature, ...] = (
    Feature("embedding", "INTEREST", True, 1),
    Feature("expertise_text", "EXPERTISE", True, 1),
    Feature("interest_text", "INTEREST", True, 1),
    Feature("expertise_topics", "EXPERTISE", True, 1),
    Feature("interest_topics", "INTEREST", True, 1),
    Feature("sector_topics", "EXPERTISE", True, 1),
    Feature("distance_log_km", "PLACE", True, -1),
    Feature("activity_log_km", "PLACE", True, -1),
    Feature("shared_region_levels", "PLACE", False, 0),
    Feature("same_organization", "PLACE", False, 0),
    Feature("age_log_hours", "FRESHNESS", True, 0),
    Feature("urgency", "URGENCY", True, 0),
    Feature("willingness", "WILLINGNESS", True, 1),
    Feature("exposures_log", "WILLINGNESS", False, 0),
    Feature("audience_met", "WILLINGNESS", True, 0),
    Feature("appeal_met", "WILLINGNESS", True, 0),
    Feature("answer_topics", "INTEREST", True, 1),
    Feature("answer_text", "INTEREST", True, 1),
    Feature("lead_appeal", "APPEAL", True, 1),
    Feature("content_appeal", "APPEAL", True, 1, True),
    Feature("lead_exposures_log", "APPEAL", False, 0),
    Feature("lead_popularity", "APPEAL", True, 0),
    Feature("topic_moment", "APPEAL", True, 1, True),
    Feature("place_by_topic", "PLACE", True, 1, True),
    Feature("stated_by_topic", "EXPERTISE", True, 1, True),
    Feature("own_text", "INTEREST", True, 1),
    Feature("co_taken", "INTEREST", True, 1),
    Feature("activity_density", "PLACE", True, 1),
    Feature("embedding_level", "WILLINGNESS", True, 0),
)
FEATURE_COUNT = len(FEATURES)
FEATURE_NAMES = tuple(f.name for f in FEATURES)
INDEX = {name: i for i, name in enumerate(FEATURE_NAMES)}
OF_LEAD = tuple(
    INDEX[name]
    for name in (
        "age_log_hours",
        "urgency",
        "lead_appeal",
        "content_appeal",
        "lead_exposures_log",
        "lead_popularity",
        "topic_moment",
    )
)
"""Features that are the same for every member."""
OF_MEMBER = tuple(
    INDEX[name]
    for name in ("willingness", "exposures_log", "audience_met", "appeal_met", "embedding_level")
)
"""Features that are the same for every lead."""


class TermContext(NamedTuple):
    """What the kernels need beside the rows; learned by training, kept in the bundle."""

    sector_topics: F32  # [sectors, topics] log-odds of acting on the topic, centred
    base_logit: float  # log-odds that a push is answered, see features.willingness
    slots: F32  # [features.willingness.SLOTS] log-odds of a place on a list, against a push
    member_precision: float  # of the prior of a member's willingness around 0
    lead_precision: float  # of that of a lead's appeal
    audience_mean: float  # mean audience_met of all answers
    appeal_weights: F32  # [dt] content_appeal = text @ appeal_weights + appeal_bias
    appeal_bias: float
    topic_moments: F32  # [topics, months] log-odds of a topic's leads lately, against all
    topic_effects: F32  # [topics, 3] see recsvc.model.topic_terms; [0, 3]: not known
    moments_from_us: int  # when the first month begins
    counted_until_us: int  # an exposure before this counts as answered (not taken) already
