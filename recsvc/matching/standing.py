"""Everything that stands against one pair: what an auditor asks, where a list asks for the first.

The masks of `filters` and `masks` stop at the first rule that takes a row, because they look at
thousands of rows. This looks at one pair and goes through all of them, in the same order.
"""

from __future__ import annotations

import numpy as np

from features.entities import LeadState
from recsvc.matching.filters import Eligibility, restrict_leads
from recsvc.model.arrays import LeadColumns
from recsvc.model.history import VERDICT_OF_KIND
from recsvc.model.open_leads import CLOCK_AHEAD_US
from recsvc.model.snapshot import Snapshot
from recsvc.model.verdicts import Verdict


def all_verdicts(
    snapshot: Snapshot, member_row: int, lead_row: int, wanted: Eligibility, now_us: int
) -> tuple[Verdict, ...]:
    """Every filter that stands against a pair (global rows) as of `now_us`, in the order asked.

    Empty when nothing does; its first is the verdict of `mask_leads`.
    """
    leads, lead = snapshot.leads.locate(lead_row)
    found = [
        *_of_lead(leads, lead, now_us),
        *_of_both(snapshot, member_row, leads, lead),
        *_of_past(snapshot, member_row, lead_row),
    ]
    if wanted.restricts and not _fits(snapshot, member_row, leads, lead, wanted):
        found.append(Verdict.NOT_ELIGIBLE)
    return tuple(dict.fromkeys(found))


def _of_lead(leads: LeadColumns, lead: int, now_us: int) -> list[Verdict]:
    latest_us = now_us + CLOCK_AHEAD_US
    over = leads.state[lead] != LeadState.OPEN and leads.close_time_us[lead] <= latest_us
    claimed = leads.state[lead] == LeadState.CLAIMED
    rules = {
        Verdict.DELETED: leads.alive[lead] == 0,
        Verdict.CLOSED: over and not claimed,
        Verdict.CAPACITY: (over and claimed) or leads.capacity_left[lead] == 0,
        Verdict.NOT_YET_CREATED: leads.create_time_us[lead] > latest_us,
    }
    return [verdict for verdict, holds in rules.items() if holds]


def _of_both(snapshot: Snapshot, member_row: int, leads: LeadColumns, lead: int) -> list[Verdict]:
    members, member = snapshot.members.locate(member_row)
    recusal = snapshot.recusals.mask(snapshot.members.identifier(member_row))
    key, author = int(leads.key[lead]), int(leads.author_key[lead])
    organization = int(leads.organization[lead])
    visible = snapshot.organizations.visible_leads(int(members.organization[member]))
    rules = {
        Verdict.CONFLICT: recusal.covers(key, author, organization),
        Verdict.AUTHOR: author == members.key[member],
        Verdict.JURISDICTION: visible[organization] == 0,
        Verdict.INACTIVE: not members.active[member],
    }
    return [verdict for verdict, holds in rules.items() if holds]


def _of_past(snapshot: Snapshot, member_row: int, lead_row: int) -> list[Verdict]:
    """What the pair's own events forbid, the last one first."""
    member_id = snapshot.members.identifier(member_row)
    lead_id = snapshot.leads.identifier(lead_row)
    bundle = snapshot.bundle
    kinds = snapshot.history.kinds(
        member_id, bundle.member_ids.get(member_id), lead_id, bundle.lead_ids.get(lead_id)
    )
    return [VERDICT_OF_KIND[kind] for kind in reversed(kinds) if kind in VERDICT_OF_KIND]


def _fits(
    snapshot: Snapshot, member_row: int, leads: LeadColumns, lead: int, wanted: Eligibility
) -> bool:
    members, member = snapshot.members.locate(member_row)
    one = LeadColumns._make(column[lead : lead + 1] for column in leads)
    verdict = np.zeros(1, np.uint8)
    restrict_leads(
        verdict, one, wanted, members.latitude_rad[member], members.longitude_rad[member]
    )
    return bool(verdict[0] == Verdict.KEPT)
