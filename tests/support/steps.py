"""Random things that happen to the small world, for hypothesis."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from features.entities import Conflict, EventKind, Lead, LeadState, Organization
from recsvc.store.codec import RecordKind, entity_id
from support.changes import Step
from support.worlds import (
    DAY_US,
    NOW_US,
    ORGANIZATION_IDS,
    make_event,
    make_lead,
    make_member,
    tiny_dataset,
)

members = st.integers(0, 42)
"""m40 … m42 come with the stream."""
leads = st.integers(0, 82)
seeds = st.integers(0, 50)
RULES = ("", "ANY", "OWN", "PARENTS", "CHILDREN;OWN", "NEIGHBOURS", "own; parents")


def _lead(number: int, seed: int, state: LeadState | None, days: int) -> Lead:
    lead = make_lead(number, np.random.default_rng(seed))
    if state is not None:  # only the state of a lead that the bundle knows
        known = tiny_dataset().leads
        base = known[number] if number < len(known) else lead
        return replace(base, state=state, close_time_us=NOW_US + days * DAY_US)
    if seed % 9 == 0:
        return replace(lead, create_time_us=NOW_US + DAY_US)
    return lead


def _organization(at: int, rules: str, parent: str) -> Organization:
    return Organization(ORGANIZATION_IDS[at], "", parent, jurisdiction=rules)


def _conflict(member: int, what: str, lead: int, organization: str) -> Conflict:
    return Conflict(
        f"m{member}",
        lead_id=f"l{lead}" if what == "lead" else "",
        author_id=f"citizen{lead}" if what == "author" else "",
        organization_id=organization if what == "organization" else "",
    )


record_steps: st.SearchStrategy[Step] = st.one_of(
    st.builds(lambda n, seed: make_member(n, np.random.default_rng(seed)), members, seeds),
    st.builds(_lead, leads, seeds, st.none() | st.sampled_from(LeadState), st.integers(-2, 1)),
    st.builds(
        _organization,
        st.integers(1, len(ORGANIZATION_IDS) - 1),
        st.sampled_from(RULES),
        st.sampled_from(ORGANIZATION_IDS),
    ),
    st.builds(
        _conflict,
        members,
        st.sampled_from(("lead", "author", "organization")),
        leads,
        st.sampled_from(ORGANIZATION_IDS[1:]),
    ),
    st.builds(lambda n: (RecordKind.MEMBER, f"m{n}"), members),
    st.builds(lambda n: (RecordKind.LEAD, f"l{n}"), leads),
    st.builds(lambda o: (RecordKind.ORGANIZATION, o), st.sampled_from(ORGANIZATION_IDS[1:])),
    st.builds(
        lambda c: (RecordKind.CONFLICT, entity_id(c)), st.sampled_from(tiny_dataset().conflicts)
    ),
)
event_steps: st.SearchStrategy[Step] = st.builds(
    lambda kind, day, member, lead, reason: make_event(
        kind, NOW_US + day * DAY_US, member, lead, reason if kind is EventKind.DISMISSED else 0
    ),
    st.sampled_from(EventKind),
    st.integers(-3, 5),
    members,
    st.integers(-1, 82),
    st.integers(0, 4),
)
steps: st.SearchStrategy[Step] = st.one_of(record_steps, event_steps)
