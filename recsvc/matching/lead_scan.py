"""Which leads of the base a member should be shown, without looking at most of them.

Three steps, each looking closer at fewer rows: blocks by what their leads share (organization,
county, topic, age), rows of the best blocks by their place and words, the best of these by their
embedding. Every step reads the ranker's own tables, so what counts for the score counts here, and
the ranker has the last word on what is left.

`members`, `m`: the columns and the local row of the member. Scores here are float32 and leave out
what is equal for all leads.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from features.location import EARTH_RADIUS_KM
from recsvc.model.additive import AdditiveModel, add_table_values, table_value
from recsvc.model.arrays import F32, I32, I64, U8, MemberColumns
from recsvc.model.blocks import I8, LeadBlocks
from recsvc.model.lists import EmbeddingLists
from recsvc.model.scan_tables import ENTRIES, STEPS, ScanTables
from recsvc.model.terms import INDEX, TermContext

_EMBEDDING = INDEX["embedding"]
_EXPERTISE_TOPICS = INDEX["expertise_topics"]
_INTEREST_TOPICS = INDEX["interest_topics"]
_SECTOR_TOPICS = INDEX["sector_topics"]
_ANSWER_TOPICS = INDEX["answer_topics"]


class Scope(NamedTuple):
    """What a member may be offered: `mark[row] == tick` takes a base row out for this request."""

    visible: NDArray[np.bool_]  # [organizations + 1] last: leads without an organization
    verdict: U8  # [n] by slot of the blocks, 0 = open
    worth: F32  # [n] by slot: terms of the lead alone
    block_worth: F32  # [b]
    mark: I32  # [n] by base row
    tick: int


class Depth(NamedTuple):
    """How many rows each step passes on."""

    block_rows: int
    kept: int
    probes: int
    by_embedding: int
    ranked: int


class _Known(NamedTuple):
    """What the scan asks of the member again and again."""

    topic: F32  # [topics + 1] terms of a lead of each topic
    text: F32  # [TEXT_CODES] weights of the text codes
    home_km: F32  # [4, 3]
    home_count: int
    activity_km: F32  # [4, 3]
    activity_count: int


@njit(cache=True)
def find_leads(
    model: AdditiveModel,
    context: TermContext,
    tables: ScanTables,
    members: MemberColumns,
    m: int,
    blocks: LeadBlocks,
    lists: EmbeddingLists,
    scope: Scope,
    depth: Depth,
) -> I32:
    """Base rows (int32[<= ranked]) that are worth ranking, in no order."""
    known = _known(model, context, tables, members, m, blocks)
    base, about = _group_terms(tables, known, members, m, blocks, scope)
    near, dots = _by_embedding(lists, members.vector[m], blocks, scope, depth)
    slots = np.empty(len(near), np.int32)
    groups = np.empty(len(near), np.int32)
    for i in range(len(near)):
        scope.mark[near[i]] = scope.tick  # the blocks need not find it again
        slots[i] = blocks.slot[near[i]]
        groups[i] = np.searchsorted(blocks.group_slot, slots[i], side="right") - 1
    own = _row_values(tables, known, blocks, scope, slots, groups, base)
    chosen, chosen_groups = _by_blocks(known, blocks, scope, depth, about)
    values = _row_values(tables, known, blocks, scope, chosen, chosen_groups, base)
    best = _unmarked(_best(values, depth.kept), chosen, blocks, scope)
    rows = np.concatenate((near, blocks.row[chosen[best]]))
    values = np.concatenate((own, values[best]))
    _add_embedding_terms(model, lists, members.vector[m], rows, dots, values)
    return rows[_best(values, depth.ranked)]


@njit(cache=True)
def _known(
    model: AdditiveModel,
    context: TermContext,
    tables: ScanTables,
    members: MemberColumns,
    m: int,
    blocks: LeadBlocks,
) -> _Known:
    text = np.empty(len(blocks.text_scale), np.float32)
    for d in range(len(text)):
        text[d] = blocks.text_scale[d] * (
            tables.expertise_text * members.text[m, d]
            + tables.interest_text * members.interest_text[m, d]
            + tables.answer_text * members.answer_text[m, d]
        )
    topic = _topic_terms(model, context, members, m, blocks.topic_count)
    home, homes = _places(members.latitude_rad[m], members.longitude_rad[m])
    active, actives = _places(members.activity_latitude_rad[m], members.activity_longitude_rad[m])
    return _Known(topic, text, home, homes, active, actives)


@njit(cache=True)
def _topic_terms(
    model: AdditiveModel, context: TermContext, members: MemberColumns, m: int, count: int
) -> F32:
    """The topic terms (float32[count + 1]) of a lead with one topic; last: of one with none."""
    out = np.zeros(count + 1, np.float32)
    _add_topic_term(model, _EXPERTISE_TOPICS, members.topics[m], members.topic_weights[m], out)
    _add_topic_term(
        model, _INTEREST_TOPICS, members.interest_topics[m], members.interest_topic_weights[m], out
    )
    answered = members.answer_topic_sums[m] / (
        np.float32(1.0) + members.answer_topic_information[m]
    )
    _add_topic_term(model, _ANSWER_TOPICS, members.answer_topics[m], answered, out)
    sector, table = members.sector[m], context.sector_topics
    for t in range(count + 1):
        known = 0 <= sector < table.shape[0] and t < min(count, table.shape[1])
        out[t] += table_value(model, _SECTOR_TOPICS, table[sector, t] if known else np.nan)
    return out


@njit(cache=True)
def _add_topic_term(
    model: AdditiveModel, feature: int, topics: I32, weights: F32, out: F32
) -> None:
    count = len(out) - 1
    missing = table_value(model, feature, np.nan)
    # Most topics are none of the member's: their term is worked out once.
    other = missing if topics[0] < 0 else table_value(model, feature, 0.0)
    out[:count] += np.float32(other)
    out[count] += np.float32(missing)
    for i in range(len(topics)):
        if 0 <= topics[i] < count:
            out[topics[i]] += np.float32(table_value(model, feature, float(weights[i])) - other)


@njit(cache=True)
def _places(latitude: F32, longitude: F32) -> tuple[F32, int]:
    """Known places on the globe of `globe_km` (float32[4, 3]) and how many."""
    out = np.empty((len(latitude), 3), np.float32)
    count = 0
    for i in range(len(latitude)):
        if not np.isnan(latitude[i]):
            flat = np.cos(latitude[i]) * EARTH_RADIUS_KM
            out[count, 0] = flat * np.cos(longitude[i])
            out[count, 1] = flat * np.sin(longitude[i])
            out[count, 2] = np.sin(latitude[i]) * EARTH_RADIUS_KM
            count += 1
    return out, count


@njit(cache=True, forceinline=True)
def _near_term(table: F32, places: F32, count: int, point: F32, less_km: float) -> float:
    """A distance term from the nearest place; 0 when nothing is known, which is alike for most."""
    if count == 0 or np.isnan(point[0]):
        return 0.0
    best = np.float32(np.inf)
    for i in range(count):
        x, y, z = places[i, 0] - point[0], places[i, 1] - point[1], places[i, 2] - point[2]
        best = min(best, x * x + y * y + z * z)
    km = max(np.float32(0.0), np.sqrt(best) - np.float32(less_km))
    entry = int(np.sqrt(km) * np.float32(STEPS) + np.float32(0.5))
    return float(table[min(entry, ENTRIES - 1)])


@njit(cache=True)
def _group_terms(
    tables: ScanTables,
    known: _Known,
    members: MemberColumns,
    m: int,
    blocks: LeadBlocks,
    scope: Scope,
) -> tuple[F32, F32]:
    """Of each group that may be seen: terms of region and organization, and with the distance.

    `about` is -inf for the others. Arrays are taken out of their tuples before the loop: a compiled
    call that passes a tuple on counts a reference to each of its arrays.
    """
    region, organization, place = blocks.group_region, blocks.group_organization, members.region[m]
    own, visible, radius = members.organization[m], scope.visible, blocks.group_radius_km
    levels, same, points = tables.levels, tables.organization, blocks.group_place_km
    base = np.zeros(len(organization), np.float32)
    about = np.full(len(organization), -np.inf, np.float32)
    for g in range(len(organization)):
        if not visible[organization[g]]:
            continue
        best = -1
        for p in range(len(place)):
            if place[p, 0] < 0 or region[g, 0] < 0:
                continue
            level = 0
            while level < 3 and region[g, level] >= 0 and place[p, level] == region[g, level]:
                level += 1
            best = max(best, level)
        base[g] = levels[best]
        base[g] += same[-1 if own < 0 or organization[g] < 0 else int(own == organization[g])]
        about[g] = base[g] + _near_term(
            tables.home, known.home_km, known.home_count, points[g], radius[g]
        )
        about[g] += _near_term(
            tables.activity, known.activity_km, known.activity_count, points[g], radius[g]
        )
    return base, about


@njit(cache=True, forceinline=True, fastmath={"contract", "reassoc", "nsz"})
def _code_dot(weights: F32, codes: I8) -> float:
    total = np.float32(0.0)
    for d in range(len(codes)):
        total += weights[d] * np.float32(codes[d])
    return float(total)


@njit(cache=True)
def _by_blocks(
    known: _Known, blocks: LeadBlocks, scope: Scope, depth: Depth, about: F32
) -> tuple[I32, I32]:
    """Open slots of the best blocks that may be seen, and the group of each."""
    worth, topic_of, terms = scope.block_worth, blocks.block_topic, known.topic
    start, group_start, group_slot = blocks.block_start, blocks.group_start, blocks.group_slot
    promise = np.empty(len(worth), np.float32)
    chosen = np.empty(len(worth), np.int32)
    group = np.empty(len(worth), np.int32)
    found, total = 0, 0
    for g in range(len(about)):
        if about[g] == -np.inf:
            continue
        total += group_slot[g + 1] - group_slot[g]
        # Two additions a block: there are thousands, so nothing else is asked of it.
        for b in range(group_start[g], group_start[g + 1]):
            promise[found] = about[g] + terms[topic_of[b]] + worth[b]
            chosen[found], group[found] = b, g
            found += 1
    least = -1e30  # blocks without an open lead stay below it
    if total > depth.block_rows:
        least = max(least, _threshold(promise[:found], chosen, start, depth.block_rows))
    room = 0
    for i in range(found):
        if promise[i] >= least:
            room += start[chosen[i] + 1] - start[chosen[i]]
    slots = np.empty(room, np.int32)
    groups = np.empty(room, np.int32)
    verdict = scope.verdict
    end = 0
    for i in range(found):
        if promise[i] >= least:
            for slot in range(start[chosen[i]], start[chosen[i] + 1]):
                if verdict[slot] == 0:
                    slots[end], groups[end] = slot, group[i]
                    end += 1
    return slots[:end], groups[:end]


@njit(cache=True)
def _unmarked(best: I64, chosen: I32, blocks: LeadBlocks, scope: Scope) -> I64:
    """Without the member's own rows: marks lie far apart, so only the best are asked."""
    row, mark, tick = blocks.row, scope.mark, scope.tick
    end = 0
    for at in best:
        if mark[row[chosen[at]]] != tick:
            best[end] = at
            end += 1
    return best[:end]


