"""What a ranked list asks for: eligibility, page, diversity, time."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from recsvc.convert import names, values
from recsvc.errors import InvalidEnumError, InvalidIndexError, InvalidPageSizeError
from recsvc.matching.queries import ANYTHING, Wanted
from recsvc.v1 import recommendation_pb2 as pb

DEFAULT_LIST_SIZE = 10
MAX_LIST_SIZE = 100
DEFAULT_PAGE_SIZE = 100
MAX_PAGE_SIZE = 1_000
MAX_DEPTH = 1_000
"""No list goes deeper than this, over all its pages."""

MAX_BATCH = 1_000
MAX_PAIRS = 5_000
MAX_CANDIDATES = 5_000
MAX_ORGANIZATIONS = 100
MAX_DISTANCE_KM = 20_100.0

_VIEWS = frozenset(pb.View.values())

ListRequest = pb.RecommendLeadsRequest | pb.BatchRecommendLeadsRequest | pb.MatchMembersRequest


class ListOptions(Struct, frozen=True):
    """What every ranked list takes; `diversity` None for the configured default."""

    count: int
    wanted: Wanted
    diversity: float | None
    full: bool
    as_of_us: int | None


def page_size(value: int, default: int, limit: int) -> int:
    """The page size, `default` for 0; raises InvalidPageSizeError."""
    if not 0 <= value <= limit:
        raise InvalidPageSizeError(
            f"page_size is {value}, it must be 0 (for {default}) to {limit:,}", field="page_size"
        )
    return value or default


def list_options(request: ListRequest, tenant: str, collection: str, now_us: int) -> ListOptions:
    """Checked options; `collection` is what the list holds, "leads" or "members"."""
    if request.view not in _VIEWS:
        raise InvalidEnumError(f"view is {request.view}, which is not known", field="view")
    diversity = None
    if request.HasField("diversity"):
        diversity = values.number(request.diversity, 0.0, 1.0, "diversity")
    as_of_us = None
    if request.HasField("as_of_time"):
        as_of_us = values.time_us(request.as_of_time, now_us, "as_of_time")
    wanted = ANYTHING
    if request.HasField("eligibility"):
        with values.within("eligibility."):
            wanted = wanted_from_proto(request.eligibility, tenant, collection)
    return ListOptions(
        page_size(request.page_size, DEFAULT_LIST_SIZE, MAX_LIST_SIZE),
        wanted,
        diversity,
        request.view == pb.VIEW_FULL,
        as_of_us,
    )


def wanted_from_proto(message: pb.Eligibility, tenant: str, collection: str) -> Wanted:
    """What the request restricts itself to; raises the error of the first bad field."""
    values.check_count(message.organizations, MAX_ORGANIZATIONS, "organizations")
    values.check_count(message.candidates, MAX_CANDIDATES, "candidates")
    distance = None
    if message.HasField("max_distance_km"):
        distance = values.number(message.max_distance_km, 0.0, MAX_DISTANCE_KM, "max_distance_km")
    candidates = names.parse_references(message.candidates, tenant, collection, "candidates")
    return Wanted(
        topics=values.topics(message.topics),
        organization_ids=names.parse_references(
            message.organizations, tenant, "organizations", "organizations"
        ),
        region_code=values.region_code(message.region_code),
        max_distance_km=distance,
        candidate_ids=tuple(dict.fromkeys(candidates)) or None,
    )


def pairs(request: pb.ScorePairsRequest, tenant: str) -> list[tuple[str, str]]:
    """(member id, lead id) of each pair; raises InvalidIndex-, TooManyItemsError."""
    for field in ("members", "leads", "member_indexes", "lead_indexes"):
        values.check_count(getattr(request, field), MAX_PAIRS, field)
    member_ids = names.parse_references(request.members, tenant, "members", "members")
    lead_ids = names.parse_references(request.leads, tenant, "leads", "leads")
    if len(request.member_indexes) != len(request.lead_indexes):
        raise InvalidIndexError(
            f"member_indexes has {len(request.member_indexes)} entries, lead_indexes "
            f"{len(request.lead_indexes)}: they must be equally long",
            field="lead_indexes",
        )
    _check_indexes(request.member_indexes, len(member_ids), "member_indexes")
    _check_indexes(request.lead_indexes, len(lead_ids), "lead_indexes")
    return [
        (member_ids[i], lead_ids[j])
        for i, j in zip(request.member_indexes, request.lead_indexes, strict=True)
    ]


def _check_indexes(indexes: Sequence[int], count: int, field: str) -> None:
    for place, index in enumerate(indexes):
        if not 0 <= index < count:
            raise InvalidIndexError(
                f"{field}[{place}] is {index}, but the list it points into has {count} entries",
                field=f"{field}[{place}]",
            )
