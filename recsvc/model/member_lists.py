"""Members by the direction of a vector: whom a lead's own vector points at.

Lists as of leads (`recsvc.model.lists`), over fewer dimensions: those in which members and leads
together differ most, found once (the inner products of any lead with any member are kept best, in
the mean of their squares, by the singular vectors of the product of the roots of their second
moments). In them all directions are alike likely for a lead, so that rows near each other have
inner products that are alike. Members of whom nothing is known all have one vector; they are in no
list.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsvc.model.arrays import F32, I32, LeadColumns, MemberColumns
from recsvc.model.blocks import I8
from recsvc.model.lists import build_lists
from recsvc.model.scan_tables import ScanTables

DIMENSIONS = 64
"""Of the lists: a row's codes fill one cache line."""

LEAST_TEXT = 0.2
"""Texts that move scores by less (standard deviation, log-odds) are not searched by."""

_SAMPLED, _FEW = 8192, 256
_CHUNK = 8192
_LEAST_SHARE = 1e-6
"""Of the largest second moment; a direction with less is none."""


class MemberLists(NamedTuple):
    """Lists of the base members who have a vector of their own, in few dimensions and in all.

    Slot arrays are parallel to `row`. A vector is its codes times its own scale: those of members
    who do much are many times as long as others, and it is these that are searched for.
    """

    turn: F32  # [r, d] turns a lead's vector into the dimensions of the lists
    list_start: I32  # [c + 1] slots
    centre: I8  # [c, r] mean of each list
    centre_scale: F32  # [c]
    row: I32  # [s] base row of each slot
    organization: I32  # [s] -1 none
    near: I8  # [s, r] vectors in the dimensions of the lists
    near_scale: F32  # [s]
    whole: I8  # [s, d] vectors
    whole_scale: F32  # [s]
    slot: I32  # [n] slot of each base row, -1 for one in no list
    ordinary: F32  # [d] the vector of those


def build_member_lists(
    vectors: F32, ordinary: F32, leads: F32, organization: I32, seed: int
) -> MemberLists:
    """Lists of n members (float32[n, d]) for leads whose vectors look like float32[l, d].

    A piece of the vectors at a time: they may lie in a file that is larger than the memory.
    """
    own = _different(vectors, ordinary)
    there, turn = turns(vectors[_sample(own, seed)], leads, seed)
    turned = np.empty((len(own), there.shape[1]), np.float32)
    for part in _pieces(len(own)):
        turned[part] = vectors[own[part]] @ there
    lists = build_lists(turned, organization[own], seed)
    slot = np.full(len(vectors), -1, np.int32)
    slot[own] = lists.slot
    means = np.empty((len(lists.list_start) - 1, turned.shape[1]), np.float32)
    for at, (begin, end) in enumerate(pairwise(lists.list_start.tolist())):
        means[at] = turned[lists.row[begin:end]].mean(axis=0)
    return MemberLists(
        turn,
        lists.list_start,
        *_codes(means, np.arange(len(means))),
        own[lists.row],
        lists.organization,
        *_codes(turned, lists.row),
        *_codes(vectors, own[lists.row]),
        slot,
        ordinary,
    )


def _different(vectors: F32, ordinary: F32) -> I32:
    """Rows (int32[s]) that are not like float32[d]."""
    differs = np.empty(len(vectors), np.bool_)
    for part in _pieces(len(vectors)):
        differs[part] = (vectors[part] != ordinary).any(axis=1)
    return np.flatnonzero(differs).astype(np.int32)


def _codes(vectors: F32, rows: NDArray[np.integer]) -> tuple[I8, F32]:
    """Rows as int8[s, d] and what a code of 1 means in each (float32[s])."""
    scale = np.empty(len(rows), np.float32)
    codes = np.empty((len(rows), vectors.shape[1]), np.int8)
    for part in _pieces(len(rows)):
        wide = vectors[rows[part]]
        scale[part] = np.maximum(np.abs(wide).max(axis=1, initial=0.0) / 127.0, 1e-30)
        codes[part] = np.rint(wide / scale[part, None])
    return codes, scale


def _pieces(count: int) -> Iterator[slice]:
    """Spans of so many rows, _CHUNK at a time."""
    for start in range(0, count, _CHUNK):
        yield slice(start, min(start + _CHUNK, count))


def lists_by_embedding(
    members: MemberColumns, ordinary: F32, leads: LeadColumns, seed: int
) -> MemberLists:
    """Lists by embedding; `ordinary` float32[d] is that of a member without a history."""
    return build_member_lists(members.vector, ordinary, leads.vector, members.organization, seed)


def lists_by_text(
    members: MemberColumns, tables: ScanTables, leads: LeadColumns, seed: int
) -> MemberLists:
    """Lists by all that members' texts say, weighed as the ranker weighs it.

    Empty when that is little: then whoever is found otherwise is found well enough.
    """
    text: F32 = np.empty(members.text.shape, np.float32)
    for part in _pieces(len(text)):
        text[part] = members.text[part] * np.float32(tables.expertise_text)
        text[part] += members.interest_text[part] * np.float32(tables.interest_text)
        text[part] += members.answer_text[part] * np.float32(tables.answer_text)
    said = _sample(text, seed) @ _sample(leads.text, seed)[:_FEW].T
    if said.size == 0 or said.std() < LEAST_TEXT:
        text = np.zeros_like(text)
    nothing = np.zeros(text.shape[1], np.float32)
    return build_member_lists(text, nothing, leads.text, members.organization, seed)


def _sample(rows: NDArray[Any], seed: int) -> NDArray[Any]:
    if len(rows) <= _SAMPLED:
        return rows
    return rows[np.random.default_rng(seed).choice(len(rows), _SAMPLED, replace=False)]


def turns(members: F32, leads: F32, seed: int) -> tuple[F32, F32]:
    """What members (float32[d, r]) and what leads (float32[r, d]) are multiplied with, to keep as
    much of their inner products as r dimensions can; told from a sample.
    """
    members, leads = _sample(members, seed), _sample(leads, seed)
    values, axes = np.linalg.eigh(_moments(leads))
    used = values > _LEAST_SHARE * max(values[-1], 1e-30)
    root = np.sqrt(values[used])
    wide, back = axes[:, used] * root, axes[:, used] / root
    _, best = np.linalg.eigh(wide.T @ _moments(members) @ wide)
    kept = best[:, ::-1][:, :DIMENSIONS]
    return (wide @ kept).astype(np.float32), np.ascontiguousarray((back @ kept).T, np.float32)


def _moments(vectors: F32) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    exact = vectors.astype(np.float64)
    found: np.ndarray[tuple[int, ...], np.dtype[np.float64]] = exact.T @ exact
    return found / max(len(vectors), 1)
