"""Willingness and appeal, told apart."""

from __future__ import annotations

import numpy as np
import pytest

from features.willingness import (
    SLOTS,
    Answers,
    Willingness,
    answer_chance,
    fit_willingness,
    slot_at,
    slot_of,
)


def simulated(
    seed: int, members: int = 300, leads: int = 200, per_member: int = 30
) -> tuple[Answers, np.ndarray, np.ndarray]:
    """Answers by the model itself; half of them lists, where slot 5 is seen less."""
    rng = np.random.default_rng(seed)
    u, v = rng.normal(0, 1.5, members), rng.normal(0, 1.0, leads)
    member = np.repeat(np.arange(members, dtype=np.int32), per_member)
    # Those low in rank are asked about the leads that nobody wants.
    order = np.argsort(v)
    half = rng.integers(0, leads // 2, len(member)) + np.where(member < members // 2, 0, leads // 2)
    lead = order[half].astype(np.int32)
    slot = (rng.integers(0, 2, len(member)) * 5).astype(np.int32)
    odds = -1.0 + u[member] + v[lead] - 1.0 * (slot == 5)
    taken = (rng.random(len(member)) < 1 / (1 + np.exp(-odds))).astype(np.float32)
    return Answers(member, lead, slot, taken, np.ones(len(taken), np.float32)), u, v


def fitted(answers: Answers, members: int = 300, leads: int = 200) -> Willingness:
    return fit_willingness(answers, members, leads, 2.0, 1.0)


def test_it_is_the_mode_of_the_posterior() -> None:
    answers, _, _ = simulated(1)
    found = fitted(answers)
    odds = found.base + found.slots[answers.slot]
    odds = odds + found.members[answers.member] + found.leads[answers.lead]
    rest = answers.taken - 1 / (1 + np.exp(-odds))
    of_members = np.bincount(answers.member, rest, 300) - found.members / 2.0**2
    of_leads = np.bincount(answers.lead, rest, 200) - found.leads / 1.0**2
    of_slots = np.bincount(answers.slot, rest, SLOTS) - found.slots
    assert np.abs(of_members).max() < 0.01
    assert np.abs(of_leads).max() < 0.05
    assert abs(of_slots[5]) < 0.001 * len(rest)
    assert abs(rest.sum()) < 0.001 * len(rest)
    p = np.array([answer_chance(float(x)) for x in odds])
    information = np.bincount(answers.member, p * (1 - p), 300) + 2.0**-2
    np.testing.assert_allclose(found.member_information, information, rtol=5e-3)


def test_members_asked_about_unwanted_leads_are_not_unwilling_for_it() -> None:
    answers, u, _ = simulated(2)
    found = fitted(answers)
    rate = np.bincount(answers.member, answers.taken) / np.bincount(answers.member)
    assert np.corrcoef(found.members, u)[0, 1] > np.corrcoef(rate, u)[0, 1] + 0.05
    assert found.slots[5] == pytest.approx(-1.0, abs=0.25)
    assert found.slots[0] == pytest.approx(0.0, abs=1e-6)


def test_those_who_were_never_asked_are_at_zero_and_know_nothing() -> None:
    answers, _, _ = simulated(3)
    found = fitted(answers, 301, 201)
    assert found.members[300] == found.leads[200] == 0.0
    assert found.member_information[300] == pytest.approx(0.25)


@pytest.mark.parametrize("taken", [0.0, 1.0])
def test_one_sided_answers_stay_finite(taken: float) -> None:
    one = np.zeros(4, np.int32)
    every = np.ones(4, np.float32)
    answers = Answers(one, one, one, every * np.float32(taken), every)
    found = fit_willingness(answers, 1, 1, 4.0, 2.0)
    assert np.isfinite(found.members).all()
    assert np.isfinite(found.base)
    nothing = Answers(one[:0], one[:0], one[:0], every[:0], every[:0])
    nobody = fit_willingness(nothing, 1, 1, 4.0, 2.0)
    assert nobody.members[0] == 0.0


def test_slots_of_positions() -> None:
    positions = [-1, 0, 5, 19, 20, 500]
    assert slot_of(np.array(positions, np.int16)).tolist() == [0, 1, 6, 20, 20, 20]
    assert [slot_at(p) for p in positions] == [0, 1, 6, 20, 20, 20]


def test_half_an_answer_counts_half() -> None:
    answers, _, _ = simulated(4)
    rows = np.tile(np.arange(len(answers.taken)), 2)
    sides = answers.member[rows], answers.lead[rows], answers.slot[rows]
    twice = Answers(*sides, answers.taken[rows], answers.weight[rows])
    halved = twice._replace(weight=np.full(len(twice.weight), 0.5, np.float32))
    np.testing.assert_allclose(fitted(halved).members, fitted(answers).members, atol=0.02)
