"""What the client gives back and takes beside the entities: frozen, without transport types.

Ids are the platform's own, without the `tenants/…/` around them. Codes (`REASON`, `MODE`, …) are
the names of the contract's enums without their prefix, as text: a newer server may send others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from features.entities import Lead, Member
from recsvc.errors import ServiceError, service_errors


@dataclass(frozen=True, slots=True)
class Eligibility:
    """Which leads or members a request wants; all conditions that are given must hold.

    `candidate_ids` are ids of leads (recommend) or members (match), at most 5,000; None for any.
    """

    topics: tuple[str, ...] = ()
    organization_ids: tuple[str, ...] = ()
    region_code: str = ""
    max_distance_km: float | None = None
    candidate_ids: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Reason:
    """One line in Chinese, and the part of the score it stands for."""

    code: str  # EXPERTISE, PLACE, INTEREST, FRESHNESS, URGENCY, WILLINGNESS, APPEAL, COMBINATION
    weight: float
    text: str


@dataclass(frozen=True, slots=True)
class ScoreTerm:
    """One feature's part of a score; `value` is NaN when it is not known."""

    code: str
    feature: str
    value: float
    weight: float


@dataclass(frozen=True, slots=True)
class RankedLead:
    """A lead for a member. `lead` and `terms` come with `full=True` only."""

    lead_id: str
    position: int
    """0-based place in the whole list; send it back in `Event.position`."""
    score: float
    claim_probability: float | None
    """Calibrated, 0 to 1; None when the model's log had no exposures."""
    reasons: tuple[Reason, ...]
    distance_km: float | None
    diversity_adjustment: float = 0.0
    lead: Lead | None = None
    terms: tuple[ScoreTerm, ...] = ()


@dataclass(frozen=True, slots=True)
class RankedMember:
    """A member for a lead. `member` and `terms` come with `full=True` only."""

    member_id: str
    position: int
    score: float
    claim_probability: float | None
    reasons: tuple[Reason, ...]
    distance_km: float | None
    diversity_adjustment: float = 0.0
    member: Member | None = None
    terms: tuple[ScoreTerm, ...] = ()


@dataclass(frozen=True, slots=True)
class ReplyInfo:
    """What a ranked list says about itself."""

    attribution_token: str
    """Put it into the events that follow, and into `explain_reply`."""
    model_version: str
    revision: str
    serving_mode: str  # PERSONALIZED, COLD_START, POPULARITY
    baseline: float
    eligible_count: int
    removed: Mapping[str, int] = field(default_factory=dict)
    """How many candidates each filter took out: CLOSED, AUTHOR, DISMISSED, …"""
    next_page_token: str = ""


@dataclass(frozen=True, slots=True)
class LeadList:
    """Leads for a member, best first."""

    leads: tuple[RankedLead, ...]
    info: ReplyInfo

    def __iter__(self) -> Iterator[RankedLead]:
        return iter(self.leads)

    def __len__(self) -> int:
        return len(self.leads)


@dataclass(frozen=True, slots=True)
class MemberList:
    """Members for a lead, best first."""

    members: tuple[RankedMember, ...]
    info: ReplyInfo

    def __iter__(self) -> Iterator[RankedMember]:
        return iter(self.members)

    def __len__(self) -> int:
        return len(self.members)


@dataclass(frozen=True, slots=True)
class RowError:
    """One row of a batch that was refused; the others are not affected.

    `row_index` counts from 0 over everything the caller passed.
    """

    row_index: int
    reason: str
    field: str
    message: str
    row_id: str

    @property
    def error(self) -> ServiceError:
        """The same as the exception a single call would have raised."""
        kind = service_errors().get(self.reason, ServiceError)
        return kind(self.message, field=self.field)


@dataclass(frozen=True, slots=True)
class MemberOutcome:
    """What one member of a batch gets: either leads or an error."""

    member_id: str
    leads: LeadList | None
    error: RowError | None = None


@dataclass(frozen=True, slots=True)
class PairScore:
    """Score of a given pair; NaN when it could not be scored. A masked pair has a score too."""

    member_id: str
    lead_id: str
    score: float
    claim_probability: float | None
    filter_reason: str  # "" when nothing stands against the pair


@dataclass(frozen=True, slots=True)
class Blocked:
    """A filter that stands against a pair; `text` is Chinese."""

    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a member is offered a lead, or why not; `score` = `baseline` + the terms' weights."""

    member_id: str
    lead_id: str
    shown: bool
    blocked_by: tuple[Blocked, ...]
    score: float
    claim_probability: float | None
    baseline: float
    terms: tuple[ScoreTerm, ...]
    reasons: tuple[Reason, ...]
    rank: int | None
    """1-based among the leads that pass every filter."""
    eligible_count: int
    serving_mode: str
    model_version: str
    revision: str
    decision_time_us: int
    plan_reason: str = ""
    """Of a push: why the plan chose it, in Chinese."""
    push_state: str = ""
    """Of a push: WAITING, DELIVERED or DROPPED."""


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What became of imported rows; `errors` holds the first 1,000 that were refused."""

    row_count: int = 0
    imported_count: int = 0
    rejected_count: int = 0
    errors: tuple[RowError, ...] = ()
    revision: str = ""


@dataclass(frozen=True, slots=True)
class EventReport:
    """What became of events; `repeated_count` were known already, with the same content.

    `errors` holds the first 1,000 that were refused.
    """

    recorded_count: int = 0
    repeated_count: int = 0
    rejected_count: int = 0
    errors: tuple[RowError, ...] = ()
    revision: str = ""
