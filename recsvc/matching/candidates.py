"""Candidate sources: which few rows of many the ranker should look at.

Every source returns local rows of one segment, best first, all of them eligible. When few rows are
eligible they are all candidates, and the answer is exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from features.location import haversine_km
from recsvc.model.additive import AdditiveModel, add_joint_terms, add_table_values
from recsvc.model.arrays import F32, I32, I64, U8, LeadColumns, MemberColumns
from recsvc.model.bundle import Bundle
from recsvc.model.one_sided_terms import lead_features, member_features
from recsvc.model.scan_tables import table_slope
from recsvc.model.terms import OF_LEAD, OF_MEMBER


@dataclass(frozen=True)
class CandidateConfig:
    """How many candidates are looked at, and below which number of rows all are taken.

    Leads: `listed` of the member's short list (`recsvc.matching.short_lists`), `acted` of one who
    acted since, or else, each step looking closer (see `lead_scan`): `list_rows` of `probes` lists,
    of which `list_kept` are compared with `block_kept` out of the `block_rows` of the best blocks;
    `ranked` go on to the ranker. Up to `all_below` eligible leads all are ranked, up to
    `close_below` all are compared and four times as many ranked, or all where the caller restricts
    the list. Of leads that are new the best `new` and some near ones are ranked. Who asks for more
    than a page is looked for deeper (`retrieve`). Looking less deep costs up to a tenth of the
    recall where embeddings carry the list (`recsvc tune index`).
    """

    new: int = 64
    all_below: int = 256
    close_below: int = 4096
    probes: int = 48
    list_rows: int = 2048
    list_kept: int = 192
    block_rows: int = 1024
    block_kept: int = 128
    ranked: int = 96
    listed: int = 16
    acted: int = 64


EVERY_LEAD = CandidateConfig(all_below=1 << 62, close_below=1 << 62)
"""Every eligible lead is ranked, whatever is listed: what lists and searches are held against."""


def lead_query(model: AdditiveModel, members: MemberColumns, row: int) -> F32:
    """What to search the lead index with (float32[d + dt]) for one member: the linear terms."""
    text = table_slope(model, "expertise_text") * members.text[row]
    text = text + table_slope(model, "interest_text") * members.interest_text[row]
    vector = table_slope(model, "embedding") * members.vector[row]
    return np.concatenate([vector, text]).astype(np.float32)


def member_query(model: AdditiveModel, leads: LeadColumns, row: int) -> F32:
    """What to search the member index with (float32[d + 2 dt]) for one lead: the linear terms."""
    return np.concatenate(
        [
            table_slope(model, "embedding") * leads.vector[row],
            table_slope(model, "expertise_text") * leads.text[row],
            table_slope(model, "interest_text") * leads.text[row],
        ]
    ).astype(np.float32)


def lead_search_vectors(columns: LeadColumns) -> F32:
    """What the lead index holds (float32[n, d + dt]): embedding and text."""
    return np.hstack([columns.vector, columns.text])


def member_search_vectors(columns: MemberColumns) -> F32:
    """What the member index holds (float32[n, d + 2 dt]): embedding, expertise, interest text."""
    return np.hstack([columns.vector, columns.text, columns.interest_text])


def by_distance(
    latitude: F32,
    longitude: F32,
    other_latitude: F32,
    other_longitude: F32,
    eligible: U8,
    count: int,
) -> I32:
    """The nearest rows.

    `latitude`, `longitude` float32[n, p] (p places a row), the other side's float32[q]; radians,
    NaN unknown. Rows at unknown distance are left out.
    """
    if np.isnan(other_latitude).all():
        return np.empty(0, np.int32)
    km = _nearest(latitude, longitude, other_latitude, other_longitude, eligible)
    return best_of(-km, np.flatnonzero(np.isfinite(km)), count)


@njit(cache=True)
def _nearest(
    latitude: F32, longitude: F32, other_latitude: F32, other_longitude: F32, eligible: U8
) -> F32:
    out = np.full(len(eligible), np.inf, np.float32)
    for i in range(len(eligible)):
        if eligible[i] == 0:
            continue
        for p in range(latitude.shape[1]):
            for q in range(len(other_latitude)):
                km = haversine_km(
                    latitude[i, p], longitude[i, p], other_latitude[q], other_longitude[q]
                )
                if km < out[i]:
                    out[i] = km
    return out


def best_of(scores: F32, rows: I64, count: int) -> I32:
    """The `count` of `rows` with the highest score, best first."""
    if count < len(rows):
        rows = rows[np.argpartition(-scores[rows], count)[:count]]
    return rows[np.argsort(-scores[rows], kind="stable")].astype(np.int32)


def lead_prior(bundle: Bundle, leads: LeadColumns, now_us: int) -> F32:
    """The part of the score (float32[n]) that is the same for every member."""
    return _sum_of(bundle, lead_features(leads, now_us, bundle.context), OF_LEAD)


def member_prior(bundle: Bundle, members: MemberColumns) -> F32:
    """The part of the score (float32[n]) that is the same for every lead."""
    features = member_features(members, bundle.context)
    total = _sum_of(bundle, features, OF_MEMBER)
    add_joint_terms(bundle.ranker, features, total)
    return total


def _sum_of(bundle: Bundle, features: F32, columns: tuple[int, ...]) -> F32:
    total = np.zeros(len(features), np.float32)
    for column in columns:  # the other features are not known here: no term to work out for them
        add_table_values(bundle.ranker, column, np.ascontiguousarray(features[:, column]), total)
    return total
