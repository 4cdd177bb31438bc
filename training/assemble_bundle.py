"""A state and what was learned on it, as the bundle that serves it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from recsvc.model.additive import AdditiveModel, Calibration
from recsvc.model.arrays import UNLIMITED
from recsvc.model.bundle import Bundle, Manifest, Records
from recsvc.store.codec import encode_entity
from training.state import Catalog, State


def assemble_bundle(
    catalog: Catalog,
    state: State,
    ranker: AdditiveModel,
    calibration: Calibration,
    manifest: Manifest,
) -> Bundle:
    """The bundle of a state; shares the state's arrays."""
    data = catalog.data
    return Bundle(
        manifest=manifest,
        space=catalog.space,
        member_ids=data.member_ids,
        members=state.members,
        member_records=Records.pack([encode_entity(m).data for m in data.members]),
        lead_ids=data.lead_ids,
        leads=state.leads,
        lead_records=Records.pack([encode_entity(lead).data for lead in data.leads]),
        history=state.history,
        neighbours=state.neighbours,
        fold_in=state.embedding.fold_in,
        content_map=state.embedding.content_map,
        ranker=ranker,
        calibration=calibration,
        context=state.context,
        organization_ids=catalog.organizations.ids,
        organizations=tuple(data.organizations),
        conflicts=tuple(data.conflicts),
    )


def as_all_open(bundle: Bundle) -> Bundle:
    """The same bundle with every lead open: what is known of a lead's end is known only afterwards.

    Evaluation replays a past in which these leads were open.
    """
    leads = bundle.leads._replace(
        state=np.ones_like(bundle.leads.state),
        close_time_us=np.zeros_like(bundle.leads.close_time_us),
        capacity_left=np.full_like(bundle.leads.capacity_left, UNLIMITED),
    )
    return replace(bundle, leads=leads)
