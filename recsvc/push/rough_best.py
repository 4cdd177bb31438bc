"""The members with the best rough scores for a lead, of those who may get it."""

from __future__ import annotations

import numpy as np
from numba import njit

from recsvc.model.arrays import F32, I32, I64, U8
from recsvc.model.scan_tables import ENTRIES, STEPS, ScanTables
from recsvc.push.rough import FAR_KM, Rough, Sought, Topics


@njit(cache=True, nogil=True)
def best_rows(
    rows: I64, vector_dots: F32, text_dots: F32, usable: U8, part: Rough, sought: Sought,
    tables: ScanTables, most: int,
) -> I64:  # fmt: skip
    """The `most` best (int64, in no order) of some rows (int64[k]) that are usable for one lead.

    `vector_dots`, `text_dots` float32[k] are inner products of their vectors with the lead's;
    `usable` uint8[n] goes by row. A heap holds the best so far, the worst of them on top; hardly
    any row gets past that one, so that distances are worked out for few.
    """
    by_topic, tilt = _by_topics(part, sought)
    prior, sectors, sector = part.prior, sought.sector, part.sector
    homes, active, region, wanted = part.homes, part.active, part.region, sought.region
    home, activity, levels, away = sought.home, tables.activity, tables.levels, tables.away
    place, known = sought.place_km, sought.known
    most_of_rest = levels.max() + (activity.max() if known else np.float32(0.0))
    nearest = most_of_rest + (home.max() if known else np.float32(0.0))
    low, high = away.min(), away.max()
    best, heap = np.empty(most, np.int64), np.empty(most, np.float32)
    count = 0
    for i in range(len(rows)):
        row = rows[i]
        if usable[row] == 0:
            continue
        own = sector[row] if 0 <= sector[row] < len(sectors) - 1 else len(sectors) - 1
        score = text_dots[i] + prior[row] + by_topic[row] + sectors[own]
        score += _embedding(tables, vector_dots[i])
        lean = tilt[row]
        if count == most and score + nearest + max(lean * low, lean * high) <= heap[0]:
            continue
        if known:
            entry = _entry(homes, row, place)
            score += home[entry] + lean * away[entry]
            if count == most and score + most_of_rest <= heap[0]:
                continue
            score += activity[_entry(active, row, place)]
        score += levels[_shared(region, row, wanted)]
        if count < most:
            _rise(heap, best, count, score, row)
            count += 1
        elif score > heap[0]:
            _sink(heap, best, score, row)
    return best[:count]


@njit(cache=True)
def _by_topics(part: Rough, sought: Sought) -> tuple[F32, F32]:
    """What the lead's topics say of all members (float32[n]), and for each unit of log-km."""
    tilt = np.zeros(len(part.prior), np.float32)
    if len(sought.topics) == 0:
        return tilt, tilt
    scores = part.by_topics.copy()
    for k in range(len(sought.topics)):
        topic, stated, away = sought.topics[k], sought.stated[k], sought.away[k]
        _add_topic(scores, part.stated, topic, sought.weights[k], stated)
        _add_topic(scores, part.liked, topic, sought.weights[k], 0.0)
        _add_topic(tilt, part.stated, topic, 0.0, away)
    return scores, tilt


@njit(cache=True, inline="always")
def _embedding(tables: ScanTables, dot: float) -> float:
    """The embedding's term."""
    table, per = tables.embedding, tables.embedding_per
    at = (dot - tables.embedding_from) * per
    last = len(table) - 1.0
    return float(table[int(min(max(at, 0.0), last))]) + (
        tables.embedding_above * max(at - last, 0.0) / per
    )


@njit(cache=True)
def _add_topic(scores: F32, of: Topics, topic: int, weight: float, fixed: float) -> None:
    """Adds (in place) what a lead's topic says of those who have it."""
    start, member, value = of.start, of.member, of.value
    if topic >= len(start) - 1:
        return
    for e in range(start[topic], start[topic + 1]):
        scores[member[e]] += weight * value[e] + fixed


@njit(cache=True, inline="always", fastmath={"contract", "reassoc", "nsz"})
def _entry(places: F32, row: int, place: F32) -> int:
    """Where the distance of the nearest of a row's places stands in a table."""
    best = np.float32(np.inf)
    for k in range(places.shape[1]):
        if places[row, k, 0] >= FAR_KM:
            break
        x, y = places[row, k, 0] - place[0], places[row, k, 1] - place[1]
        z = places[row, k, 2] - place[2]
        best = min(best, x * x + y * y + z * z)
    if best == np.inf:
        return ENTRIES
    return min(int(np.sqrt(np.sqrt(best)) * STEPS + 0.5), ENTRIES - 1)


@njit(cache=True, inline="always")
def _shared(region: I32, row: int, wanted: I32) -> int:
    """Levels shared with the best of a row's places; -1 not known."""
    best = -1
    if wanted[0] >= 0:
        for place in range(region.shape[1]):
            if region[row, place, 0] < 0:
                continue
            level = 0
            while level < 4 and region[row, place, level] >= 0:
                if region[row, place, level] != wanted[level]:
                    break
                level += 1
            best = max(best, level)
    return best


@njit(cache=True, inline="always")
def _rise(heap: F32, rows: I64, at: int, score: float, row: int) -> None:
    """Puts a row (in place) behind the `at` that the heap holds."""
    while at > 0 and heap[(at - 1) // 2] > score:
        heap[at], rows[at] = heap[(at - 1) // 2], rows[(at - 1) // 2]
        at = (at - 1) // 2
    heap[at], rows[at] = score, row


@njit(cache=True, inline="always")
def _sink(heap: F32, rows: I64, score: float, row: int) -> None:
    """Puts a row (in place) instead of the worst."""
    at = 0
    while 2 * at + 1 < len(heap):
        child = 2 * at + 1
        if child + 1 < len(heap) and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= score:
            break
        heap[at], rows[at] = heap[child], rows[child]
        at = child
    heap[at], rows[at] = score, row
