"""Which base leads are open, and what each is worth by itself: the same for every member.

Worked out once and kept: a request reads it, a change corrects the rows it touches. It holds for a
span of time only, because leads grow old, are closed and are created at set times. What of a lead's
worth time does not change is kept from span to span: a request waits for what is worked out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from features.entities import LeadState
from recsvc.model.additive import AdditiveModel, add_table_values
from recsvc.model.arrays import F32, I32, I64, U8, LeadColumns
from recsvc.model.blocks import LeadBlocks
from recsvc.model.filter_world import NOT_OPEN, OpenRecord, make_open_record
from recsvc.model.one_sided_terms import log_age, month_of, of_lead
from recsvc.model.segments import Table
from recsvc.model.terms import FEATURE_COUNT, INDEX, OF_LEAD, TermContext

CLOCK_AHEAD_US = 300_000_000
"""A platform's clock may be so far ahead of ours: what it says happened just now has happened."""

_STALE_US = 600_000_000
"""An age may be off by so much where it only decides what is looked at."""

_OPEN = int(LeadState.OPEN)
_CLAIMED = int(LeadState.CLAIMED)
_VERDICTS = 13
_AGE = INDEX["age_log_hours"]
_LASTING = tuple(feature for feature in OF_LEAD if feature != _AGE)
_CHUNK = 4096


@njit(cache=True, forceinline=True)
def lead_verdict(leads: LeadColumns, row: int, now_us: int) -> int:
    """What stands against one lead whoever the member is, as of `now_us`."""
    latest_us = now_us + CLOCK_AHEAD_US
    closed = leads.state[row] != _OPEN and leads.close_time_us[row] <= latest_us
    if leads.alive[row] == 0:
        return 1
    if closed and leads.state[row] != _CLAIMED:
        return 2
    if closed or leads.capacity_left[row] == 0:
        return 3
    if leads.create_time_us[row] > latest_us:
        return 12
    return 0


@njit(cache=True, nogil=True)
def _lasting_worth(
    model: AdditiveModel,
    context: TermContext,
    leads: LeadColumns,
    first: int,
    last: int,
    now_us: int,
) -> F32:
    """The terms (float32[last - first] by row) that neither a member changes nor, within a month,
    time.
    """
    worth = np.zeros(last - first, np.float32)
    features = np.empty(FEATURE_COUNT, np.float32)
    columns = np.empty((len(_LASTING), _CHUNK), np.float32)
    for start in range(0, len(worth), _CHUNK):
        part = worth[start : start + _CHUNK]
        for i in range(len(part)):
            of_lead(leads, first + start + i, now_us, context, features)
            for at in range(len(_LASTING)):
                columns[at, i] = features[_LASTING[at]]
        # A term of all rows at once: see `_add_terms`.
        for at in range(len(_LASTING)):
            add_table_values(model, _LASTING[at], columns[at, : len(part)], part)
    return worth


@njit(cache=True, nogil=True)
def _worth_now(
    model: AdditiveModel, leads: LeadColumns, first: int, lasting: F32, now_us: int
) -> F32:
    """The terms (by row, from `first` on) that no member changes: the lasting ones, the age's."""
    worth = lasting.copy()
    ages = np.empty(_CHUNK, np.float32)
    for start in range(0, len(worth), _CHUNK):
        part = worth[start : start + _CHUNK]
        for i in range(len(part)):
            ages[i] = log_age(leads.create_time_us[first + start + i], now_us)
        add_table_values(model, _AGE, ages[: len(part)], part)
    return worth


@dataclass
class LeadsAt:
    """The base leads within `from_us` <= time < `until_us`; slots are those of the blocks."""

    from_us: int
    until_us: int
    asked_us: int
    month: int  # column of the topics' moments
    lasting: F32  # [n] by row: what the month leaves alone of `worth`
    verdict: U8  # [n] by slot
    worth: F32  # [n] by slot
    block_worth: F32  # [b] between the mean and the best of its open leads, -inf when none is
    open_count: I64  # [organizations + 1] by organization, those without one last
    removed: I64  # [verdicts] how many each filter took
    opened: I32  # [o] base rows that were not open when the short lists were made
    open_in: I32  # [n] by base row: its organization, or NOT_OPEN
    record: OpenRecord  # of the arrays that filters read


