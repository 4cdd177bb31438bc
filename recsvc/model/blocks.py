"""Leads in small blocks of one organization, county and topic, for a search that skips blocks.

What a member thinks of a lead is, but for the lead's own words, the same for all leads of a block:
the jurisdiction, the region they share, about the distance, the topic. So a block is judged by a
few additions, and only the rows of the best blocks are looked at. Rows of a block lie side by side
("slots"): reading them is reading memory forwards.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from features.location import EARTH_RADIUS_KM
from recsvc.model.arrays import F32, I32, I64, LeadColumns

I8 = NDArray[np.int8]

_CLIPPED = 16.0
"""Values of a code end at so many root mean squares."""


class LeadBlocks(NamedTuple):
    """The base leads by block; slot arrays are parallel to `row`."""

    row: I32  # [n] base row of each slot
    slot: I32  # [n] slot of each base row
    block_start: I32  # [b + 1] slots
    block_topic: I32  # [b] first topic of all its leads; the number of topics for "none"
    group_start: I32  # [g + 1] blocks: a group is one organization and county
    group_slot: I32  # [g + 1] slots
    group_organization: I32  # [g] -1 none
    group_region: I32  # [g, 3] province, city, county
    group_place_km: F32  # [g, 3] middle of its leads on a globe of kilometres, NaN unknown
    group_radius_km: F32  # [g] mean distance of its leads from that
    block_place_km: F32  # [b, 3] as group_place_km
    block_radius_km: F32  # [b]
    topic_count: int


def globe_km(latitude_rad: F32, longitude_rad: F32) -> F32:
    """Points on a globe (float32[n, 3], km): straight lines between them are chords."""
    flat = np.cos(latitude_rad)
    points = (flat * np.cos(longitude_rad), flat * np.sin(longitude_rad), np.sin(latitude_rad))
    return (np.stack(points, axis=-1) * EARTH_RADIUS_KM).astype(np.float32)


def one_byte_codes(vectors: F32) -> tuple[I8, F32]:
    """Each dimension as int8[n, d] and its scale (float32[d]): value = code * scale.

    Clipped is only what lies far out: dimensions have heavy tails, and who is clipped would lose
    exactly what sets them apart.
    """
    count, width = vectors.shape
    most, square = np.zeros(width, np.float32), np.zeros(width, np.float64)
    for start in range(0, count, 8192):
        part = vectors[start : start + 8192]
        most = np.maximum(most, np.abs(part).max(axis=0))
        square += np.einsum("ij,ij->j", part, part)
    spread = np.sqrt(square / max(count, 1))
    scale = np.maximum(np.minimum(most, _CLIPPED * spread) / 127.0, 1e-12).astype(np.float32)
    codes = np.empty(vectors.shape, np.int8)
    for start in range(0, len(vectors), 8192):
        part = vectors[start : start + 8192] / scale
        codes[start : start + 8192] = np.clip(np.rint(part), -127, 127)
    return codes, scale


def build_lead_blocks(leads: LeadColumns, topic_count: int, rows_per_block: int) -> LeadBlocks:
    """Blocks of at most `rows_per_block` leads."""
    topic = np.where(leads.topics[:, 0] >= 0, leads.topics[:, 0], topic_count)
    # The county, or what is known above it: the codes of a deeper level are the greater numbers.
    county, organization = leads.region[:, :3].max(axis=1), leads.organization
    order = np.lexsort((topic, county, organization)).astype(np.int32)
    keys = np.stack([organization, county, topic], axis=1)[order]
    bounds = run_starts(keys)
    place = globe_km(leads.latitude_rad, leads.longitude_rad)
    # Inside a topic the place sets leads apart, and what they are about.
    apart = np.hstack([np.nan_to_num(place) * 0.004, leads.text[:, :8] * 0.3]).astype(np.float32)
    block_start = split_runs(order, bounds, apart, rows_per_block)
    first = order[block_start[:-1]]
    group_block = run_starts(np.stack([organization[first], county[first]], axis=1))
    group_start = group_block.astype(np.int32)
    leader = first[group_start[:-1]]
    middle, radius = middles(place[order], block_start[group_start])
    block_middle, block_radius = middles(place[order], block_start)
    slot = np.empty(len(order), np.int32)
    slot[order] = np.arange(len(order), dtype=np.int32)
    return LeadBlocks(
        row=order,
        slot=slot,
        block_start=block_start,
        block_topic=topic[first].astype(np.int32),
        group_start=group_start,
        group_slot=block_start[group_start],
        group_organization=organization[leader],
        group_region=np.ascontiguousarray(leads.region[leader, :3]),
        group_place_km=middle,
        group_radius_km=radius,
        block_place_km=block_middle,
        block_radius_km=block_radius,
        topic_count=topic_count,
    )


def run_starts(keys: I32) -> I64:
    """Where each run of equal rows begins, and the end (int64[runs + 1])."""
    if len(keys) == 0:
        return np.zeros(1, np.int64)
    new = np.flatnonzero((keys[1:] != keys[:-1]).any(axis=1)) + 1
    return np.concatenate([[0], new, [len(keys)]])


def middles(place: F32, starts: I32) -> tuple[F32, F32]:
    """The middle of each run of points (float32[g, 3], NaN when none is known), mean distance."""
    known = ~np.isnan(place[:, 0])
    filled = np.where(known[:, None], place, 0.0).astype(np.float64)
    counts = np.add.reduceat(known, starts[:-1]) if len(starts) > 1 else np.zeros(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        middle = np.add.reduceat(filled, starts[:-1]) / counts[:, None]
        gap = filled - np.repeat(np.nan_to_num(middle), np.diff(starts), axis=0)
        away = np.where(known, np.sqrt((gap**2).sum(axis=1)), 0.0)
        radius = np.nan_to_num(np.add.reduceat(away, starts[:-1]) / counts)
    return middle.astype(np.float32), radius.astype(np.float32)


@njit(cache=True)
def split_runs(order: I32, bounds: I64, apart: F32, most: int) -> I32:
    """Cuts each run of `order` (in place) at the widest dimension until it has `most` rows."""
    out = [0]
    stack_low = np.empty(64, np.int64)
    stack_high = np.empty(64, np.int64)
    for run in range(len(bounds) - 1):
        depth = 1
        stack_low[0], stack_high[0] = bounds[run], bounds[run + 1]
        while depth:
            depth -= 1
            low, high = stack_low[depth], stack_high[depth]
            if high - low <= most:
                out.append(high)
                continue
            part = order[low:high].copy()
            axis = _widest(apart, part)
            order[low:high] = part[np.argsort(apart[part, axis], kind="mergesort")]
            blocks = (high - low + most - 1) // most
            middle = low + (blocks + 1) // 2 * most
            # The left half is taken next: ends are found in ascending order.
            stack_low[depth], stack_high[depth] = middle, high
            stack_low[depth + 1], stack_high[depth + 1] = low, middle
            depth += 2
    return np.array(out, np.int32)


@njit(cache=True)
def _widest(apart: F32, rows: I32) -> int:
    best, widest = 0, -1.0
    for axis in range(apart.shape[1]):
        total, square = 0.0, 0.0
        for row in rows:
            value = apart[row, axis]
            total += value
            square += value * value
        spread = square - total * total / len(rows)
        if spread > widest:
            best, widest = axis, spread
    return best