@njit(cache=True)
def _row_values(
    tables: ScanTables,
    known: _Known,
    blocks: LeadBlocks,
    scope: Scope,
    slots: I32,
    groups: I32,
    base: F32,
) -> F32:
    """What speaks for leads (float32[n]) by slot, but for their embeddings."""
    worth, topics, topic, text = scope.worth, blocks.topics, known.topic, blocks.text
    weights, place, home, active = known.text, blocks.place_km, known.home_km, known.activity_km
    home_table, active_table = tables.home, tables.activity
    homes, actives = known.home_count, known.activity_count
    out = np.empty(len(slots), np.float32)
    for i in range(len(slots)):
        slot = slots[i]
        out[i] = (
            base[groups[i]]
            + worth[slot]
            + max(topic[topics[slot, 0]], topic[topics[slot, 1]])
            + _near_term(home_table, home, homes, place[slot], 0.0)
            + _near_term(active_table, active, actives, place[slot], 0.0)
            + _code_dot(weights, text[slot])
        )
    return out


@njit(cache=True)
def _by_embedding(
    lists: EmbeddingLists, vector: F32, blocks: LeadBlocks, scope: Scope, depth: Depth
) -> tuple[I32, F32]:
    """The rows with the largest inner products in the probed lists, and these."""
    start, centre, code, list_row = lists.list_start, lists.centre, lists.code, lists.row
    organization, visible, verdict = lists.organization, scope.visible, scope.verdict
    slot, mark, tick, most = blocks.slot, scope.mark, scope.tick, depth.by_embedding
    weights = vector * lists.centre_scale
    near = np.empty(len(start) - 1, np.float32)
    for i in range(len(near)):
        near[i] = _code_dot(weights, centre[i])
    weights = vector * lists.scale
    rows = np.empty(most, np.int32)
    values = np.empty(most, np.float32)
    count = 0
    for i in _best(near, depth.probes):
        for at in range(start[i], start[i + 1]):
            # The organization lies beside the code; what else stands against a row lies far away,
            # so that it is asked of the few best only.
            if not visible[organization[at]]:
                continue
            value = _code_dot(weights, code[at])
            if count < most or value > values[most - 1]:
                row = list_row[at]
                if verdict[slot[row]] == 0 and mark[row] != tick:
                    count = _insert(rows, values, count, most, row, value)
    return rows[:count], values[:count]


