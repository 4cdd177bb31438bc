"""What a pair's features read of a row and no day changes, side by side: one record a row.

A lead's is two cache lines, a member's nine: read from a column each they were thirty, of which
each had to be fetched and its page looked up (two thirds of the time of ranking 64 pairs). Places
are points on the unit sphere, because a distance between points takes no sine.

Counters and sums that events move are not in here: kernels read their columns. Rows that came after
the bundle get their records when they are asked for.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from recsvc.model.arrays import (
    F32,
    F64,
    I32,
    I64,
    LEAD_TOPICS,
    MEMBER_TOPICS,
    OWN_TEXTS,
    PLACES,
    LeadColumns,
    MemberColumns,
)

# Where the parts of a member's record begin, in their own type. Points: homes, then activity.
POINTS = 0  # float64[8, 3], NaN unknown
SHARE = 48  # float32[4]
REGION = SHARE + PLACES  # int32[4, 4]
TOPICS = REGION + 4 * PLACES  # int32[16]
TOPIC_WEIGHTS = TOPICS + MEMBER_TOPICS  # float32[16]
INTEREST = TOPIC_WEIGHTS + MEMBER_TOPICS  # int32[16]
INTEREST_WEIGHTS = INTEREST + MEMBER_TOPICS  # float32[16]
OWN_SCALE = INTEREST_WEIGHTS + MEMBER_TOPICS  # float32[8]
SECTOR = OWN_SCALE + OWN_TEXTS  # int32
ORGANIZATION = SECTOR + 1  # int32
WILLINGNESS = ORGANIZATION + 1  # float32
_MEMBER_BYTES = 576

# Of a lead's.
LEAD_POINT = 0  # float64[3], NaN unknown
LEAD_CREATED = 3  # int64 µs
LEAD_TOPIC = 8  # int32[8]
LEAD_WEIGHT = LEAD_TOPIC + LEAD_TOPICS  # float32[8]
LEAD_REGION = LEAD_WEIGHT + LEAD_TOPICS  # int32[4]
LEAD_ORGANIZATION = LEAD_REGION + 4  # int32
LEAD_NEIGHBOUR = LEAD_ORGANIZATION + 1  # int32
LEAD_APPEAL = LEAD_NEIGHBOUR + 1  # float32
LEAD_CONTENT = LEAD_APPEAL + 1  # float32
_LEAD_BYTES = 128


class Facts(NamedTuple):
    """The records of n rows, and the same memory read as the types of their parts."""

    exact: F64  # [n, bytes / 8]
    time: I64  # [n, bytes / 8]
    number: F32  # [n, bytes / 4]
    whole: I32  # [n, bytes / 4]

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """The memory, once."""
        return {"record": self.exact}

    @staticmethod
    def from_arrays(arrays: dict[str, NDArray[np.generic]]) -> Facts | None:
        """None when the arrays are those of another kind."""
        record = arrays.get("record")
        return None if record is None else facts_of(record.view(np.float64))


def facts_of(record: F64) -> Facts:
    """Records (float64[n, bytes / 8]) with their views."""
    return Facts(record, record.view(np.int64), record.view(np.float32), record.view(np.int32))


def member_facts(members: MemberColumns) -> Facts:
    """The records of all members."""
    facts = facts_of(np.zeros((len(members.alive), _MEMBER_BYTES // 8)))
    fill_members(members, np.arange(len(members.alive), dtype=np.int32), facts)
    return facts


def lead_facts(leads: LeadColumns) -> Facts:
    """The records of all leads."""
    facts = facts_of(np.zeros((len(leads.alive), _LEAD_BYTES // 8)))
    fill_leads(leads, np.arange(len(leads.alive), dtype=np.int32), facts)
    return facts


@njit(cache=True)
def empty_member_facts(count: int) -> Facts:
    """Room for the records of so many members."""
    return _facts(np.zeros((count, _MEMBER_BYTES // 8)))


@njit(cache=True)
def empty_lead_facts(count: int) -> Facts:
    """Room for the records of so many leads."""
    return _facts(np.zeros((count, _LEAD_BYTES // 8)))


@njit(cache=True)
def _facts(record: F64) -> Facts:
    return Facts(record, record.view(np.int64), record.view(np.float32), record.view(np.int32))


@njit(cache=True, nogil=True)
def fill_members(members: MemberColumns, rows: I32, facts: Facts) -> None:
    """Writes the records of members (int32[n]) into the first n."""
    exact, number, whole = facts.exact, facts.number, facts.whole
    for i in range(len(rows)):
        m = rows[i]
        for p in range(PLACES):
            _point(
                exact, i, POINTS + 3 * p, members.latitude_rad[m, p], members.longitude_rad[m, p]
            )
            latitude = members.activity_latitude_rad[m, p]
            longitude = members.activity_longitude_rad[m, p]
            _point(exact, i, POINTS + 3 * (PLACES + p), latitude, longitude)
            number[i, SHARE + p] = members.activity_share[m, p]
            for level in range(4):
                whole[i, REGION + 4 * p + level] = members.region[m, p, level]
        for t in range(MEMBER_TOPICS):
            whole[i, TOPICS + t] = members.topics[m, t]
            number[i, TOPIC_WEIGHTS + t] = members.topic_weights[m, t]
            whole[i, INTEREST + t] = members.interest_topics[m, t]
            number[i, INTEREST_WEIGHTS + t] = members.interest_topic_weights[m, t]
        for t in range(OWN_TEXTS):
            number[i, OWN_SCALE + t] = members.own_text_scale[m, t]
        whole[i, SECTOR] = members.sector[m]
        whole[i, ORGANIZATION] = members.organization[m]
        number[i, WILLINGNESS] = members.willingness[m]


@njit(cache=True, nogil=True)
def fill_leads(leads: LeadColumns, rows: I32, facts: Facts) -> None:
    """Writes the records of leads (int32[n]) into the first n."""
    exact, time, number, whole = facts.exact, facts.time, facts.number, facts.whole
    for i in range(len(rows)):
        j = rows[i]
        _point(exact, i, LEAD_POINT, leads.latitude_rad[j], leads.longitude_rad[j])
        time[i, LEAD_CREATED] = leads.create_time_us[j]
        for t in range(LEAD_TOPICS):
            whole[i, LEAD_TOPIC + t] = leads.topics[j, t]
            number[i, LEAD_WEIGHT + t] = leads.topic_weights[j, t]
        for level in range(4):
            whole[i, LEAD_REGION + level] = leads.region[j, level]
        whole[i, LEAD_ORGANIZATION] = leads.organization[j]
        whole[i, LEAD_NEIGHBOUR] = leads.neighbour_row[j]
        number[i, LEAD_APPEAL] = leads.appeal[j]
        number[i, LEAD_CONTENT] = leads.content_appeal[j]


@njit(cache=True, inline="always")
def _point(exact: F64, i: int, at: int, latitude_rad: float, longitude_rad: float) -> None:
    latitude, longitude = np.float64(latitude_rad), np.float64(longitude_rad)
    flat = np.cos(latitude)
    exact[i, at] = flat * np.cos(longitude)
    exact[i, at + 1] = flat * np.sin(longitude)
    exact[i, at + 2] = np.sin(latitude)
