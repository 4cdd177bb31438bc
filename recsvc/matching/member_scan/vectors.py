"""By vector: rows of the probed lists, and what the vectors of rows found otherwise say."""

from __future__ import annotations

import numpy as np
from numba import njit

from recsvc.matching.member_scan.most import at_least
from recsvc.matching.member_scan.scope import Scope
from recsvc.model.arrays import F32, I32
from recsvc.model.codes import code_dot
from recsvc.model.member_lists import MemberLists


@njit(cache=True)
def by_vector(found: MemberLists, vector: F32, scope: Scope, probes: int, most: int) -> I32:
    """About `most` of the rows with the largest inner products in the probed lists.

    Inner products are those of the turned vectors, which are close to the whole ones.
    """
    turned = _turned(found.turn, vector)
    start, centre, scale, visible = (
        found.list_start,
        found.centre,
        found.centre_scale,
        scope.visible,
    )
    near = np.empty(len(centre), np.float32)
    for i in range(len(centre)):
        near[i] = code_dot(turned, centre[i]) * scale[i]
    probed = at_least(near, probes)
    room = 0
    for i in probed:
        room += start[i + 1] - start[i]
    slots = np.empty(room, np.int32)
    values = np.empty(room, np.float32)
    code, scale, organization = found.near, found.near_scale, found.organization
    count = 0
    for i in probed:
        for at in range(start[i], start[i + 1]):
            if visible[organization[at]]:
                slots[count], values[count] = at, code_dot(turned, code[at]) * scale[at]
                count += 1
    return _offered(found.row[slots[at_least(values[:count], most)]], scope)


@njit(cache=True)
def _offered(rows: I32, scope: Scope) -> I32:
    """Those of the rows that nothing stands against: it lies far away, so few are asked for it."""
    verdict, mark, tick = scope.verdict, scope.mark, scope.tick
    out = np.empty(len(rows), np.int32)
    count = 0
    for row in rows:
        if verdict[row] == 0 and mark[row] != tick:
            out[count] = row
            count += 1
    return out[:count]


@njit(cache=True, fastmath={"contract", "reassoc", "nsz"})
def _turned(turn: F32, vector: F32) -> F32:
    out = np.empty(len(turn), np.float32)
    for r in range(len(turn)):
        total = np.float32(0.0)
        for d in range(len(vector)):
            total += turn[r, d] * vector[d]
        out[r] = total
    return out


@njit(cache=True)
def inner_products(found: MemberLists, vector: F32, rows: I32) -> F32:
    """Inner products (float32[n]) of a lead's vector with those of base rows (int32[n])."""
    code, scale, slot = found.whole, found.whole_scale, found.slot
    ordinary = np.float32(0.0)
    for d in range(len(vector)):
        ordinary += vector[d] * found.ordinary[d]
    out = np.empty(len(rows), np.float32)
    for i in range(len(rows)):
        at = slot[rows[i]]
        out[i] = ordinary if at < 0 else code_dot(vector, code[at]) * scale[at]
    return out
