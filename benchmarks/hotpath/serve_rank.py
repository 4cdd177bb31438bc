"""Ranking over the wire: throughput and latency beside the floor and the pick-up alternative."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import msgspec

from benchmarks.hotpath.asking import Asker, sample
from benchmarks.hotpath.children import child_server, service
from benchmarks.hotpath.floor import Samples
from benchmarks.hotpath.grown import listed_leads
from benchmarks.hotpath.quality import Judge, exhaustive, overlap
from benchmarks.hotpath.rounds import Call, Rounds, Spread, interleave
from benchmarks.hotpath.worlds import SEED, Step, Truth
from benchmarks.musts import Figure
from recsvc.model.registry import ModelRegistry
from recsvc.model.snapshot import Snapshot

CALLERS = (1, 16)
_ASKED = 5_000
_COMPARED = 100


@dataclass(frozen=True)
class RankPlan:
    """What is measured and for how long. `prefix` begins the names of all rows.

    `kinds` are of "recommend", "match", "batch". `peer` is the folder of the alternative's factors,
    None to leave it out; `truth` is None where nobody knows it. `smaller` is another models folder,
    served beside: what a request costs there is compared. `listed`: only leads whose members are
    listed are asked about.
    """

    prefix: str
    models: Path
    kinds: tuple[str, ...]
    rounds: int
    seconds: float
    peer: Path | None = None
    truth: Truth | None = None
    smaller: Path | None = None
    listed: bool = False


async def measure_ranking(plan: RankPlan, folder: Path, step: Step) -> list[Figure]:
    """Starts all contestants on the same bundle and measures them in turn."""
    registry = ModelRegistry(plan.models)
    bundle = registry.load(registry.published() or "")
    members = sample(bundle.member_ids.ids, _ASKED, SEED)
    known = listed_leads(bundle) if plan.listed else bundle.lead_ids.ids
    leads = sample(known, _ASKED, SEED)
    async with AsyncExitStack() as stack:

        def asker(address: str) -> Asker:
            made = Asker(address, members, leads)
            stack.push_async_callback(made.close)
            return made

        step("starting the service")
        _, address = await stack.enter_async_context(service(folder / "service", plan.models))
        ours = asker(address)
        samples = folder / "samples"
        samples.write_bytes(msgspec.msgpack.encode(await _samples(ours)))
        step("starting what it is compared with")
        floor_module = "benchmarks.hotpath.floor"
        address = await stack.enter_async_context(child_server(floor_module, str(samples)))
        askers = {"ours": ours, "floor": asker(address)}
        if plan.peer is not None:
            module, told = "benchmarks.hotpath.peer", (str(plan.models), str(plan.peer))
            address = await stack.enter_async_context(child_server(module, *told))
            askers["peer"] = asker(address)
        if plan.smaller is not None:
            other = service(folder / "smaller", plan.smaller)
            _, address = await stack.enter_async_context(other)
            askers["smaller"] = asker(address)
        rounds = await interleave(_contestants(plan, askers), plan.rounds, plan.seconds, step)
        step("comparing the lists with the exhaustive ranking")
        quality = await _quality(plan, Snapshot(bundle), known, askers, step)
    return _figures(plan, rounds, quality)


def _contestants(plan: RankPlan, askers: dict[str, Asker]) -> dict[str, tuple[Call, int]]:
    found = {}
    for kind in plan.kinds:
        for callers in CALLERS if kind != "batch" else (1,):
            for who, asker in askers.items():
                if who in ("ours", "floor") or kind == "recommend":
                    found[f"{kind}.{who}.{callers}"] = (asker.calls()[kind], callers)
    return found


async def _samples(asker: Asker) -> Samples:
    """A full page of both kinds, for the floor to imitate."""
    leads, members = await asker.recommend_reply(), await asker.match_reply()
    for _ in range(50):
        if len(leads.leads) < 10:
            leads = await asker.recommend_reply()
        if len(members.members) < 10:
            members = await asker.match_reply()
    return Samples(leads.SerializeToString(), members.SerializeToString())


async def _quality(
    plan: RankPlan,
    snapshot: Snapshot,
    known: Sequence[str],
    askers: dict[str, Asker],
    step: Step,
) -> dict[str, dict[str, float]]:
    """Contestant -> its figures of quality; "match" for the lists of members of `known` leads."""
    bundle = snapshot.bundle
    judge = None if plan.truth is None else Judge(bundle, snapshot, plan.truth)
    ids = judge.member_ids if judge else sample(bundle.member_ids.ids, _COMPARED, SEED + 1)
    found: dict[str, dict[str, float]] = {}
    if "recommend" in plan.kinds:
        exact = exhaustive(snapshot, members=ids[:_COMPARED])
        for who in set(askers) - {"floor", "smaller"}:
            served = await askers[who].lists_of(ids)
            found[who] = {"overlap_at_10": overlap(served, exact)}
            if judge is not None:
                found[who]["ndcg_at_10"] = judge.ndcg(served)
        if judge is not None:
            found["exhaustive"] = {"ndcg_at_10": judge.ndcg(exact)}
    if "match" in plan.kinds:
        step("comparing the lists of members")
        asked = sample(known, _COMPARED, SEED + 2)
        served = await askers["ours"].matches_of(asked)
        found["match"] = {"overlap_at_10": overlap(served, exhaustive(snapshot, leads=asked))}
    return found


def _figures(plan: RankPlan, rounds: Rounds, quality: dict[str, dict[str, float]]) -> list[Figure]:
    found: list[Figure] = []
    for kind in plan.kinds:
        found += _kind_figures(plan, kind, rounds, quality)
    if plan.peer is not None and "recommend" in plan.kinds:
        both = quality["ours"] | {f"peer_{k}": v for k, v in quality["peer"].items()}
        name = f"{plan.prefix}recommend"
        ratio = rounds.ratio("recommend.ours.16", "recommend.peer.16")
        found.append(_figure(f"{name}_over_peer", ratio, "×", both))
        if plan.truth is not None:
            better = quality["ours"]["ndcg_at_10"] / quality["peer"]["ndcg_at_10"]
            found.append(Figure(f"{name}_ndcg_over_peer", better, "×", quality=both))
    if plan.smaller is not None:
        cost = rounds.ratio("recommend.smaller.1", "recommend.ours.1")
        found.append(_figure(f"{plan.prefix}request_cost", cost, "×", quality["ours"]))
    if "recommend" in plan.kinds:
        ours = quality["ours"]
        found.append(Figure(f"{plan.prefix}overlap_at_10", ours["overlap_at_10"], quality=ours))
    return found


def _kind_figures(
    plan: RankPlan, kind: str, rounds: Rounds, quality: dict[str, dict[str, float]]
) -> list[Figure]:
    good = quality["match" if kind == "match" else "ours"]
    name = f"{plan.prefix}{kind}"
    found = []
    callers_of = (1,) if kind == "batch" else CALLERS
    for callers in callers_of:
        ours, floor = f"{kind}.ours.{callers}", f"{kind}.floor.{callers}"
        at = f"{name}_c{callers}"
        found.append(_figure(f"{at}_throughput", rounds.ratio(ours, floor), "of floor", good))
        unit = "members/s" if kind == "batch" else "calls/s"
        for who in ("ours", "floor", "peer", "smaller"):
            told = f"{kind}.{who}.{callers}"
            if told in rounds.found:
                mine = quality.get(who, {}) if who == "peer" else good if who == "ours" else {}
                found.append(_figure(f"{at}_{who}", rounds.per_second(told), unit, mine))
                for percent in (50, 99):
                    spread = rounds.percentile_ms(told, percent)
                    found.append(_figure(f"{at}_{who}_p{percent}", spread, "ms", mine))
        for percent in (50, 99):
            ratio = rounds.percentile_ratio(ours, floor, percent)
            found.append(_figure(f"{at}_p{percent}", ratio, "of floor", good))
    return found


def _figure(row: str, spread: Spread, unit: str, quality: dict[str, float]) -> Figure:
    return Figure(row, spread.median, unit, spread.ends, quality)
