"""Who the peers are; nothing of their libraries is needed to read this."""

from __future__ import annotations

TOO_LARGE = 3
"""Exit status of a peer that the memory does not hold."""

OF_CLAIMS = (
    "implicit ALS",
    "implicit BPR",
    "implicit item-kNN",
    "LensKit ALS",
    "LightFM hybrid",
    "RecTools EASE",
    "popularity",
    "EASE + nearest",
)
"""They learn from who took what."""
OF_LEADS_TAKEN = ("implicit item-kNN", "LensKit ALS", "RecTools EASE", "popularity")
"""All that they know of a lead is who took it."""
OF_CONTENT = ("TF-IDF profile", "TF-IDF nearest text")
MAPPED = ("implicit ALS", "implicit BPR")
"""With a ridge regression from content to their factors, where leads nobody took are asked for."""
OF_PLACES = ("nearest and popular", "EASE + nearest")
OF_EXPOSURES = ("answer rate", "boosted trees")
FOR_PLANS = ("answer rate", "TF-IDF profile", "boosted trees", "nearest and popular")
"""Lists of a thousand members are asked of these alone."""
ALL = (
    "implicit ALS",
    "implicit BPR",
    "implicit item-kNN",
    "LensKit ALS",
    "LightFM hybrid",
    "RecTools EASE",
    "popularity",
    "TF-IDF profile",
    "TF-IDF nearest text",
    "answer rate",
    "boosted trees",
    "nearest and popular",
    "EASE + nearest",
)
