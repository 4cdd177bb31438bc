"""What the vectors of a pair have in common: embeddings, texts, a member's own texts.

Column by column over all pairs: a loop that takes a few arrays is compiled without counting
references to thirty, and reads several rows from memory at once.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from recsvc.model.arrays import F32, I8, I32
from recsvc.model.pair_facts import OWN_SCALE

_FAST = {"contract", "reassoc", "nsz"}


@njit(cache=True, nogil=True, fastmath=_FAST)
def fill_embeddings(out: F32, members: F32, m: I32, leads: F32, j: I32) -> None:
    """Feature 0 of pairs of rows (int32[n] each)."""
    for i in range(len(m)):
        one, other = m[i], j[i]
        total = np.float32(0.0)
        for d in range(members.shape[1]):
            total += members[one, d] * leads[other, d]
        out[i, 0] = total


@njit(cache=True, nogil=True, fastmath=_FAST)
def fill_texts(
    out: F32, stated: F32, interest: F32, answered: F32, m: I32, leads: F32, j: I32
) -> None:
    """Features 1, 2 and 17: a lead's text with what a member states, meets and answers to."""
    nothing = np.float32(0.0)
    for i in range(len(m)):
        own, other = m[i], j[i]
        total, met, taken = nothing, nothing, nothing
        for d in range(leads.shape[1]):
            x = leads[other, d]
            total += stated[own, d] * x
            met += interest[own, d] * x
            taken += answered[own, d] * x
        out[i, 1], out[i, 2], out[i, 17] = total, met, taken


@njit(cache=True, nogil=True, fastmath=_FAST)
def _coded_dot(codes: I8, m: int, t: int, text: F32, j: int) -> float:
    total = np.float32(0.0)
    for d in range(text.shape[1]):
        total += np.float32(codes[m, t, d]) * text[j, d]
    return float(total)


@njit(cache=True, nogil=True)
def fill_own_texts(out: F32, own: I8, m: I32, number: F32, at: I32, leads: F32, j: I32) -> None:
    """Feature 25: cosine with the nearest of a member's own texts; NaN for a member without.

    `number[at]` are the members' records.
    """
    for i in range(len(m)):
        best = np.nan
        for t in range(own.shape[1]):
            scale = number[at[i], OWN_SCALE + t]
            if scale == 0.0:
                break
            near = scale * _coded_dot(own, m[i], t, leads, j[i])
            if t == 0 or near > best:
                best = near
        out[i, 25] = best
