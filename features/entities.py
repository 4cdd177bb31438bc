"""The things the service is about: members, leads, organizations, conflicts, events.

Every layer above speaks in these types. Times are integer microseconds since the Unix epoch, UTC
(`*_time_us`, 0 when unknown); coordinates are degrees, None when unknown; `""` means "not given".
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class EventKind(IntEnum):
    """What happened between a member and a lead (numbers equal the protobuf enum's)."""

    PUSHED = 1
    SHOWN = 2
    OPENED = 3
    COMMENTED = 4
    SUPPORTED = 5
    AUTHORED = 6
    CLAIMED = 7
    RELEASED = 8
    TRANSFERRED = 9
    RESOLVED = 10
    RATED = 11
    DISMISSED = 12
    SEE_LESS = 13


EXPOSURES = frozenset({EventKind.PUSHED, EventKind.SHOWN})
INTERESTS = frozenset(
    {EventKind.OPENED, EventKind.COMMENTED, EventKind.SUPPORTED, EventKind.AUTHORED}
)
ACTIONS = frozenset(
    {
        EventKind.CLAIMED,
        EventKind.RELEASED,
        EventKind.TRANSFERRED,
        EventKind.RESOLVED,
        EventKind.RATED,
    }
)
REFUSALS = frozenset({EventKind.DISMISSED, EventKind.SEE_LESS})


class DismissReason(IntEnum):
    """Why a member refused a lead (numbers equal the protobuf enum's)."""

    UNSPECIFIED = 0
    NOT_MY_FIELD = 1
    TOO_FAR = 2
    BUSY = 3
    DUPLICATE = 4


class LeadState(IntEnum):
    """Where a lead is in its life (numbers equal the protobuf enum's)."""

    OPEN = 1
    CLAIMED = 2
    CLOSED = 3
    WITHDRAWN = 4


@dataclass(frozen=True, slots=True)
class Place:
    """One of a member's places: HOME, WORK or STUDIO (工作室)."""

    kind: str = "HOME"
    latitude: float | None = None
    longitude: float | None = None
    region_code: str = ""


@dataclass(frozen=True, slots=True)
class Member:
    """A person who may take on leads."""

    member_id: str
    organization_id: str = ""
    name: str = ""
    sector: str = ""
    expertise: str = ""
    topics: tuple[str, ...] = ()
    region_code: str = ""
    latitude: float | None = None
    longitude: float | None = None
    places: tuple[Place, ...] = ()
    weekly_push_limit: int | None = None
    active: bool = True
    join_time_us: int = 0


@dataclass(frozen=True, slots=True)
class Lead:
    """A small concrete issue that somebody should take on."""

    lead_id: str
    create_time_us: int = 0
    organization_id: str = ""
    source: str = ""
    author_id: str = ""
    title: str = ""
    body: str = ""
    topics: tuple[str, ...] = ()
    region_code: str = ""
    latitude: float | None = None
    longitude: float | None = None
    urgency: int = 0
    support_count: int = 0
    state: LeadState = LeadState.OPEN
    close_time_us: int = 0
    claim_capacity: int | None = None


@dataclass(frozen=True, slots=True)
class Organization:
    """A node of the tenant's organization tree.

    `jurisdiction` holds `;`-separated rules out of OWN, PARENTS, CHILDREN, NEIGHBOURS, ANY: whose
    leads this organization's members may be offered. Empty means ANY.
    """

    organization_id: str
    name: str = ""
    parent_id: str = ""
    level: int = 0
    region_code: str = ""
    jurisdiction: str = ""
    push_schedule: str = ""
    time_zone: str = "Asia/Shanghai"
    quiet_hours: str = ""


@dataclass(frozen=True, slots=True)
class Conflict:
    """A recusal (回避): never offer the member that lead, author's or organization's leads."""

    member_id: str
    lead_id: str = ""
    author_id: str = ""
    organization_id: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the participation log. `position` is 0-based, -1 when unknown."""

    kind: EventKind
    time_us: int
    member_id: str
    lead_id: str = ""
    event_id: str = ""
    position: int = -1
    attribution_token: str = ""
    push_id: str = ""
    wave: int = 0
    propensity: float | None = None
    model_version: str = ""
    rating: float | None = None
    reason: DismissReason = DismissReason.UNSPECIFIED
    topic: str = ""
