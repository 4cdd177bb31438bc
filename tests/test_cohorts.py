"""The slices that the gate has floors for."""

from __future__ import annotations

import numpy as np
from support.worlds import tiny_state

from recsvc.model.arrays import Widths, empty_leads, empty_members
from training.cohorts import HISTORIES, RURAL, URBAN, member_cohorts, untouched


def test_every_member_is_in_one_slice_by_history() -> None:
    members = tiny_state().members
    found = dict(member_cohorts(members, np.arange(40, dtype=np.int32)))
    parts = np.stack([found[name] for name, _, _ in HISTORIES])
    assert (parts.sum(axis=0) == 1).all()
    assert (members.events[np.flatnonzero(found["0 events"])] == 0).all()


def test_counties_are_told_from_districts_and_cities_by_their_codes() -> None:
    members = empty_members(5, Widths(1, 1))
    members.region[:, 0, 2] = 430104, 430121, 430181, 430280, -1
    found = dict(member_cohorts(members, np.array([4, 3, 2, 1, 0], np.int32)))
    assert found[RURAL].tolist() == [False, True, False, True, False]
    assert found[URBAN].tolist() == [False, False, True, False, True]


def test_leads_that_were_met_or_shown_are_not_new() -> None:
    leads = empty_leads(3, Widths(1, 1))
    leads.events[0], leads.exposures[1] = 1.0, 1.0
    assert untouched(leads).tolist() == [False, False, True]
