"""The features of leads and members, one array a column."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

LEAD_TOPICS = 8
MEMBER_TOPICS = 16
MEMBER_PLACES = 4


class LeadFeatures(NamedTuple):
    """n leads as arrays; d is the width of text vectors.

    text: L2 length 1, or zero without text. topics: rows of `FeatureSpace.topics`, heaviest first,
    padded with -1; topic_weights: TF-IDF of L2 length 1, times the probability where
    topics_inferred is 1 (the lead came without topics). region: GB/T 2260 codes of province, city,
    county, town, -1 unknown. Radians are NaN where neither coordinates nor region are known.
    """

    text: NDArray[np.float32]  # [n, d]
    topics: NDArray[np.int32]  # [n, 8]
    topic_weights: NDArray[np.float32]  # [n, 8]
    topics_inferred: NDArray[np.uint8]  # [n]
    region: NDArray[np.int32]  # [n, 4]
    latitude_rad: NDArray[np.float32]  # [n]
    longitude_rad: NDArray[np.float32]  # [n]
    urgency: NDArray[np.uint8]  # [n], 0-3
    create_time_us: NDArray[np.int64]  # [n], 0 unknown


class MemberFeatures(NamedTuple):
    """n members as arrays, in the terms of `LeadFeatures`.

    topics: first the `topics_named` that the profile names, then likely ones; topic_weights: the
    chance of each, see features.expertise (TF-IDF of those named where too few members name topics
    to learn from).
    sector: rows of `FeatureSpace.sectors`, -1 unknown. place_*: home first, then the other places,
    NaN and -1 padded.
    """

    text: NDArray[np.float32]  # [n, d]
    topics: NDArray[np.int32]  # [n, 16]
    topic_weights: NDArray[np.float32]  # [n, 16]
    topics_named: NDArray[np.uint8]  # [n]
    sector: NDArray[np.int32]  # [n]
    place_latitude_rad: NDArray[np.float32]  # [n, 4]
    place_longitude_rad: NDArray[np.float32]  # [n, 4]
    place_region: NDArray[np.int32]  # [n, 4, 4]
