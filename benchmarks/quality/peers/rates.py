"""How often a member answers, smoothed toward everybody's rate; nothing else."""

from __future__ import annotations

import numpy as np

from benchmarks.quality.peers.job import Floats, Ints, Job

PRIOR_COUNT = 5.0


class AnswerRate:
    """The share of a member's exposures that they answered."""

    def fit(self, job: Job) -> None:
        """See Peer."""
        count = job.shape[0]
        self._rate = smoothed(job.exposed_member, job.exposed_label, count)[0]

    def block(self, members: Ints, leads: Ints) -> Floats:
        """See Peer."""
        return np.repeat(self._rate[members][:, None], len(leads), axis=1)


def smoothed(rows: Ints, labels: Floats, count: int) -> tuple[Floats, Floats]:
    """(rate, exposures) float32[count] of each row: (hits + p·5) / (exposures + 5), p the mean."""
    shown = np.bincount(rows, minlength=count).astype(np.float32)
    hits = np.bincount(rows, labels, minlength=count)
    mean = float(labels.mean()) if len(labels) else 0.0
    rate = (hits + PRIOR_COUNT * mean) / (shown + PRIOR_COUNT)
    return rate.astype(np.float32), shown
