"""From the ids and codes of a request to the rows and keys that masks compare."""

from __future__ import annotations

from features.errors import DataError
from features.regions import level_codes
from recsvc.errors import InvalidRegionCodeError
from recsvc.matching import filters, queries
from recsvc.matching.filters import Eligibility
from recsvc.matching.queries import Wanted
from recsvc.model.arrays import LeadColumns, MemberColumns, stable_key
from recsvc.model.segments import Table
from recsvc.model.snapshot import Snapshot

_MOST_SETS = 64
"""Sets of candidates whose keys are kept: a thousand ids take 0.1 MB."""

_NOTHING = -2
"""A row that no array holds: a restriction to unknown things fits nothing."""


def resolve(
    snapshot: Snapshot, wanted: Wanted, table: Table[LeadColumns] | Table[MemberColumns]
) -> tuple[Eligibility, int]:
    """The eligibility of a request, and how many of its candidates `table` does not know.

    Raises InvalidRegionCodeError.
    """
    if wanted is queries.ANYTHING:
        return filters.ANYTHING, 0
    names = snapshot.bundle.space.topics.names
    topics = tuple(names.get(t) for t in wanted.topics if t in names)
    organizations = tuple(snapshot.organizations.find(o) for o in wanted.organization_ids)
    region, level = _region(wanted.region_code)
    candidates, unknown = None, 0
    if wanted.candidate_ids is not None:
        unknown = sum(table.row(c) < 0 for c in wanted.candidate_ids)
        candidates = _keys(snapshot.candidate_keys, wanted.candidate_ids)
    eligibility = Eligibility(
        topics=topics or ((_NOTHING,) if wanted.topics else ()),
        organizations=tuple(o if o >= 0 else _NOTHING for o in organizations),
        region=region,
        region_level=level,
        max_distance_km=float("inf") if wanted.max_distance_km is None else wanted.max_distance_km,
        candidate_keys=candidates,
    )
    return eligibility, unknown


def _keys(kept: dict[tuple[str, ...], frozenset[int]], ids: tuple[str, ...]) -> frozenset[int]:
    """The stable keys of ids: a digest each, and many members are asked for with one set."""
    keys = kept.get(ids)
    if keys is None:
        if len(kept) >= _MOST_SETS:
            kept.clear()
        keys = kept[ids] = frozenset(map(stable_key, ids))
    return keys


def _region(code: str) -> tuple[int, int]:
    """(integer code, level) of the deepest level a code names, (-1, 0) for no code."""
    if not code:
        return -1, 0
    try:
        levels = level_codes(code)
    except DataError as error:
        raise InvalidRegionCodeError(str(error), field="eligibility.region_code") from error
    level = max((i for i, value in enumerate(levels) if value >= 0), default=0)
    return levels[level], level
