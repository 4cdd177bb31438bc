"""One measurement a row: what `--json` writes, what is judged, what the report shows."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

Kind = Literal["served", "ours", "peer", "oracle", "difference"]
SERVED = "served pipeline"


@dataclass(frozen=True)
class Row:
    """A measure of a system on a split of a data set.

    `seconds`: training. `difference` is to the best peer of the same measure, with its interval.
    `latency_ms`: median and 99th percentile of the bundle's replies through a real server.
    """

    data: str
    split: str
    question: str
    system: str
    kind: Kind
    measure: str
    value: float
    low: float = float("nan")
    high: float = float("nan")
    part: str = "all"
    count: int = 0
    seconds: float = float("nan")
    best_peer: str = ""
    difference: float = float("nan")
    difference_low: float = float("nan")
    difference_high: float = float("nan")
    latency_ms: float = float("nan")
    latency_p99_ms: float = float("nan")
    must: str = ""
    aim: str = ""
    verdict: str = ""
    note: str = ""

    @property
    def is_significant(self) -> bool:
        """Whether the interval of the difference leaves zero out."""
        return self.difference_low > 0.0 or self.difference_high < 0.0

    def as_json(self) -> dict[str, Any]:
        """Plain values; NaN becomes None; the interval as a pair."""
        told = {name: _plain(value) for name, value in asdict(self).items()}
        told["interval"] = [told.pop("low"), told.pop("high")]
        told["difference_interval"] = [told.pop("difference_low"), told.pop("difference_high")]
        told["significant"] = self.is_significant if self.best_peer else None
        return told


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return None if np.isnan(value) else round(value, 6)
    return value
