"""What follows an exposure: opening, support, comments, claims, their end, and refusals.

With z the truth's logit, base its constant, X the expertise that meets the lead, u its urgency,
W the member's willingness:

    OPENED     exam(position) sigmoid(-0.9 + 0.6 (z - base)); always by who claims or would have
    SUPPORTED  of the opened, sigmoid(-1.9 + 0.35 u + 0.2 (z - base))
    COMMENTED  of the opened, sigmoid(-2.8 + 1.4 X)
    DISMISSED  of those who would not claim, exam(position) (0.03 + 0.14 sigmoid(base - z));
               reason by Gumbel choice: TOO_FAR -1.6 + 1.1 ln(1 + d / 20 km),
               NOT_MY_FIELD 0.9 - 3.5 X, BUSY -0.4 - 0.9 W, DUPLICATE -2
    SEE_LESS   after 8 % of NOT_MY_FIELD, half of them without naming the lead
    RELEASED 5 %, TRANSFERRED 2 % of the claims on leads without capacity (a freed place would
    reopen the race); of the other claims 82 % RESOLVED after some weeks, 40 % of these RATED.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from benchmarks.province.arrays import Bools, Floats, Ints, sigmoid
from benchmarks.province.config import DAY_US, ProvinceConfig, stream
from benchmarks.province.exposures import milliseconds
from benchmarks.province.race import Outcome, Settled
from benchmarks.province.truth import BASE, Truth, examination
from features.entities import DismissReason, EventKind

_REASONS = (
    DismissReason.TOO_FAR,
    DismissReason.NOT_MY_FIELD,
    DismissReason.BUSY,
    DismissReason.DUPLICATE,
)


@dataclass(frozen=True, slots=True)
class Events:
    """Structure of arrays, in order of time. `exposure` is the row it follows from, -1: none."""

    kind: NDArray[np.uint8]
    time_us: NDArray[np.int64]
    member: NDArray[np.int64]
    lead: NDArray[np.int64]
    """-1: none (a SEE_LESS in general)."""
    exposure: NDArray[np.int64]
    reason: NDArray[np.uint8]
    rating: NDArray[np.float64]
    """NaN: none."""

    def __len__(self) -> int:
        return len(self.kind)


class _Builder:
    """Collects events that follow from exposures."""

    def __init__(self, settled: Settled, end_us: int) -> None:
        self._exposures, self._end_us = settled.exposures, end_us
        self._parts: list[Events] = []

    def add(
        self,
        kind: EventKind,
        rows: Ints,
        time_us: Ints,
        reason: Ints | None = None,
        rating: NDArray[np.float64] | None = None,
        named: Bools | None = None,
    ) -> None:
        """Events of `kind` that follow from the exposures `rows`, none after the end."""
        seen = np.asarray(time_us) < self._end_us
        n = int(seen.sum())
        lead = self._exposures.lead[rows]
        part = Events(
            kind=np.full(n, kind, np.uint8),
            time_us=np.asarray(time_us, np.int64)[seen],
            member=self._exposures.member[rows][seen],
            lead=(lead if named is None else np.where(named, lead, -1))[seen],
            exposure=np.asarray(rows, np.int64)[seen],
            reason=np.zeros(n, np.uint8) if reason is None else reason[seen].astype(np.uint8),
            rating=np.full(n, np.nan) if rating is None else rating[seen],
        )
        self._parts.append(part)

    def sorted(self, authored: Events) -> Events:
        """All events by time; an exposure comes before what follows in the same millisecond."""
        parts = [authored, *self._parts]
        columns = {
            f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Events)
        }
        order = np.lexsort(
            (columns["lead"], columns["member"], columns["kind"], columns["time_us"])
        )
        return Events(**{name: column[order] for name, column in columns.items()})


def follow(config: ProvinceConfig, truth: Truth, settled: Settled, seed: int) -> Events:
    """Every event of the log."""
    e, rng = settled.exposures, stream(seed, "follow")
    builder = _Builder(settled, config.end_time_us)
    rows = np.arange(len(e))
    kinds = (EventKind.PUSHED, EventKind.SHOWN)
    for kind, which in zip(kinds, (e.position < 0, e.position >= 0), strict=True):
        builder.add(kind, rows[which], e.time_us[which])
    z = truth.logit(e.member, e.lead, e.time_us)
    x = truth.expertise(e.member, e.lead)
    opened_us = _interest(rng, builder, truth, settled, z, x)
    _refusals(rng, builder, truth, settled, z, x, opened_us)
    _claims(rng, builder, truth, settled, x)
    return builder.sorted(_authored(truth))


def _interest(
    rng: np.random.Generator,
    builder: _Builder,
    truth: Truth,
    settled: Settled,
    z: Floats,
    x: Floats,
) -> NDArray[np.int64]:
    """OPENED, SUPPORTED, COMMENTED; gives the time of opening (0: not opened)."""
    e, n = settled.exposures, len(z)
    would = settled.outcome != Outcome.NOTHING
    look = examination(e.position) * sigmoid(-0.9 + 0.6 * (z - BASE))
    opened = would | (rng.random(n) < look)
    # Who claims has opened before; the others open within a day or so.
    wait = np.where(would, 0.7 * (e.claim_us - e.time_us) * rng.random(n), 0.0)
    idle = np.minimum(rng.exponential(0.5, n), 5.0) * DAY_US
    time_us = e.time_us + milliseconds(np.where(would, wait, idle)) + 1000
    builder.add(EventKind.OPENED, np.flatnonzero(opened), time_us[opened])
    urgency = truth.leads.urgency[e.lead]
    support = sigmoid(-1.9 + 0.35 * urgency + 0.2 * (z - BASE))
    for kind, chance in ((EventKind.SUPPORTED, support), (EventKind.COMMENTED, _comment(x))):
        did = np.flatnonzero(opened & (rng.random(n) < chance))
        later = milliseconds(rng.exponential(600e6, len(did))) + 1000
        builder.add(kind, did, time_us[did] + later)
    return np.where(opened, time_us, 0)


def _comment(x: Floats) -> Floats:
    return sigmoid(-2.8 + 1.4 * x)


def _refusals(
    rng: np.random.Generator,
    builder: _Builder,
    truth: Truth,
    settled: Settled,
    z: Floats,
    x: Floats,
    opened_us: Ints,
) -> None:
    """DISMISSED with its reason, SEE_LESS."""
    e = settled.exposures
    chance = examination(e.position) * (0.03 + 0.14 * sigmoid(BASE - z))
    chance = np.where(settled.outcome == Outcome.NOTHING, chance, 0.0)
    rows = np.flatnonzero(rng.random(len(z)) < chance)
    far = truth.distance_km(e.member[rows], e.lead[rows])
    scores = np.stack(
        [
            -1.6 + 1.1 * np.log1p(far / 20),
            0.9 - 3.5 * x[rows],
            -0.4 - 0.9 * truth.members.willingness[e.member[rows]],
            np.full(len(rows), -2.0),
        ],
        axis=1,
    )
    choice = (scores + rng.gumbel(size=scores.shape)).argmax(axis=1)
    reason = np.array(_REASONS, np.int64)[choice]
    start = np.maximum(e.time_us[rows], opened_us[rows])
    time_us = start + milliseconds(rng.exponential(0.2, len(rows)) * DAY_US) + 1000
    builder.add(EventKind.DISMISSED, rows, time_us, reason=reason)
    less = (reason == DismissReason.NOT_MY_FIELD) & (rng.random(len(rows)) < 0.08)
    named = rng.random(int(less.sum())) < 0.5
    builder.add(EventKind.SEE_LESS, rows[less], time_us[less] + 2000, named=named)


def _claims(
    rng: np.random.Generator, builder: _Builder, truth: Truth, settled: Settled, x: Floats
) -> None:
    """CLAIMED and how it ends."""
    e = settled.exposures
    rows = np.flatnonzero(settled.outcome == Outcome.CLAIMED)
    n, claim_us = len(rows), e.claim_us[rows]
    builder.add(EventKind.CLAIMED, rows, claim_us)
    ends, unlimited = rng.random(n), truth.leads.capacity[e.lead[rows]] == 0
    released, transferred = unlimited & (ends < 0.05), unlimited & (ends >= 0.05) & (ends < 0.07)
    early = claim_us + milliseconds(rng.uniform(1, 9, n) * DAY_US)
    builder.add(EventKind.RELEASED, rows[released], early[released])
    builder.add(EventKind.TRANSFERRED, rows[transferred], early[transferred])
    resolved = ~released & ~transferred & (rng.random(n) < 0.82)
    done = claim_us + milliseconds(np.exp(np.log(16) + 0.6 * rng.normal(size=n)) * DAY_US)
    builder.add(EventKind.RESOLVED, rows[resolved], done[resolved])
    rated = resolved & (rng.random(n) < 0.4)
    stars = np.clip(np.round(3.3 + 1.2 * x[rows] + 0.8 * rng.normal(size=n)), 1, 5)
    after = done + milliseconds(rng.uniform(0.1, 5, n) * DAY_US)
    builder.add(EventKind.RATED, rows[rated], after[rated], rating=stars[rated])


def _authored(truth: Truth) -> Events:
    """AUTHORED, at the lead's creation."""
    lead = np.flatnonzero(truth.leads.author >= 0)
    n = len(lead)
    return Events(
        kind=np.full(n, EventKind.AUTHORED, np.uint8),
        time_us=truth.leads.create_us[lead],
        member=truth.leads.author[lead],
        lead=lead,
        exposure=np.full(n, -1, np.int64),
        reason=np.zeros(n, np.uint8),
        rating=np.full(n, np.nan),
    )
