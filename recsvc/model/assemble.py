"""From records and their features to columns: the one place that fills static columns.

Training fills the base segment with it, the service fills tail rows with it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from features.entities import Lead, Member
from features.extract import LeadFeatures, MemberFeatures
from recsvc.model.arrays import I32, UNLIMITED, LeadColumns, MemberColumns, stable_key
from recsvc.model.organizations import OrganizationTree


def fill_members(
    columns: MemberColumns,
    rows: I32,
    members: Sequence[Member],
    features: MemberFeatures,
    organizations: OrganizationTree,
) -> None:
    """Writes what n members say of themselves into `rows` (int32[n]); vectors and counters stay."""
    columns.key[rows] = [stable_key(m.member_id) for m in members]
    columns.text[rows] = features.text
    columns.topics[rows] = features.topics
    columns.topic_weights[rows] = features.topic_weights
    columns.topics_named[rows] = features.topics_named
    columns.sector[rows] = features.sector
    columns.latitude_rad[rows] = features.place_latitude_rad
    columns.longitude_rad[rows] = features.place_longitude_rad
    columns.region[rows] = features.place_region
    columns.organization[rows] = [organizations.row(m.organization_id) for m in members]
    columns.active[rows] = [m.active for m in members]
    columns.alive[rows] = 1


def fill_leads(
    columns: LeadColumns,
    rows: I32,
    leads: Sequence[Lead],
    features: LeadFeatures,
    organizations: OrganizationTree,
) -> None:
    """Writes what n leads are into `rows` (int32[n]); vectors and counters stay."""
    columns.key[rows] = [stable_key(lead.lead_id) for lead in leads]
    columns.author_key[rows] = [stable_key(lead.author_id) for lead in leads]
    columns.text[rows] = features.text
    columns.topics[rows] = features.topics
    columns.topic_weights[rows] = features.topic_weights
    columns.topics_inferred[rows] = features.topics_inferred
    columns.latitude_rad[rows] = features.latitude_rad
    columns.longitude_rad[rows] = features.longitude_rad
    columns.region[rows] = features.region
    columns.organization[rows] = [organizations.row(lead.organization_id) for lead in leads]
    columns.urgency[rows] = features.urgency
    columns.create_time_us[rows] = features.create_time_us
    fill_lead_states(columns, rows, leads)
    columns.alive[rows] = 1


def fill_lead_states(columns: LeadColumns, rows: I32, leads: Sequence[Lead]) -> None:
    """Writes only state, closing time and capacity: they change without moving a lead's vectors."""
    columns.close_time_us[rows] = [lead.close_time_us for lead in leads]
    columns.state[rows] = [int(lead.state) for lead in leads]
    columns.capacity_left[rows] = np.array(
        [UNLIMITED if lead.claim_capacity is None else lead.claim_capacity for lead in leads],
        np.int32,
    )
