"""The flow behind a plan against solvers that share nothing with it, and what it may never do."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp

from features.errors import RecsvcError
from recsvc.push.bound import lagrange_bound
from recsvc.push.exchange import Prices, exchanged, sort_pairs
from recsvc.push.explore import explore_plan
from recsvc.push.flow import Network, solve_apart
from recsvc.push.network import Flow, Problem, plan_value, solve
from recsvc.push.optimum import Task, optimise, plan_worth, taken_chances
from recsvc.push.spread import busiest_share, caps_of_calm

TOLERANCE = 1e-4
"""A plan is optimal up to a few millionths a push."""


def random_problem(seed: int, *, price: bool = True) -> Problem:
    """Up to 12 members and 8 leads; caps of 0 and scores of 0 are common."""
    rng = np.random.default_rng(seed)
    members, leads, width = rng.integers(1, 13), rng.integers(1, 9), int(rng.integers(1, 5))
    some = rng.random((leads, members)) < rng.uniform(0.2, 1.0)
    lead, member = np.nonzero(some)
    most = rng.integers(1, width + 1, leads)
    slots = np.sort(rng.random((leads, width)) * rng.choice([0.0, 0.3]), axis=1)[:, ::-1]
    return Problem(
        pair_member=member.astype(np.int32),
        pair_lead=lead.astype(np.int32),
        pair_value=rng.random(len(lead)) * (rng.random(len(lead)) < 0.8),
        slot_value=slots.copy(),
        least=np.minimum(rng.integers(0, 3, leads), most).astype(np.int32),
        most=most.astype(np.int32),
        county=rng.integers(-1, 3, leads).astype(np.int32),
        cap=rng.integers(0, 4, members).astype(np.int32),
        load=rng.integers(0, 4, members).astype(np.int32),
        spread_price=float(rng.choice([0.0, 0.02])) if price else 0.0,
    )


def coverage(problem: Problem, chosen: NDArray[np.bool_]) -> int:
    """What counts before any value: first members twice, further least ones, counties."""
    counts = np.bincount(problem.pair_lead[chosen], minlength=len(problem.least))
    met = np.minimum(counts, problem.least)
    served = problem.county[(counts > 0) & (problem.county >= 0)]
    return int(met.sum() + (met > 0).sum() + len(np.unique(served)))


def by_milp(problem: Problem, bonus: float) -> NDArray[np.bool_]:
    """The same plan as an integer programme of pairs, slots, loads and counties, by HiGHS."""
    n, (leads, width) = len(problem.pair_lead), problem.slot_value.shape
    units = [(m, k) for m in range(len(problem.cap)) for k in range(problem.cap[m])]
    counties = int(problem.county.max(initial=-1)) + 1
    slot_at, unit_at = n, n + leads * width
    county_at = unit_at + len(units)
    size = county_at + counties
    cost, upper = np.zeros(size), np.ones(size)
    rows: list[tuple[NDArray[np.float64], float, float]] = []  # coefficients, low, high
    cost[:n] = -problem.pair_value
    for lead, k in itertools.product(range(leads), range(width)):
        extra = bonus * (2 if k == 0 else 1) if k < problem.least[lead] else 0.0
        cost[slot_at + lead * width + k] = -problem.slot_value[lead, k] - extra
        upper[slot_at + lead * width + k] = k < problem.most[lead]
    for lead in range(leads):
        row = np.zeros(size)
        row[:n][problem.pair_lead == lead] = 1
        row[slot_at + lead * width : slot_at + (lead + 1) * width] = -1
        rows.append((row, 0, 0))
        for k in range(width - 1):  # slots are filled in their order
            row = np.zeros(size)
            row[slot_at + lead * width + k : slot_at + lead * width + k + 2] = 1, -1
            rows.append((row, 0, 1))
    for at, (m, k) in enumerate(units):
        cost[unit_at + at] = problem.spread_price * (problem.load[m] + k)
    for m in range(len(problem.cap)):
        row = np.zeros(size)
        row[:n][problem.pair_member == m] = 1
        row[[unit_at + at for at, (other, _) in enumerate(units) if other == m]] = -1
        rows.append((row, 0, 0))
    for county in range(counties):
        cost[county_at + county] = -bonus
        row = np.zeros(size)
        row[county_at + county] = 1
        row[[slot_at + lead * width for lead in np.flatnonzero(problem.county == county)]] = -1
        rows.append((row, -np.inf, 0))
    matrix = np.array([row for row, _, _ in rows])
    limits = LinearConstraint(matrix, [low for _, low, _ in rows], [high for *_, high in rows])
    found = milp(
        cost,
        integrality=np.ones(size),
        bounds=Bounds(0, upper),
        constraints=limits,
        options={"mip_rel_gap": 0.0},
    )
    assert found.success
    return np.asarray(found.x[:n] > 0.5)


def assert_within_bounds(problem: Problem, flow: Flow) -> None:
    """No member above the cap, no lead above its most."""
    given_out = np.bincount(problem.pair_member[flow.chosen], minlength=len(problem.cap))
    counts = np.bincount(problem.pair_lead[flow.chosen], minlength=len(problem.most))
    assert (given_out <= problem.cap).all()
    assert (counts <= problem.most).all()


@given(st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_flow_is_as_good_as_an_integer_programme(seed: int) -> None:
    problem = random_problem(seed)
    flow = solve(problem, seed)
    other = by_milp(problem, bonus=100.0)
    assert flow.proved
    assert_within_bounds(problem, flow)
    assert coverage(problem, flow.chosen) == coverage(problem, other)
    assert flow.value == pytest.approx(plan_value(problem, other), abs=TOLERANCE)


@given(st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_prices_are_what_one_more_would_be_worth(seed: int) -> None:
    """A raised cap brings its price, as long as it serves no further lead."""
    problem = random_problem(seed, price=False)
    flow = solve(problem, seed)
    for member in range(len(problem.cap)):
        cap = problem.cap.copy()
        cap[member] += 1
        more = solve(problem._replace(cap=cap), seed)
        if coverage(problem, more.chosen) == coverage(problem, flow.chosen):
            gain = more.value - flow.value
            assert gain == pytest.approx(flow.member_price[member], abs=TOLERANCE)
    for lead in range(len(problem.most)):
        if problem.most[lead] < problem.slot_value.shape[1]:
            most, slots = problem.most.copy(), problem.slot_value.copy()
            most[lead] += 1
            slots[lead, most[lead] - 1 :] = slots[lead, most[lead] - 2]
            more = solve(problem._replace(most=most, slot_value=slots), seed)
            gain = more.value - flow.value
            if coverage(problem, more.chosen) == coverage(problem, flow.chosen):
                assert gain == pytest.approx(flow.lead_price[lead], abs=TOLERANCE)
    unused = np.bincount(problem.pair_member[flow.chosen], minlength=len(problem.cap)) < problem.cap
    assert (flow.member_price[unused] <= TOLERANCE).all()


def random_task(seed: int) -> Task:
    rng = np.random.default_rng(seed)
    problem = random_problem(seed, price=False)
    chance = rng.beta(1, 4, len(problem.pair_lead)) * (rng.random(len(problem.pair_lead)) < 0.9)
    return Task(
        problem.pair_member,
        problem.pair_lead,
        chance,
        rng.uniform(0.5, 2.0, len(problem.least)),
        problem.least,
        problem.most,
        problem.county,
        problem.cap,
        problem.load,
    )


@given(st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_chance_makes_the_busiest_no_busier(seed: int) -> None:
    """Members drawn within the caps of a calm plan leave its busiest share as it was."""
    task, rng = random_task(seed), np.random.default_rng(seed)
    chosen = optimise(task, seed).flow.chosen
    others = rng.integers(0, 4, int(rng.integers(0, 9))).astype(np.int32)
    members = int(rng.integers(1, 300))
    caps = caps_of_calm(task, chosen, others, members)
    drawn = explore_plan(task._replace(cap=caps), chosen, 0.5, rng).chosen

    def share(of: NDArray[np.bool_]) -> float:
        given = np.bincount(task.pair_member[of], minlength=len(task.cap))
        return busiest_share(np.concatenate([task.load + given, others]), members)

    assert drawn.sum() == chosen.sum()
    assert share(drawn) <= share(chosen) + 1e-12


def best_of_all(task: Task) -> float:
    """The most that any plan with the best coverage is worth, by trying every plan."""
    problem = Problem(
        task.pair_member, task.pair_lead, task.probability, np.zeros((len(task.worth), 4)),
        *task[4:9], spread_price=0.0,
    )  # fmt: skip
    best = (-1, -np.inf)
    for bits in itertools.product([False, True], repeat=len(task.pair_lead)):
        chosen = np.array(bits, bool)
        given_out = np.bincount(task.pair_member[chosen], minlength=len(task.cap))
        counts = np.bincount(task.pair_lead[chosen], minlength=len(task.most))
        if (given_out <= task.cap).all() and (counts <= task.most).all():
            best = max(best, (coverage(problem, chosen), plan_worth(task, chosen)))
    return best[1]


@given(st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_no_plan_beats_the_bound_and_ours_is_close(seed: int) -> None:
    task = random_task(seed)
    keep = np.sort(np.random.default_rng(seed).permutation(len(task.pair_lead))[:11])
    task = task._replace(
        pair_member=task.pair_member[keep],
        pair_lead=task.pair_lead[keep],
        probability=task.probability[keep],
    )
    found = optimise(task, seed)
    best = best_of_all(task)
    assert found.objective <= best + 1e-9
    assert best <= found.bound + TOLERANCE
    assert found.objective >= 0.97 * best - TOLERANCE


@given(st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_with_one_push_a_lead_the_plan_is_optimal(seed: int) -> None:
    task = random_task(seed)
    task = task._replace(most=np.ones_like(task.most), least=np.minimum(task.least, 1))
    found = optimise(task, seed)
    assert found.objective == pytest.approx(found.bound, abs=TOLERANCE)


def test_the_second_push_of_a_lead_is_worth_less() -> None:
    """Two leads, four equal members, each free for one: two and two, not three and one."""
    task = Task(
        pair_member=np.array([0, 1, 2, 3, 0, 1, 2, 3], np.int32),
        pair_lead=np.array([0, 0, 0, 0, 1, 1, 1, 1], np.int32),
        probability=np.full(8, 0.5),
        worth=np.ones(2),
        least=np.zeros(2, np.int32),
        most=np.full(2, 3, np.int32),
        county=np.full(2, -1, np.int32),
        cap=np.ones(4, np.int32),
        load=np.zeros(4, np.int32),
    )
    found = optimise(task, seed=0)
    assert np.bincount(task.pair_lead[found.flow.chosen]).tolist() == [2, 2]
    assert taken_chances(task, found.flow.chosen).tolist() == [0.75, 0.75]


def test_ties_are_broken_by_the_seed() -> None:
    """Ten equal members for one lead: the same seed chooses the same one, other seeds others."""
    one = np.zeros(10, np.int32)
    problem = Problem(
        np.arange(10, dtype=np.int32), one, np.full(10, 0.3), np.zeros((1, 1)),
        np.ones(1, np.int32), np.ones(1, np.int32), np.full(1, -1, np.int32),
        np.ones(10, np.int32), one, 0.0,
    )  # fmt: skip
    chosen = [int(np.flatnonzero(solve(problem, seed).chosen)[0]) for seed in (*range(20), 0)]
    assert chosen[0] == chosen[-1]
    assert len(set(chosen)) > 3


def test_a_process_apart_finds_the_same_flow() -> None:
    problem = random_problem(7, price=True)
    here, apart = solve(problem, 1), solve(problem, 1, solve_apart)
    assert here.chosen.tolist() == apart.chosen.tolist()
    assert here.value == apart.value


def test_a_solver_that_dies_says_so() -> None:
    nothing = np.empty(0, np.int64)
    none = np.empty(0, np.int32)
    with pytest.raises(RecsvcError, match="solver ended"):
        solve_apart(Network(none, none, nothing, nothing, none, nothing))


@given(st.integers(0, 2**32), st.floats(0.0, 0.2))
@settings(max_examples=60, deadline=None)
def test_exchanges_never_lose_and_keep_every_limit(seed: int, spread: float) -> None:
    task = random_task(seed)
    count = len(task.worth)
    pairs = sort_pairs(task.pair_lead, task.pair_member, task.probability, count)
    prices = Prices(task.worth, task.least, task.most, task.load, 0.02, spread)
    flow = optimise(task._replace(push_price=0.02), seed, spread).flow
    task = task._replace(push_price=0.02)
    better = exchanged(pairs, prices, task.cap, flow.chosen, 5)
    assert plan_worth(task, better, spread) >= plan_worth(task, flow.chosen, spread) - 1e-9
    leads = np.bincount(task.pair_lead[better], minlength=count)
    assert (leads <= task.most).all()
    assert (np.bincount(task.pair_member[better], minlength=len(task.cap)) <= task.cap).all()
    before = np.bincount(task.pair_lead[flow.chosen], minlength=count)
    assert (np.minimum(leads, task.least) >= np.minimum(before, task.least)).all()
    assert ((leads > 0) >= (before > 0)).all()
    bound = lagrange_bound(
        pairs, prices._replace(least=np.zeros_like(task.least)), task.cap,
        np.zeros(len(task.cap)), 0.0, 40, 0.0,
    )  # fmt: skip
    assert bound.value >= plan_worth(task, better, spread) - 1e-9
