"""Hard masks: who may be offered what. A mask is never a score term.

Each filter has one code; a row's verdict is the code of the first filter that removes it, KEPT when
none does, so that an empty reply can say how many rows each filter took. From either side of a pair
the filters come in one order: deleted, closed, capacity, not yet created, conflict, author,
jurisdiction, inactive, then what the pair's own history forbids.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from features.location import EARTH_RADIUS_KM, haversine_km
from recsvc.model.arrays import F32, I32, I64, U8, LeadColumns, MemberColumns
from recsvc.model.open_leads import lead_verdict
from recsvc.model.recusals import holds
from recsvc.model.verdicts import Verdict

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Eligibility:
    """What a request restricts itself to; empty = no restriction.

    `region` is the integer code of `region_level` (0 province … 3 town); candidates are stable
    keys.
    """

    topics: tuple[int, ...] = ()
    organizations: tuple[int, ...] = ()
    region: int = -1
    region_level: int = 0
    max_distance_km: float = float("inf")
    candidate_keys: frozenset[int] | None = None

    @property
    def restricts(self) -> bool:
        """Whether anything is restricted at all."""
        return self is not ANYTHING and self != ANYTHING


ANYTHING = Eligibility()
"""No restriction."""


@njit(cache=True)
def lead_verdicts(
    leads: LeadColumns,
    rows: I64,
    member_key: int,
    jurisdiction: U8,
    recused_leads: I64,
    recused_authors: I64,
    recused_organizations: I64,
    now_us: int,
) -> U8:
    """Verdicts (uint8[n]) of one member's masks on n leads (rows int64[n]), as of `now_us`.

    `jurisdiction` uint8[organizations + 1] says whose leads the member may see; its last entry is
    for leads without an organization (row -1).
    """
    out = np.zeros(len(rows), np.uint8)
    recused = len(recused_leads) + len(recused_authors) + len(recused_organizations) > 0
    for i in range(len(rows)):
        j = rows[i]
        out[i] = lead_verdict(leads, j, now_us)
        if out[i] != 0:
            continue
        if recused and (
            holds(recused_leads, leads.key[j])
            or holds(recused_authors, leads.author_key[j])
            or holds(recused_organizations, leads.organization[j])
        ):
            out[i] = 5
        elif leads.author_key[j] == member_key:
            out[i] = 4
        elif jurisdiction[leads.organization[j]] == 0:
            out[i] = 6
    return out


@njit(cache=True)
def member_verdicts(members: MemberColumns, author_key: int, jurisdiction: U8) -> U8:
    """Verdicts (uint8[n]) of one open lead's masks on every member, but for recusals.

    `jurisdiction` uint8[organizations + 1] says whose members may see the lead.
    """
    n = len(members.alive)
    out = np.zeros(n, np.uint8)
    for i in range(n):
        if members.alive[i] == 0:
            out[i] = 1
        elif members.key[i] == author_key:
            out[i] = 4
        elif jurisdiction[members.organization[i]] == 0:
            out[i] = 6
        elif members.active[i] == 0:
            out[i] = 7
    return out


def restrict_leads(
    verdicts: U8, leads: LeadColumns, wanted: Eligibility, latitude: F32, longitude: F32
) -> None:
    """Marks (in place) each kept lead that the request does not ask for.

    `latitude`, `longitude` float32[4] in radians: the member's places.
    """
    rows = np.flatnonzero(verdicts == Verdict.KEPT)
    asked = wanted_leads(leads, rows, wanted, latitude, longitude)
    verdicts[rows[~asked]] = Verdict.NOT_ELIGIBLE


def wanted_leads(
    leads: LeadColumns, rows: I64, wanted: Eligibility, latitude: F32, longitude: F32
) -> Bools:
    """Which leads (rows int64[n]) the request asks for; places as in `restrict_leads`."""
    keep = _common(leads.key, leads.topics, leads.organization, leads.region[:, None], rows, wanted)
    own = leads.latitude_rad[:, None], leads.longitude_rad[:, None]
    return _near(*own, rows, keep, latitude, longitude, wanted.max_distance_km)


def restrict_members(
    verdicts: U8, members: MemberColumns, wanted: Eligibility, latitude: float, longitude: float
) -> None:
    """Marks (in place) each kept member that the request does not ask for.

    `latitude`, `longitude` in radians: the lead's place, NaN unknown.
    """
    rows = np.flatnonzero(verdicts == Verdict.KEPT)
    asked = wanted_members(members, rows, wanted, latitude, longitude)
    verdicts[rows[~asked]] = Verdict.NOT_ELIGIBLE


def wanted_members(
    members: MemberColumns, rows: I64, wanted: Eligibility, latitude: float, longitude: float
) -> Bools:
    """Which members (rows int64[n]) the request asks for; the place as in `restrict_members`."""
    keep = _common(members.key, members.topics, members.organization, members.region, rows, wanted)
    here = np.array([latitude], np.float32), np.array([longitude], np.float32)
    own = members.latitude_rad, members.longitude_rad
    return _near(*own, rows, keep, *here, wanted.max_distance_km)


def _common(
    keys: I64, topics: I32, organization: I32, region: I32, rows: I64, wanted: Eligibility
) -> Bools:
    asked = np.array(wanted.topics, np.int32), np.array(wanted.organizations, np.int32)
    keep = _fits(topics, organization, region, rows, *asked, wanted.region, wanted.region_level)
    if wanted.candidate_keys is not None:
        keep &= np.isin(keys[rows], np.fromiter(wanted.candidate_keys, np.int64))
    return keep


@njit(cache=True)
def _fits(
    topics: I32,
    organization: I32,
    region: I32,
    rows: I64,
    wanted_topics: I32,
    wanted_organizations: I32,
    wanted_region: int,
    level: int,
) -> Bools:
    """Whether rows have one of the topics, organizations and places (region int32[n, p, 4])."""
    keep = np.zeros(len(rows), np.bool_)
    for i in range(len(rows)):
        row = rows[i]
        of_topic, of_organization = len(wanted_topics) == 0, len(wanted_organizations) == 0
        of_region = wanted_region < 0
        for topic in wanted_topics:
            for place in range(topics.shape[1]):  # not `for own in topics[row]`: twice the time
                of_topic |= topics[row, place] == topic
        for one in wanted_organizations:
            of_organization |= organization[row] == one
        for place in range(region.shape[1] if not of_region else 0):
            of_region |= region[row, place, level] == wanted_region
        keep[i] = of_topic and of_organization and of_region
    return keep


@njit(cache=True)
def _near(
    latitude: F32,
    longitude: F32,
    rows: I64,
    keep: Bools,
    to_latitude: F32,
    to_longitude: F32,
    most_km: float,
) -> Bools:
    """Which rows of those kept have a place (float32[n, p], radians) at most so far from one of
    those given (float32[q]); unknown is not near, unless any distance will do.
    """
    if not np.isfinite(most_km):
        return keep
    out = np.zeros(len(rows), np.bool_)
    # Most are told by their latitude alone; the margin is for rounding.
    band = most_km / EARTH_RADIUS_KM * (1.0 + 1e-6) + 1e-9
    for i in range(len(rows)):
        row = rows[i]
        for place in range(latitude.shape[1] if keep[i] else 0):
            lat, lon = np.float64(latitude[row, place]), np.float64(longitude[row, place])
            for to in range(len(to_latitude)):
                if abs(lat - to_latitude[to]) <= band:
                    to_lat, to_lon = np.float64(to_latitude[to]), np.float64(to_longitude[to])
                    out[i] |= haversine_km(to_lat, to_lon, lat, lon) <= most_km
    return out


def count_removed(verdicts: U8) -> dict[Verdict, int]:
    """How many rows each filter removed; rows of deleted or moved entities are not counted."""
    counts = np.bincount(verdicts, minlength=len(Verdict))
    return {v: int(counts[v]) for v in Verdict if v > Verdict.DELETED and counts[v]}
