"""Plain numbers on their way into the metrics, many at once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise

from prometheus_client import Counter, Histogram


class BatchHistogram(Histogram):
    """A histogram that takes many observations at once."""

    def add(self, counts: Sequence[int], total: float) -> None:
        """`counts` observations by bucket (the last: above all bounds), and their sum."""
        self._sum.inc(total)
        for bucket, count in zip(self._buckets, counts, strict=True):
            if count:
                bucket.inc(count)


class Observed:
    """Observations that are still to be added to a histogram."""

    __slots__ = ("_bounds", "_histogram", "waiting")

    def __init__(self, histogram: BatchHistogram, bounds: Sequence[float]) -> None:
        self._histogram = histogram
        self._bounds = bounds
        self.waiting: list[float] = []
        """Values that nobody has looked at yet."""

    def flush(self) -> None:
        """Sorted, they take a look at each bound, not at each of them."""
        if not self.waiting:
            return
        values = sorted(self.waiting)
        self.waiting.clear()
        below = [0, *(bisect_right(values, bound) for bound in self._bounds), len(values)]
        self._histogram.add([after - before for before, after in pairwise(below)], sum(values))


class Counted:
    """What is still to be added to a counter."""

    __slots__ = ("_counter", "count")

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self.count = 0

    def flush(self) -> None:
        if self.count:
            self._counter.inc(self.count)
            self.count = 0
