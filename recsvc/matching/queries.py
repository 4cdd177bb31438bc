"""Questions to the pipeline and its answers, in plain types: nothing here knows the transport.

What most lists make is a `Struct`: it is made in a tenth of the time of a frozen dataclass.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from msgspec import Struct

from recsvc.model.verdicts import Verdict

if TYPE_CHECKING:
    from recsvc.matching.page import Page


class ServingMode(Enum):
    """How personal an answer is."""

    PERSONALIZED = "PERSONALIZED"  # from the member's (or lead's) own history
    COLD_START = "COLD_START"  # from profile, text and place alone
    POPULARITY = "POPULARITY"  # nothing is known but the id


class Wanted(Struct, frozen=True):
    """What a request restricts itself to, in the caller's ids and codes; empty = anything."""

    topics: tuple[str, ...] = ()
    organization_ids: tuple[str, ...] = ()
    region_code: str = ""
    max_distance_km: float | None = None
    candidate_ids: tuple[str, ...] | None = None


ANYTHING = Wanted()
"""No restriction."""


class ListQuery(Struct, frozen=True):
    """What every ranked list takes. `offset` + `count` at most 1,000.

    `as_of_us` is None for now. `diversity` 0 (best first) to 1.
    """

    count: int = 10
    offset: int = 0
    wanted: Wanted = ANYTHING
    diversity: float = 0.0
    with_terms: bool = False
    as_of_us: int | None = None


class Term(Struct, frozen=True, gc=False):
    """One feature's part of a score."""

    group: str  # a ReasonCode name: EXPERTISE, PLACE, …
    feature: str
    value: float  # NaN when not known
    weight: float


class Reason(Struct, frozen=True, gc=False):
    """The sum of one group's terms, in words."""

    group: str
    weight: float
    text: str


class Item(Struct, frozen=True, gc=False):
    """A lead for a member, or a member for a lead."""

    id: str
    row: int  # global row in the snapshot's table
    score: float
    claim_probability: float | None
    reasons: tuple[Reason, ...]
    distance_km: float | None
    diversity_adjustment: float = 0.0
    terms: tuple[Term, ...] = ()


class RankedList(Struct, frozen=True):
    """The answer to a ListQuery. `removed` counts rows by the filter that took them."""

    items: Page
    more: bool
    mode: ServingMode
    baseline: float
    eligible_count: int
    removed: dict[Verdict, int]
    unknown_candidates: int = 0


@dataclass(frozen=True, slots=True)
class PairScores:
    """Scores of given pairs, in their order. NaN and a verdict where an id is unknown."""

    scores: list[float]
    probabilities: list[float] | None  # None: the model is not calibrated
    verdicts: list[Verdict]


@dataclass(frozen=True, slots=True)
class PairExplanation:
    """Why a member is offered a lead now, or why not."""

    verdicts: tuple[Verdict, ...]  # every filter that stands against the pair, in their order
    rank: int | None  # 0-based place among the eligible candidates that were ranked
    score: float
    claim_probability: float | None
    baseline: float
    reasons: tuple[Reason, ...]
    terms: tuple[Term, ...]
    distance_km: float | None
