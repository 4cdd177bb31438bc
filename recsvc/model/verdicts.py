"""Why a pair is not offered: one code for each hard mask."""

from __future__ import annotations

from enum import IntEnum


class Verdict(IntEnum):
    """Why a pair is not offered; KEPT when it is."""

    KEPT = 0
    DELETED = 1
    CLOSED = 2
    CAPACITY = 3
    AUTHOR = 4
    CONFLICT = 5
    JURISDICTION = 6
    INACTIVE = 7
    DISMISSED = 8
    ALREADY_TAKEN = 9
    SEE_LESS = 10
    NOT_ELIGIBLE = 11
    NOT_YET_CREATED = 12