class OpenLeads:
    """Keeps what is known of the base leads for now, and for one other time."""

    def __init__(
        self,
        leads: Table[LeadColumns],
        blocks: LeadBlocks,
        model: AdditiveModel,
        context: TermContext,
        open_then: U8 | None = None,
    ) -> None:
        """`open_then` (uint8[n]): which leads were open when the short lists were made."""
        self._leads = leads
        self._blocks = blocks
        self._model = model
        self._context = context
        self._open_then = open_then
        self._states: list[LeadsAt] = []

    def at(self, now_us: int) -> LeadsAt:
        """What holds at a time; computed anew only when nothing that is kept holds then."""
        touched = self._leads.take_touched()
        for state in self._states:
            for row in touched:
                self._correct(state, row)
        for state in self._states:
            if state.from_us <= now_us < state.until_us:
                return state
        state = self._compute(now_us)
        self._states = [state, *self._states[:1]]
        return state

    def _compute(self, now_us: int) -> LeadsAt:
        leads = self._leads.base
        count = max(int(leads.organization.max(initial=-1)) + 1, 0)
        span = now_us - _STALE_US, now_us + _STALE_US
        judged = _judge(leads, self._blocks.slot, count, now_us, *span)
        verdict, open_in, open_count, removed, from_us, until_us = judged
        month, lasting = self._lasting(now_us)
        worth = _worth_now(self._model, leads, 0, lasting, now_us)[self._blocks.row]
        block_worth = sum_blocks(self._blocks, verdict, worth)
        opened = np.empty(0, np.int64)
        if self._open_then is not None:
            opened = np.flatnonzero((open_in != NOT_OPEN) & (self._open_then == 0))
        record = make_open_record(open_in, open_count)
        seen = verdict, worth, block_worth, open_count, removed, opened.astype(np.int32), open_in
        return LeadsAt(from_us, until_us, now_us, month, lasting, *seen, record)

    def _lasting(self, now_us: int) -> tuple[int, F32]:
        context = self._context
        month = int(month_of(context.topic_moments, context.moments_from_us, now_us))
        for state in self._states:
            if state.month == month:
                return month, state.lasting  # corrected with the state
        leads = self._leads.base
        return month, _lasting_worth(self._model, context, leads, 0, len(leads.alive), now_us)

    def _correct(self, state: LeadsAt, row: int) -> None:
        leads, blocks = self._leads.base, self._blocks
        slot = int(blocks.slot[row])
        old, new = int(state.verdict[slot]), int(lead_verdict(leads, row, state.asked_us))
        organization = int(leads.organization[row])
        state.removed[old] -= 1
        state.removed[new] += 1
        state.open_count[organization] += (new == 0) - (old == 0)
        state.verdict[slot] = new
        state.open_in[row] = NOT_OPEN if new else organization
        if new == 0 and self._open_then is not None and not self._open_then[row]:
            state.opened = np.union1d(state.opened, [row]).astype(np.int32)
        here, then = slice(row, row + 1), state.asked_us
        lasting = _lasting_worth(self._model, self._context, leads, row, row + 1, then)
        state.lasting[here] = lasting
        state.worth[slot] = _worth_now(self._model, leads, row, lasting, then)[0]
        block = int(np.searchsorted(blocks.block_start, slot, side="right")) - 1
        _sum_blocks(
            blocks.block_start, state.verdict, state.worth, state.block_worth, block, block + 1
        )
        for moment in (int(leads.close_time_us[row]), int(leads.create_time_us[row])):
            if moment - CLOCK_AHEAD_US > state.asked_us:
                state.until_us = min(state.until_us, moment - CLOCK_AHEAD_US)
            else:
                state.from_us = max(state.from_us, moment - CLOCK_AHEAD_US)


@njit(cache=True, nogil=True)
def _judge(
    leads: LeadColumns, slots: I32, organizations: int, now_us: int, from_us: int, until_us: int
) -> tuple[U8, I32, I64, I64, int, int]:
    """Verdict by slot, organization by row (NOT_OPEN), open leads by organization, counts, and how
    long it holds. Row by row: in the order of slots, each would miss the cache in every column.
    """
    verdict = np.empty(len(slots), np.uint8)
    open_in = np.full(len(slots), NOT_OPEN, np.int32)
    open_count = np.zeros(organizations + 1, np.int64)
    removed = np.zeros(_VERDICTS, np.int64)
    for row in range(len(slots)):
        stands = lead_verdict(leads, row, now_us)
        verdict[slots[row]] = stands
        removed[stands] += 1
        if stands == 0:
            open_in[row] = leads.organization[row]
            open_count[leads.organization[row]] += 1
        for moment in (leads.close_time_us[row], leads.create_time_us[row]):
            change_us = moment - CLOCK_AHEAD_US
            if change_us > now_us:
                until_us = min(until_us, change_us)
            else:
                from_us = max(from_us, change_us)
    return verdict, open_in, open_count, removed, from_us, until_us


def sum_blocks(blocks: LeadBlocks, verdict: U8, worth: F32) -> F32:
    """What each block's open leads are worth (float32[b]): between their mean and the best."""
    out = np.empty(len(blocks.block_topic), np.float32)
    _sum_blocks(blocks.block_start, verdict, worth, out, 0, len(out))
    return out


@njit(cache=True)
def _sum_blocks(block_start: I32, verdict: U8, worth: F32, out: F32, first: int, last: int) -> None:
    for block in range(first, last):
        best, total, count = -np.inf, 0.0, 0
        for slot in range(block_start[block], block_start[block + 1]):
            if verdict[slot] == 0:
                best = max(best, worth[slot])
                total += worth[slot]
                count += 1
        out[block] = 0.5 * (best + total / count) if count else -np.inf