@njit(cache=True, forceinline=True)
def _insert(rows: I32, values: F32, count: int, most: int, row: int, value: float) -> int:
    """Keeps `rows[:count]` sorted by falling value, at most `most` of them."""
    at = min(count, most - 1)
    while at > 0 and values[at - 1] < value:
        rows[at], values[at] = rows[at - 1], values[at - 1]
        at -= 1
    rows[at], values[at] = row, value
    return min(count + 1, most)


@njit(cache=True)
def _add_embedding_terms(
    model: AdditiveModel, lists: EmbeddingLists, vector: F32, rows: I32, dots: F32, values: F32
) -> None:
    """Adds the embedding's term to `values`; the inner products of the first rows are known."""
    weights = vector * lists.scale
    code, slot = lists.code, lists.slot
    x = np.empty(len(rows), np.float32)
    x[: len(dots)] = dots
    for i in range(len(dots), len(rows)):
        x[i] = _code_dot(weights, code[slot[rows[i]]])
    add_table_values(model, _EMBEDDING, x, values)


_BINS = 256


@njit(cache=True)
def _threshold(values: F32, blocks: I32, block_start: I32, target: int) -> float:
    """A value so that blocks with at least it hold `target` rows or a few more."""
    high = values.max()
    low = max(values.min(), high - 8.0)
    scale = (_BINS - 1) / max(high - low, 1e-6)
    sizes = np.zeros(_BINS, np.int64)
    for i in range(len(values)):
        at = int(max(0.0, values[i] - low) * scale)
        sizes[at] += block_start[blocks[i] + 1] - block_start[blocks[i]]
    total, at = sizes[_BINS - 1], _BINS - 1
    while total < target and at > 0:
        at -= 1
        total += sizes[at]
    return low + at / scale if at > 0 else -np.inf


@njit(cache=True)
def _best(values: F32, count: int) -> I64:
    """Positions (int64[<= count]) of the largest values, in no order."""
    n = len(values)
    if n <= count:
        return np.arange(n)
    # Counting into bins first: a partition of everything costs five times as much.
    high, low = values.max(), values.min()
    scale = (_BINS - 1) / max(high - low, 1e-6)
    sizes = np.zeros(_BINS, np.int64)
    for i in range(n):
        sizes[int((values[i] - low) * scale)] += 1
    total, at = sizes[_BINS - 1], _BINS - 1
    while total < count:
        at -= 1
        total += sizes[at]
    out = np.empty(total, np.int64)
    end = 0
    for i in range(n):
        if int((values[i] - low) * scale) >= at:
            out[end] = i
            end += 1
    if total == count:
        return out
    return out[np.argsort(-values[out], kind="mergesort")[:count]]
