"""Who answers, whatever they are asked: willingness of members and appeal of leads, told apart.

The chance that a push is answered, as a Rasch model (Rasch 1960) with normal priors (Bayesian MAP):

    log-odds = base + slot + willingness[member] + appeal[lead]

A member who was asked about leads that nobody wants is not unwilling because of it. A slot is the
place on a list the pair was shown at (0: a push, the reference): what stands lower is seen less.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]

SLOTS = 21
_MOST_STEP = 1.0
_FIXED = 1e9
"""A prior precision that lets nothing move."""


class Answers(NamedTuple):
    """n pairs that were pushed or shown and whose outcome is known."""

    member: I32  # [n] rows
    lead: I32  # [n] rows
    slot: I32  # [n] 0 = pushed, else 1 + the 0-based place on a list, at most SLOTS - 1
    taken: F32  # [n] 1 = claimed
    weight: F32  # [n] how much of an answer it is, 0 to 1


class Willingness(NamedTuple):
    """What `fit_willingness` found; rows without an answer are 0."""

    base: float
    slots: F32  # [SLOTS] log-odds against a push
    members: F32  # [m] log-odds
    member_information: F32  # [m] curvature of the log posterior: prior precision + Σ p(1 - p)
    leads: F32  # [n] log-odds
    lead_information: F32  # [n]


def slot_at(position: int) -> int:
    """The slot of one logged position (-1 unknown or pushed)."""
    return min(max(position + 1, 0), SLOTS - 1)


def slot_of(position: NDArray[np.int16]) -> I32:
    """Slots (int32[n]) of logged positions (-1 unknown or pushed)."""
    return np.clip(position.astype(np.int32) + 1, 0, SLOTS - 1)


def fit_willingness(
    answers: Answers,
    member_count: int,
    lead_count: int,
    member_deviation: float,
    lead_deviation: float,
    rounds: int = 30,
) -> Willingness:
    """The posterior mode, by alternating Newton steps (each at most 1 log-odds).

    The deviations are those of the normal priors of willingness and appeal around 0.
    """
    rate = (float(answers.taken.sum()) + 0.5) / (float(answers.weight.sum()) + 1.0)
    slot_priors = np.append(_FIXED, np.ones(SLOTS - 1))
    base, slots, members, member_information, leads, lead_information = _fit(
        *answers,
        np.full(member_count, member_deviation**-2.0),
        np.full(lead_count, lead_deviation**-2.0),
        slot_priors,
        math.log(rate / (1.0 - rate)),
        rounds,
    )
    return Willingness(
        float(base),
        slots.astype(np.float32),
        members.astype(np.float32),
        member_information.astype(np.float32),
        leads.astype(np.float32),
        lead_information.astype(np.float32),
    )


@njit(cache=True)
def answer_chance(log_odds: float) -> float:
    """The chance (0 to 1) that belongs to log-odds."""
    return 1.0 / (1.0 + math.exp(-min(max(log_odds, -30.0), 30.0)))


@njit(cache=True)
def _fit(member, lead, slot, taken, weight, of_member, of_lead, of_slot, base, rounds):  # type: ignore[no-untyped-def]
    u, v, g = np.zeros(len(of_member)), np.zeros(len(of_lead)), np.zeros(len(of_slot))
    constant, free = np.array([base]), np.array([1e-6])
    nowhere = np.zeros(len(member), np.int32)
    log_odds = np.full(len(member), base)
    for _ in range(rounds):
        _newton(v, lead, of_lead, log_odds, taken, weight)
        _newton(g, slot, of_slot, log_odds, taken, weight)
        _newton(constant, nowhere, free, log_odds, taken, weight)
        _newton(u, member, of_member, log_odds, taken, weight)
    lead_information = _newton(v, lead, of_lead, log_odds, taken, weight)
    member_information = _newton(u, member, of_member, log_odds, taken, weight)
    return constant[0], g, u, member_information, v, lead_information


@njit(cache=True)
def _newton(values, rows, prior, log_odds, taken, weight):  # type: ignore[no-untyped-def]
    """One clipped step of all `values` at once; `log_odds` (float64[n]) goes along.

    Pairs of different rows do not touch each other, so this is the exact step of each. Gives the
    curvature before the step.
    """
    slope, curvature = -prior * values, prior.copy()
    for i in range(len(rows)):
        p = answer_chance(log_odds[i])
        slope[rows[i]] += weight[i] * (taken[i] - p)
        curvature[rows[i]] += weight[i] * p * (1.0 - p)
    step = np.empty_like(values)
    for row in range(len(values)):
        step[row] = min(max(slope[row] / curvature[row], -_MOST_STEP), _MOST_STEP)
        values[row] += step[row]
    for i in range(len(rows)):
        log_odds[i] += step[rows[i]]
    return curvature
