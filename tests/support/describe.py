"""All that a snapshot knows of everybody, by id, so that two snapshots can be compared."""

from __future__ import annotations

from typing import Any

import numpy as np

from recsvc.model.arrays import LeadColumns, MemberColumns
from recsvc.model.segments import Table
from recsvc.model.snapshot import Snapshot

Description = dict[tuple[str, str, str], Any]


def describe(snapshot: Snapshot) -> Description:
    """(table, id, column) -> value, of every living row; organizations by id, not by row."""
    found: Description = {}
    tables: tuple[tuple[str, Table[MemberColumns] | Table[LeadColumns]], ...] = (
        ("member", snapshot.members),
        ("lead", snapshot.leads),
    )
    for kind, table in tables:
        for identifier in table.identifiers():
            row = table.row(identifier)
            columns, local = table.locate(row)
            for name, column in columns._asdict().items():
                found[kind, identifier, name] = np.array(column[local])
            organization = int(columns.organization[local])
            names = (*snapshot.organizations.ids, "")
            found[kind, identifier, "organization"] = names[organization]
            found[kind, identifier, "record"] = table.record(row)
    return found


def assert_same(
    ours: Snapshot | Description, theirs: Snapshot | Description, atol: float = 1e-5
) -> None:
    """Both know the same; floats within `atol`."""
    mine, others = (s if isinstance(s, dict) else describe(s) for s in (ours, theirs))
    assert mine.keys() == others.keys()
    for key, value in mine.items():
        if isinstance(value, str | bytes):
            assert value == others[key], key
        else:
            np.testing.assert_allclose(value, others[key], atol=atol, err_msg=str(key))
