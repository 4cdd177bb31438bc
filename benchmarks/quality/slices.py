"""Parts of the members that a gain must not be paid for with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from features.events import EventLog

HISTORIES = (
    ("0 events", 0, 0),
    ("1-3 events", 1, 3),
    ("4-20 events", 4, 20),
    ("21+ events", 21, None),
)
Mask = NDArray[np.bool_]


def history_slices(train: EventLog, members: NDArray[np.int32]) -> dict[str, Mask]:
    """By how many events of the training part a member has; empty slices are left out."""
    most = int(max(train.member.max(initial=-1), members.max(initial=-1))) + 1
    counts = np.bincount(train.member, minlength=most)[members]
    found = {}
    for name, low, high in HISTORIES:
        mask = (counts >= low) & (counts <= (counts.max() if high is None else high))
        if mask.any():
            found[name] = mask
    return found
