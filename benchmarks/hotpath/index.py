"""`python -m benchmarks index`: recall against latency of the vector search, for every kind and
knob; and all members at once beside faiss's flat batch search.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
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
from benchmarks.hotpath.served_search import served_search
from benchmarks.hotpath.vector_exam import Exam
from benchmarks.hotpath.worlds import PROVINCE, QUICK, SEED, Step, open_world
from benchmarks.musts import Figure
from benchmarks.options import Check, JsonFile, PageFile
from benchmarks.verdict import make_console, scratch_folder
from recsvc.matching.candidates import CandidateConfig, lead_query, lead_search_vectors
from recsvc.matching.pipeline import Pipeline, now_us
from recsvc.matching.queries import ListQuery, RankedList
from recsvc.model.bundle import Bundle
from recsvc.model.registry import ModelRegistry
from recsvc.model.snapshot import Snapshot
from training.tune_index import ListExam, Point

LIST_LENGTH, RAW_DEPTH = 20, 100
_PROBES = (8, 16, 32, 64, 128, 256)
_COMPARED = 50
_SEARCHED = 5_000
"""Members who get a list without the short lists that came with the bundle: those cost training."""

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
    check: Check = False,
    json_file: JsonFile = None,
    page_file: PageFile = None,
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
        searched = without_short_lists(bundle)
        outcome.add(measure_all(searched, ids[:_SEARCHED], turns, step, "all_members_searched"))
        step("all members over the wire")
        outcome.add(asyncio.run(all_over_the_wire(world.models, folder, ids)))
    finish(outcome, console, json_file, page_file, check)


def measure_kinds(
    bundle: Bundle, queries: int, prefix: str, step: Step, outcome: Outcome
) -> list[Figure]:
    """Recall@50 and latency at every share of eligible leads.

    First of the whole pipeline against the full ranker over every eligible lead, then of searches
    by embedding alone against the exact one: the lists that are served, and faiss as it comes.
    """
    points: list[dict[str, float | str]] = []
    found: list[Figure] = []

    def take(name: str, at_shares: Sequence[Point]) -> None:
        points.extend({"kind": name, **point._asdict()} for point in at_shares)
        found.extend(_figure(f"{prefix}{name}", point) for point in at_shares)

    step(f"{prefix}lists")
    served = ListExam(bundle, queries, now_us(), SEED).take(CandidateConfig())
    take("served", served.points)
    found += [_recall(f"{prefix}recall_at_50", point) for point in served.points]
    step(f"{prefix}vectors: the exact best")
    exam = Exam.of(bundle, queries, SEED)
    ours = exam.take(served_search(bundle, exam, CandidateConfig()))
    take("served_vectors", ours)
    found += [_recall(f"{prefix}vector_recall_at_50", point) for point in ours]
    for name, search in raw_searches(exam.vectors, SEED, _PROBES):
        step(f"{prefix}{name}")
        take(name, exam.take(search))
    outcome.series[f"{prefix}recall"] = points
    return found


def _share(point: Point) -> str:
    return f"share_{100 * point.share:g}".replace(".", "_")


def _figure(name: str, point: Point) -> Figure:
    quality = {"recall_at_50": point.recall}
    note = f"p99 {point.p99_us:,.0f} µs"
    return Figure(f"{name}_{_share(point)}", point.p50_us, "µs", quality=quality, note=note)


def _recall(name: str, point: Point) -> Figure:
    return Figure(f"{name}_{_share(point)}", point.recall, note=f"p50 {point.p50_us:,.0f} µs")


def without_short_lists(bundle: Bundle) -> Bundle:
    """The same bundle as it would be served if nothing had been searched for when it was made."""
    made = replace(bundle)
    tables = bundle.tables.arrays.items()
    made.tables.arrays |= {k: v for k, v in tables if not k.startswith("short_lists.")}
    return made


def measure_all(
    bundle: Bundle, member_ids: Sequence[str], rounds: int, step: Step, row: str = "all_members"
) -> list[Figure]:
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
    return [Figure(f"{row}_over_faiss", ratio.median, "×", ratio.ends, quality, note)]
