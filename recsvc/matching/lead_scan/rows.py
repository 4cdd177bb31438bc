"""Second step: rows by their own place, words, topics and list."""

from __future__ import annotations

import numpy as np
from numba import njit

from recsvc.matching.lead_scan.member import Known
from recsvc.matching.lead_scan.scope import Scope
from recsvc.matching.lead_scan.terms import (
    half_byte_dot,
    near_term,
    near_terms,
    town_term,
)
from recsvc.model.arrays import F32, I32
from recsvc.model.codes import code_dot
from recsvc.model.scan_rows import (
    GROUP,
    PLACE,
    TEXT_BYTES,
    TOPICS,
    TOWN,
    WEIGHT_UNIT,
    WEIGHTS,
    RowViews,
    ScanRows,
)
from recsvc.model.scan_tables import ScanTables


@njit(cache=True)
def unmarked(row_of: I32, mark: I32, tick: int, slots: I32) -> I32:
    """In place: each slot once, without the member's own rows; marks them."""
    end = 0
    for slot in slots:
        row = row_of[slot]
        if mark[row] != tick:
            mark[row] = tick
            slots[end] = slot
            end += 1
    return slots[:end]


@njit(cache=True)
def row_values(
    tables: ScanTables, known: Known, views: RowViews, scope: Scope, base: F32, slots: I32
) -> F32:
    """What speaks for leads (float32[n]) by slot, but for their embeddings."""
    worth, towns, nearer = scope.worth, known.town, tables.levels[4] - tables.levels[3]
    byte, short, whole, number = views.byte, views.short, views.whole, views.number
    home, active = known.home_km, known.activity_km
    homes, actives = known.home_count, known.activity_count
    home_table, active_table, text = tables.home, tables.activity, known.text
    less, more, sector = known.topic_less, known.topic_more, known.sector
    stated, slope, away = known.topic_stated, known.topic_away, tables.away
    text_middle = known.text_middle
    none, unit = len(sector) - 1, np.float32(1.0 / WEIGHT_UNIT)
    out = np.empty(len(slots), np.float32)
    for i in range(len(slots)):
        slot = slots[i]
        place = number[slot, PLACE : PLACE + 3]
        one, two = short[slot, TOPICS], short[slot, TOPICS + 1]
        at_home, log_km = near_terms(home_table, away, home, homes, place, 0.0)
        topics = less + more[one] * short[slot, WEIGHTS] * unit + sector[one]
        if one == none:
            topics = less + more[none] + sector[none]
        elif two != none:
            topics += more[two] * short[slot, WEIGHTS + 1] * unit
            topics += max(sector[two] - sector[one], np.float32(0.0))
            first = short[slot, WEIGHTS] / max(short[slot, WEIGHTS] + short[slot, WEIGHTS + 1], 1)
            topics += (1.0 - first) * (stated[two] + slope[two] * log_km)
            topics += first * (stated[one] + slope[one] * log_km)
        else:
            topics += stated[one] + slope[one] * log_km
        out[i] = (
            topics
            + base[whole[slot, GROUP]]
            + town_term(whole[slot, TOWN], towns, nearer)
            + worth[slot]
            + at_home
            + near_term(active_table, active, actives, place, 0.0)
            + half_byte_dot(text, byte[slot, :TEXT_BYTES])
            + text_middle
        )
    return out


@njit(cache=True)
def add_embeddings(
    tables: ScanTables, known: Known, rows: ScanRows, places: I32, values: F32
) -> None:
    """Adds the embedding's term to what speaks for leads (float32[n]) by place in the lists."""
    weights, codes = known.vector, rows.vector
    embedding, first, per = tables.embedding, tables.embedding_from, tables.embedding_per
    above, last = tables.embedding_above, first + (len(embedding) - 1) / per
    for i in range(len(places)):
        x = code_dot(weights, codes[places[i]])
        at = min(max((x - first) * per, 0.0), len(embedding) - 1.0)
        values[i] += embedding[int(at)] + above * max(x - last, 0.0)
