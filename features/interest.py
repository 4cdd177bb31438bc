"""What members did, as interest: weights by kind, fading with time, summed over leads.

Pure functions over an EventLog, offline over the whole log and online over one member's part of it.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from features.entities import DismissReason, EventKind
from features.events import EventLog

INTEREST_TOPICS = 16
_MICROSECONDS_A_DAY = 86_400_000_000.0

_KIND_WEIGHTS = {
    EventKind.OPENED: 0.2,
    EventKind.COMMENTED: 0.5,
    EventKind.SUPPORTED: 0.5,
    EventKind.AUTHORED: 1.0,
    EventKind.CLAIMED: 1.0,
    EventKind.RESOLVED: 1.0,
    EventKind.RELEASED: -0.3,
    EventKind.TRANSFERRED: -0.1,
    EventKind.SEE_LESS: -0.5,  # of leads like it: as much as NOT_MY_FIELD
}
"""How much an event says about what a member cares for; kinds not named say nothing."""

_DISMISS_WEIGHTS = {DismissReason.NOT_MY_FIELD: -0.5, DismissReason.UNSPECIFIED: -0.2}
"""TOO_FAR, BUSY and DUPLICATE are no word about the subject."""


def kind_weights() -> NDArray[np.float32]:
    """float32[kinds, reasons]: interest that one event of a kind (and dismissal reason) shows."""
    table = np.zeros((max(EventKind) + 1, max(DismissReason) + 1), np.float32)
    for kind, weight in _KIND_WEIGHTS.items():
        table[kind] = weight
    for reason, weight in _DISMISS_WEIGHTS.items():
        table[EventKind.DISMISSED, reason] = weight
    return table


def decay(
    time_us: NDArray[np.int64], reference_time_us: int, half_life_days: float
) -> NDArray[np.float32]:
    """float32[n]: one half to the power of an event's age in half-lives; 1 for the future.

    An infinite half-life means no decay.
    """
    age_days = np.maximum(reference_time_us - time_us, 0) / _MICROSECONDS_A_DAY
    return np.exp2(-age_days / half_life_days).astype(np.float32)


def event_weights(
    events: EventLog, reference_time_us: int, half_life_days: float
) -> NDArray[np.float32]:
    """float32[n]: interest each event shows in its lead, decayed; 0 for events without a lead.

    For a data set without times the half-life is infinite. The caller says so: one member's events
    may share an instant in a data set that does have times.
    """
    weights = kind_weights()[events.kind, events.reason]
    weights = np.where(events.lead >= 0, weights, np.float32(0.0))
    return weights * decay(events.time_us, reference_time_us, half_life_days)


def interest_matrix(
    events: EventLog, weights: NDArray[np.float32], n_members: int, n_leads: int
) -> sparse.csr_matrix:
    """float32 [members, leads]: summed weights of each pair; pairs without weight are absent."""
    used = weights != 0
    entries = (weights[used], (events.member[used], events.lead[used]))
    matrix = sparse.csr_matrix(entries, shape=(n_members, n_leads), dtype=np.float32)
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return matrix


def interest_text(
    events: EventLog,
    weights: NDArray[np.float32],
    lead_text: NDArray[np.float32],
    n_members: int,
) -> NDArray[np.float32]:
    """float32[m, d]: sum of weight times text of a member's leads, L2 length 1 or zero.

    lead_text is float32[leads, d] in the order of the log's lead vocabulary.
    """
    pairs = interest_matrix(events, weights, n_members, len(lead_text))
    total = np.asarray(pairs @ lead_text, np.float32)
    length = np.linalg.norm(total, axis=1, keepdims=True)
    return np.asarray(np.divide(total, length, out=total, where=length > 0), np.float32)


def interest_topics(
    events: EventLog,
    weights: NDArray[np.float32],
    lead_topics: NDArray[np.int32],
    lead_topic_weights: NDArray[np.float32],
    n_members: int,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """A member's 16 topics of most interest: int32[m, 16] and float32[m, 16], padded (-1, 0).

    lead_topics int32[leads, k] and lead_topic_weights float32[leads, k] are those of LeadFeatures.
    Heaviest first; weights have L2 length 1; topics with a sum of zero or less are left out.
    """
    pairs = interest_matrix(events, weights, n_members, len(lead_topics))
    row, column = np.nonzero(lead_topics >= 0)
    topic = lead_topics[row, column]
    shape = (len(lead_topics), int(topic.max(initial=-1)) + 1)
    by_topic = sparse.csr_matrix((lead_topic_weights[row, column], (row, topic)), shape=shape)
    total = (pairs @ by_topic).tocsr()
    total.sort_indices()
    topics, values = _heaviest(total.indptr, total.indices, total.data, INTEREST_TOPICS)
    length = np.linalg.norm(values, axis=1, keepdims=True)
    return topics, np.divide(values, length, out=values, where=length > 0)


@numba.njit(cache=True)
def _heaviest(starts, indices, values, width):  # type: ignore[no-untyped-def]
    """The `width` largest positive entries of each sparse row, padded with -1 and 0."""
    n = len(starts) - 1
    topics = np.full((n, width), -1, np.int32)
    kept = np.zeros((n, width), np.float32)
    for row in range(n):
        own = values[starts[row] : starts[row + 1]]
        order = np.argsort(-own, kind="mergesort")[:width]
        for column in range(len(order)):
            if own[order[column]] > 0.0:
                topics[row, column] = indices[starts[row] + order[column]]
                kept[row, column] = own[order[column]]
    return topics, kept
