"""How personal an answer can be, by what is known of its subject."""

from __future__ import annotations

import numpy as np

from recsvc.matching.queries import ServingMode
from recsvc.model.arrays import LeadColumns, MemberColumns


def member_mode(members: MemberColumns, local: int) -> ServingMode:
    """How personal a member's list can be."""
    if members.events[local] > 0 or members.exposures[local] > 0:
        return ServingMode.PERSONALIZED
    known = (
        members.topics[local, 0] >= 0
        or members.sector[local] >= 0
        or not np.isnan(members.latitude_rad[local, 0])
        or members.text[local].any()
    )
    return ServingMode.COLD_START if known else ServingMode.POPULARITY


def lead_mode(leads: LeadColumns, local: int) -> ServingMode:
    """How much is known of a lead."""
    if leads.events[local] > 0 or leads.exposures[local] > 0:
        return ServingMode.PERSONALIZED
    known = (
        leads.topics[local, 0] >= 0
        or not np.isnan(leads.latitude_rad[local])
        or leads.text[local].any()
    )
    return ServingMode.COLD_START if known else ServingMode.POPULARITY
