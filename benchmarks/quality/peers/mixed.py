"""EASE beside nearness: the strongest quick try where there are places and many claims."""

from __future__ import annotations

import numpy as np

from benchmarks.quality.peers.job import Floats, Ints, Job
from benchmarks.quality.peers.neighbours import Ease
from benchmarks.quality.peers.places import NearestAndPopular


class EaseAndNearest:
    """EASE's scores and nearness, each brought to one spread within a member."""

    def fit(self, job: Job) -> None:
        """See Peer."""
        self._ease, self._near = Ease(), NearestAndPopular()
        self._ease.fit(job)
        self._near.fit(job)

    def block(self, members: Ints, leads: Ints) -> Floats:
        """See Peer."""
        near = spread(self._near.near(members, leads))
        return np.asarray(spread(self._ease.block(members, leads)) + 0.3 * near, np.float32)


def spread(scores: Floats) -> Floats:
    """Rows with mean 0 and deviation 1."""
    deviation = scores.std(axis=1, keepdims=True)
    centred = scores - scores.mean(axis=1, keepdims=True)
    return np.asarray(centred / np.maximum(deviation, 1e-9), np.float32)
