"""`python -m benchmarks capacity`: what a tenant of a given size needs, from measured constants.

Memory is counted by rows, with the widths of a bundle; workers by a simulation: calls arrive at
random moments (Poisson), each goes to a random worker, as the kernel spreads connections, and waits
there until those before it are done. A worker answers one call at a time, in a time drawn from
those that `benchmarks serve --part stages` measured in process, and what the wire adds.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich.table import Table

from benchmarks.verdict import make_console
from recsvc.model.arrays import Widths, empty_leads, empty_members

GIB = 1 << 30
_CALLS = 200_000
_MOST_WORKERS = 4_096
_MEMBER_RECORD_BYTES, _LEAD_RECORD_BYTES = 400, 750
"""JSON of the province's members and leads as the store keeps it; mapped, and hardly ever read."""

_MEMBER_SCAN_BYTES, _LEAD_SCAN_BYTES = 1_640, 640
"""Of the province's bundle: what searches read (lists, blocks, runs, facts, codes), short lists."""

app = typer.Typer(help="Memory, workers and shards of a tenant, on paper.")


@dataclass(frozen=True)
class Need:
    """Bytes of a tenant's tables: shared by the workers of a machine."""

    members: int
    leads: int
    scans: int
    records: int

    @property
    def shared(self) -> int:
        """All that is mapped."""
        return self.members + self.leads + self.scans + self.records


def tables(members: int, leads: int, widths: Widths) -> Need:
    """Columns of so many rows, vectors included, what searches read of them, and their records."""
    one_member = sum(column.nbytes for column in empty_members(1, widths))
    one_lead = sum(column.nbytes for column in empty_leads(1, widths))
    scans = members * _MEMBER_SCAN_BYTES + leads * _LEAD_SCAN_BYTES
    records = members * _MEMBER_RECORD_BYTES + leads * _LEAD_RECORD_BYTES
    return Need(members * one_member, leads * one_lead, scans, records)


def waiting_p99_ms(
    service_ms: NDArray[np.float64], per_second: float, workers: int, seed: int
) -> float:
    """p99 of waiting and answering, in milliseconds; infinite when more comes than is answered."""
    rate = per_second / workers / 1_000  # calls a millisecond at one worker
    if rate * float(service_ms.mean()) >= 1.0:
        return float("inf")
    rng = np.random.default_rng(seed)
    gaps = rng.exponential(1 / rate, _CALLS)
    took = rng.choice(service_ms, _CALLS)
    # Lindley: the wait of a call is what the one before left over, less the gap between them.
    steps = np.concatenate([[0.0], np.cumsum(took[:-1] - gaps[1:])])
    wait = steps - np.minimum.accumulate(steps)
    return float(np.percentile(wait + took, 99))


def workers_needed(
    service_ms: NDArray[np.float64], per_second: float, p99_ms: float, seed: int
) -> int:
    """The fewest workers that keep the p99; raises ValueError when no number of them does."""
    low, high = 1, 1
    while waiting_p99_ms(service_ms, per_second, high, seed) > p99_ms:
        low, high = high, 2 * high
        if high > _MOST_WORKERS:
            raise ValueError(f"no number of workers answers within {p99_ms:g} ms")
    while low < high:
        middle = (low + high) // 2
        if waiting_p99_ms(service_ms, per_second, middle, seed) > p99_ms:
            low = middle + 1
        else:
            high = middle
    return high


@app.command("capacity")
def capacity(
    stages: Annotated[Path, typer.Argument(help="JSON of `benchmarks serve --part stages`.")],
    members: Annotated[int, typer.Option(min=1, help="Members.")] = 3_400_000,
    leads: Annotated[int, typer.Option(min=1, help="Leads.")] = 10_000_000,
    shards: Annotated[int, typer.Option(min=1, help="Tenants they are spread over.")] = 31,
    per_second: Annotated[float, typer.Option(min=0.1, help="Calls at the peak.")] = 2_000.0,
    p99_ms: Annotated[float, typer.Option(min=0.1, help="To be kept.")] = 50.0,
    wire_ms: Annotated[float, typer.Option(min=0.0, help="What gRPC adds to a call.")] = 0.35,
    vector: Annotated[int, typer.Option(min=1, help="Width of the embedding.")] = 385,
    text: Annotated[int, typer.Option(min=1, help="Width of the text vectors.")] = 128,
    seed: Annotated[int, typer.Option(min=0, help="Of the simulation.")] = 1,
) -> None:
    """Says what memory and how many workers a country of tenants needs.

    Example: python -m benchmarks capacity serve.json --per-second 2000 --p99-ms 50
    """
    series = json.loads(stages.read_text("utf-8"))["series"]
    service_ms = np.array(series["stages_recommend_us"]["all"]) / 1_000 + wire_ms
    whole = tables(members, leads, Widths(vector, text))
    count = workers_needed(service_ms, per_second, p99_ms, seed)
    table = Table("what", "figure", title="Capacity", title_justify="left")
    for what, value in (
        ("members, leads, shards", f"{members:,}, {leads:,}, {shards}"),
        ("member columns", f"{whole.members / GIB:.1f} GiB"),
        ("lead columns", f"{whole.leads / GIB:.1f} GiB"),
        ("tables of searches, short lists", f"{whole.scans / GIB:.1f} GiB"),
        ("records, mapped", f"{whole.records / GIB:.1f} GiB"),
        ("shared by a machine's workers, a shard", f"{whole.shared / shards / GIB:.2f} GiB"),
        ("one call takes (mean, p99)", _times(service_ms)),
        (f"workers for {per_second:,.0f} calls/s, p99 {p99_ms:g} ms", f"{count}"),
        ("their share of time at work", f"{per_second * service_ms.mean() / 1e3 / count:.0%}"),
        ("with one replica of each", f"{2 * count}"),
    ):
        table.add_row(what, value)
    make_console().print(table)


def _times(service_ms: NDArray[np.float64]) -> str:
    return f"{service_ms.mean():.2f} ms, {np.percentile(service_ms, 99):.2f} ms"
