"""The ranker's tables in the form in which a scan over members reads them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from recsvc.model.additive import AdditiveModel, table_value
from recsvc.model.arrays import F32
from recsvc.model.scan_tables import ScanTables
from recsvc.model.terms import INDEX

_HOME = INDEX["distance_log_km"]


class MemberTables(NamedTuple):
    """What the ranker says of where a member lives, ready to look up: see `ScanTables`."""

    home: F32  # [528]
    home_unknown: float  # term of a member whose place is not known
    levels: F32  # [5]
    organization: F32  # [3]


def member_tables(model: AdditiveModel, tables: ScanTables) -> MemberTables:
    """The tables of one ranker."""
    unknown = table_value(model, _HOME, np.nan)
    return MemberTables(tables.home, unknown, tables.levels, tables.organization)
