"""The minimum-cost flow itself: here, or in a process apart.

OR-Tools keeps the interpreter's lock while it solves, which takes seconds: a thread of a service
that plans would hold up every call, so it has another process solve (`python -m recsvc.push.flow`).
"""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.errors import RecsvcError
from recsvc.children import ending_with_parent
from recsvc.model.arrays import I32, I64


class Network(NamedTuple):
    """Arcs, and so many units to be sent from source to sink."""

    tail: I32
    head: I32
    capacity: I64
    cost: I64
    ends: I32  # source, sink
    supply: I64  # one number


_SMALL_ARCS = 20_000
Solver = Callable[[Network], I64]
"""Takes a network and gives the flow on each arc."""


def solve_here(network: Network) -> I64:
    """The flow of least cost (int64[arcs]), by OR-Tools' cost scaling."""
    # A second and some memory, of which only a planner has need: not what plans one urgent lead.
    from ortools.graph.python import min_cost_flow

    solver = min_cost_flow.SimpleMinCostFlow()
    numbers = solver.add_arcs_with_capacity_and_unit_cost(
        network.tail, network.head, network.capacity, network.cost
    )
    supply = int(network.supply[0])
    solver.set_nodes_supplies(network.ends, np.array([supply, -supply], np.int64))
    status = solver.solve()
    if status != solver.OPTIMAL:  # a flow always exists: everything over the side arc
        raise AssertionError(f"minimum-cost flow ended with {status}")
    return np.asarray(solver.flows(numbers), np.int64)


def solve_apart(network: Network) -> I64:
    """The same, by a process of its own; raises RecsvcError when that dies."""
    sent = io.BytesIO()
    np.savez(sent, **network._asdict())
    command = ending_with_parent(sys.executable, "-m", "recsvc.push.flow")
    done = subprocess.run(command, input=sent.getvalue(), capture_output=True, check=False)
    if done.returncode != 0:
        told = done.stderr.decode(errors="replace").strip()
        raise RecsvcError(f"the solver ended with {done.returncode}: {told[-500:]}")
    flow: NDArray[np.int64] = np.load(io.BytesIO(done.stdout), allow_pickle=False)
    return flow


def solve_aside(network: Network) -> I64:
    """Apart when it would be felt: a small one is solved before a process has begun."""
    return (solve_here if len(network.tail) <= _SMALL_ARCS else solve_apart)(network)


def _main() -> None:
    with np.load(io.BytesIO(sys.stdin.buffer.read()), allow_pickle=False) as sent:
        network = Network(**{name: sent[name] for name in Network._fields})
    answer = io.BytesIO()
    np.save(answer, solve_here(network))
    sys.stdout.buffer.write(answer.getvalue())


if __name__ == "__main__":
    _main()
