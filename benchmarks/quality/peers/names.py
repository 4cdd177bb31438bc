"""Which peers can answer which kind of question. No library is needed to read this."""

from __future__ import annotations

TOO_LARGE = 3
"""Exit status of a peer that the memory does not hold."""

COLLABORATIVE = (
    "implicit ALS",
    "implicit BPR",
    "implicit item-kNN",
    "LensKit ALS",
    "LightFM hybrid",
    "RecTools EASE",
    "popularity",
)
PLACES = ("nearest and popular", "EASE + nearest")
UNTOUCHED = (
    "implicit ALS",
    "implicit BPR",
    "LightFM hybrid",
    "TF-IDF profile",
    "TF-IDF nearest text",
)
"""ALS and BPR with a ridge regression from content to their factors."""
EXPOSED = ("answer rate", "boosted trees", "LightFM hybrid", "TF-IDF profile")
TEXT = ("TF-IDF nearest text", "TF-IDF profile", "LightFM hybrid")
