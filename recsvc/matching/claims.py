"""Claims in a snapshot: how much of a lead's capacity is left, and who may not hold it at all."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from features.entities import Lead
from recsvc.matching.masks import forbidden_leads
from recsvc.model.snapshot import Snapshot
from recsvc.model.verdicts import Verdict
from recsvc.store.codec import decode_entity


def set_holders(snapshot: Snapshot, counts: Mapping[str, int]) -> None:
    """So many members hold each of these leads now."""
    for lead_id, count in counts.items():
        if count:
            snapshot.holders[lead_id] = count
        else:
            snapshot.holders.pop(lead_id, None)
        row = snapshot.leads.row(lead_id)
        if row >= 0:
            lead = decode_entity(Lead, snapshot.leads.record(row))
            if isinstance(lead, Lead):
                fill_capacity(snapshot, lead)


def fill_capacity(snapshot: Snapshot, lead: Lead) -> None:
    """Writes what is left of a lead's capacity; without a limit nothing needs writing."""
    if lead.claim_capacity is None:
        return
    columns, local = snapshot.leads.locate(snapshot.leads.row(lead.lead_id))
    held = snapshot.holders.get(lead.lead_id, 0)
    columns.capacity_left[local] = max(0, lead.claim_capacity - held)
    snapshot.leads.touch(snapshot.leads.row(lead.lead_id))


def claim_verdict(snapshot: Snapshot, member_row: int, lead_row: int) -> Verdict:
    """What forbids a member (global row) to hold a lead (global row), KEPT when nothing does.

    Only what holds whatever the lead's state: recusal, authorship, jurisdiction, being inactive.
    What the member said about the lead before does not count: they may change their mind.
    """
    members, at = snapshot.members.locate(member_row)
    leads, row = snapshot.leads.locate(lead_row)
    organization = int(leads.organization[row])
    recusal = snapshot.recusals.mask(snapshot.members.identifier(member_row))
    if recusal.covers(int(leads.key[row]), int(leads.author_key[row]), organization):
        return Verdict.CONFLICT
    wrote = forbidden_leads(snapshot, member_row).get(lead_row) is Verdict.AUTHOR
    if wrote or leads.author_key[row] == members.key[at]:
        return Verdict.AUTHOR
    visible = snapshot.organizations.visible_leads(int(members.organization[at]))
    if not np.bool_(visible[organization]):
        return Verdict.JURISDICTION
    return Verdict.KEPT if members.active[at] else Verdict.INACTIVE
