"""Columns and keys: every column is there, with the width it promises."""

from __future__ import annotations

import subprocess
import sys

import numpy as np

from recsvc.model.arrays import (
    UNLIMITED,
    LeadColumns,
    MemberColumns,
    Widths,
    empty_leads,
    empty_members,
    stable_key,
)

WIDTHS = Widths(vector=3, text=5)


def test_empty_columns_say_that_nothing_is_known() -> None:
    members, leads = empty_members(4, WIDTHS), empty_leads(4, WIDTHS)
    assert members.vector.shape == (4, 3)
    assert members.text.shape == members.interest_text.shape == (4, 5)
    assert leads.vector.shape == (4, 3)
    assert leads.text.shape == (4, 5)
    for columns in (members, leads):
        for name, column in columns._asdict().items():
            assert len(column) == 4, name
            assert column.flags.writeable, name
    assert np.isnan(members.latitude_rad).all()
    assert np.isnan(leads.longitude_rad).all()
    assert (members.topics == -1).all()
    assert (leads.region == -1).all()
    assert (leads.capacity_left == UNLIMITED).all()
    assert (leads.state == 1).all()
    assert (members.active == 1).all()


def test_no_rows_are_columns_too() -> None:
    assert all(len(c) == 0 for c in empty_members(0, WIDTHS))
    assert all(len(c) == 0 for c in empty_leads(0, WIDTHS))


def test_the_columns_are_as_declared() -> None:
    """A column added to the tuple, but not to its spec (or the other way round), is found here."""
    assert len(empty_members(1, WIDTHS)) == len(MemberColumns._fields)
    assert len(empty_leads(1, WIDTHS)) == len(LeadColumns._fields)
    assert empty_leads(1, WIDTHS).urgency.dtype == np.uint8
    assert empty_members(1, WIDTHS).region.shape == (1, 4, 4)


def test_keys_are_the_same_in_every_process_and_zero_for_nobody_only() -> None:
    assert stable_key("") == 0
    keys = [stable_key(f"m{i}") for i in range(10_000)]
    assert len(set(keys)) == 10_000
    assert 0 not in keys
    assert all(-(2**63) <= k < 2**63 for k in keys)
    code = "from recsvc.model.arrays import stable_key; print(stable_key('委员1'))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(found.stdout) == stable_key("委员1")
