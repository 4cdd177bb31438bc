"""`python -m benchmarks index`: recall against latency of the vector search, for every kind and
knob; and all members at once beside faiss's flat batch search.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from benchmarks.hotpath.asking import sample
from benchmarks.hotpath.batch_wire import all_over_the_wire
from benchmarks.hotpath.grown import grown_models
from benchmarks.hotpath.index_kinds import flat_batch, raw_searches
from benchmarks.hotpath.outcome import Outcome, finish
from benchmarks.hotpath.quality import exhaustive, overlap
from benchmarks.hotpath.rounds import Spread
from benchmarks.hotpath.serve import stepping
from benchmarks.hotpath.worlds import PROVINCE, QUICK, SEED, Step, open_world
from benchmarks.musts import Figure
from benchmarks.verdict import make_console, scratch_folder
from recsvc.matching.candidates import lead_query
from recsvc.matching.pipeline import Pipeline
from recsvc.matching.queries import ListQuery, RankedList
from recsvc.model.bundle import Bundle
from recsvc.model.index import IndexConfig, VectorIndex
from recsvc.model.registry import ModelRegistry
from recsvc.model.snapshot import Snapshot, lead_search_vectors
from training.tune_index import Exam, Point, Search

LIST_LENGTH, RAW_DEPTH = 20, 100
_PROBES = (8, 16, 32, 64, 128, 256)
_COMPARED = 50

app = typer.Typer(help="Recall and latency of the vector search.")


@app.command("index")
def index(
    queries: Annotated[int, typer.Option(min=10, help="Members asked for, of each kind.")] = 300,
    members: Annotated[
        int, typer.Option(help="Members who all get a list; 0 for all there are.")
    ] = 0,
    rounds: Annotated[int, typer.Option(min=1, help="Of the lists for all members.")] = 5,
    million: Annotated[
        int, typer.Option(help="Leads of the larger world; 0 leaves it out.")
    ] = 1_000_000,
    quick: Annotated[bool, typer.Option("--quick", help="A small world, a minute.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Exit with 1 when a must fails.")] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="File for the figures as JSON.")
    ] = None,
    page_file: Annotated[
        Path | None, typer.Option("--report", help="File for tables and plots as HTML.")
    ] = None,
) -> None:
    """Measures every index kind and knob, and lists for all members beside a flat batch search.

    Example: python -m benchmarks index --queries 100 --members 2000 --million 0
    """
    console = make_console()
    outcome = Outcome("index", full_size=not quick)
    with scratch_folder(console, "recsvc-index-") as folder, stepping(console) as step:
        world = open_world(QUICK if quick else PROVINCE, step=step)
        bundle = world.bundle()
        asked = min(queries, 50) if quick else queries
        outcome.add(measure_kinds(bundle, asked, "", step, outcome))
        if million and not quick:
            models = grown_models(world, world.size.members, million, step)
            larger = ModelRegistry(models).load("grown")
            outcome.add(measure_kinds(larger, asked, "million_", step, outcome))
            del larger
        ids = sample(bundle.member_ids.ids, members or len(bundle.member_ids), SEED)
        turns = 2 if quick else rounds
        outcome.add(measure_all(bundle, ids, turns, step))
        step("all members over the wire")
        outcome.add(asyncio.run(all_over_the_wire(world.models, folder, ids)))
    finish(outcome, console, json_file, page_file, check)


def measure_kinds(
    bundle: Bundle, queries: int, prefix: str, step: Step, outcome: Outcome
) -> list[Figure]:
    """Recall@50 and latency at every share of eligible leads: ours, then faiss as it comes."""
    step("the exact best")
    exam = Exam.of(bundle, queries, SEED)
    found: list[Figure] = []
    points: list[dict[str, float | str]] = []

    def take(name: str, search: Search) -> None:
        step(f"{prefix}{name}")
        for point in exam.take(search):
            points.append({"kind": name, **point._asdict()})
            found.extend(_figures(prefix, name, point))

    take("served", VectorIndex(exam.vectors, IndexConfig()).search)
    for name, search in raw_searches(exam.vectors, SEED, _PROBES):
        take(name, search)
    outcome.series[f"{prefix}recall"] = points
    return found


def _figures(prefix: str, name: str, point: Point) -> list[Figure]:
    share = f"{100 * point.share:g}".replace(".", "_")
    quality = {"recall_at_50": point.recall}
    note = f"p99 {point.p99_us:,.0f} µs"
    row = f"{prefix}{name}_share_{share}"
    found = [Figure(row, point.p50_us, "µs", quality=quality, note=note)]
    if name == "served":
        note = f"p50 {point.p50_us:,.0f} µs"
        found.append(Figure(f"{prefix}recall_at_50_share_{share}", point.recall, note=note))
    return found


def measure_all(bundle: Bundle, member_ids: Sequence[str], rounds: int, step: Step) -> list[Figure]:
    """Twenty leads for each member by the whole pipeline, beside a flat search for the hundred best
    with the same vectors; both by one thread, in turn.
    """
    snapshot = Snapshot(bundle)
    pipeline, query = Pipeline(snapshot), ListQuery(count=LIST_LENGTH)
    vectors = np.ascontiguousarray(lead_search_vectors(bundle.leads))
    rows = [bundle.member_ids.row(m) for m in member_ids]
    asked = np.stack([lead_query(bundle.ranker, bundle.members, row) for row in rows])
    pipeline.recommend(member_ids[0], query)
    ours, raw = [], []
    for number in range(rounds):
        step(f"lists for {len(member_ids):,} members, round {number + 1} of {rounds}")
        begin = time.perf_counter()
        for _ in pipeline.recommend_many(member_ids, query):
            pass
        middle = time.perf_counter()
        flat_batch(vectors, asked, RAW_DEPTH, threads=1)
        ours.append(middle - begin)
        raw.append(time.perf_counter() - middle)
    served = {
        member: [item.id for item in found.items[:10]]
        for member, found in zip(
            member_ids, pipeline.recommend_many(member_ids[:_COMPARED], query), strict=False
        )
        if isinstance(found, RankedList)
    }
    exact = exhaustive(snapshot, members=list(served))
    ratio = Spread.of([a / b for a, b in zip(ours, raw, strict=True)])
    note = f"{Spread.of(ours).median:.2f} s for {len(member_ids):,} members, faiss "
    note += f"{Spread.of(raw).median:.2f} s"
    quality = {"overlap_at_10": overlap(served, exact)}
    return [Figure("all_members_over_faiss", ratio.median, "×", ratio.ends, quality, note)]
