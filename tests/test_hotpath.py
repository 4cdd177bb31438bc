"""What the hot path's benchmarks reckon with: limits, rounds, grown worlds, the floor."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import grpc
import numpy as np
import pytest

from benchmarks.hotpath.floor import FloorServicer, Samples, imitated
from benchmarks.hotpath.grown import grow
from benchmarks.hotpath.limits import LIMITS
from benchmarks.hotpath.memory import memory_of, served_bytes
from benchmarks.hotpath.open_loop import Fate, open_loop
from benchmarks.hotpath.outcome import Outcome
from benchmarks.hotpath.quality import Judge, exhaustive, overlap
from benchmarks.hotpath.rounds import Round, Rounds, Spread, closed_loop, interleave
from benchmarks.hotpath.serve_load import p99_by_part
from benchmarks.hotpath.worlds import Truth
from benchmarks.musts import Figure, Limit, Verdict, failing, judge
from recsvc.matching.pipeline import Pipeline
from recsvc.matching.queries import ListQuery
from recsvc.model.bundle import Bundle
from recsvc.model.snapshot import Snapshot
from recsvc.v1 import recommendation_pb2 as pb

MORE = Limit("more is better", 0.5, 0.7)
LESS = Limit("less is better", 2.0, 1.5, better="lower")


@pytest.mark.parametrize(
    ("limit", "value", "verdict"),
    [
        (MORE, 0.49, Verdict.FAILS),
        (MORE, 0.5, Verdict.MUST),
        (MORE, 0.7, Verdict.AIM),
        (MORE, float("nan"), Verdict.FAILS),
        (LESS, 2.1, Verdict.FAILS),
        (LESS, 2.0, Verdict.MUST),
        (LESS, 1.0, Verdict.AIM),
        (None, 0.0, Verdict.SHOWN),
    ],
)
def test_a_figure_is_judged_by_its_limit(
    limit: Limit | None, value: float, verdict: Verdict
) -> None:
    assert judge(Figure("row", value), limit) is verdict


def test_a_small_world_is_not_judged_by_limits_of_size() -> None:
    limits = {"size": MORE, "always": Limit("recall", 0.99, scaled=False)}
    figures = [Figure("size", 0.1), Figure("always", 0.9)]
    assert failing(figures, limits, full_size=False) == ["always 0.9 (must be ≥ 0.99)"]
    assert len(failing(figures, limits)) == 2


def test_the_limits_of_the_hot_path_are_sound() -> None:
    assert {"recommend_c16_throughput", "train_over_als", "recall_at_50_share_0_1"} <= set(LIMITS)
    for row, limit in LIMITS.items():
        if limit.must is not None and limit.aim is not None:
            assert (limit.aim > limit.must) == (limit.better == "higher"), row


def test_an_outcome_tells_what_fails() -> None:
    outcome = Outcome("serve", full_size=True, figures=[Figure("recommend_c16_throughput", 0.1)])
    assert outcome.as_json()["rows"][0]["verdict"] == "FAILS"
    assert outcome.failures == ["recommend_c16_throughput 0.1 (must be ≥ 0.5)"]


async def test_every_contestant_is_measured_in_every_round() -> None:
    counts = {"fast": 0, "slow": 0}

    async def fast() -> int:
        counts["fast"] += 1
        await asyncio.sleep(0.001)
        return 1

    async def slow() -> int:
        counts["slow"] += 1
        await asyncio.sleep(0.02)
        return 3

    found = await interleave({"fast": (fast, 2), "slow": (slow, 1)}, 3, 0.05)
    assert [len(rounds) for rounds in found.found.values()] == [3, 3]
    assert all(r.answers == 3 * len(r.latency_seconds) for r in found.found["slow"])
    assert sum(len(r.latency_seconds) for r in found.found["fast"]) < counts["fast"]


async def test_a_closed_loop_asks_at_least_once() -> None:
    async def ask() -> int:
        await asyncio.sleep(0.01)
        return 1

    found = await closed_loop(ask, 3, 0.0)
    assert found.answers == 3
    assert found.seconds >= 0.01


def test_ratios_are_taken_round_by_round() -> None:
    def rounds(*per_second: int) -> list[Round]:
        return [Round(1.0, n, np.full(10, 1.0 / n)) for n in per_second]

    found = Rounds({"a": rounds(10, 20, 90), "b": rounds(10, 40, 100)})
    assert found.ratio("a", "b") == Spread(0.9, 0.5, 1.0)
    assert found.percentile_ratio("a", "b", 99).highest == pytest.approx(2.0)


async def test_an_open_loop_tells_what_became_of_each_call() -> None:
    class Failure(grpc.aio.AioRpcError):
        def __init__(self, code: grpc.StatusCode) -> None:
            empty = grpc.aio.Metadata()
            super().__init__(code, empty, empty, "", "")

    turns = iter([None, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED] * 1_000)

    async def ask() -> None:
        await asyncio.sleep(0)
        code = next(turns)
        if code is not None:
            raise Failure(code)

    found = await open_loop(ask, 300.0, 0.2, seed=3)
    fates = {o.fate for o in found}
    assert fates == {Fate.GOOD, Fate.WRONG, Fate.LATE}
    assert 20 < len(found) < 120
    assert len(p99_by_part(found, 0.2, 4)) == 4


def test_a_grown_world_keeps_its_rows_and_ranks_its_copies(bundle: Bundle) -> None:
    members, leads = len(bundle.member_ids), len(bundle.lead_ids)
    grown = grow(bundle, 2 * members + 1, 3 * leads + 2, seed=5)
    assert len(grown.members.alive) == 2 * members + 1
    assert len(set(grown.leads.key.tolist())) == 3 * leads + 2
    np.testing.assert_array_equal(grown.leads.vector[:leads], bundle.leads.vector)
    lengths = np.linalg.norm(grown.leads.text, axis=1)
    np.testing.assert_allclose(lengths[leads : 2 * leads], lengths[:leads], atol=1e-5)
    assert grown.lead_records[3 * leads + 1] == bundle.lead_records[1]
    copy = grown.member_ids.ids[2 * members]
    assert Pipeline(Snapshot(grown)).recommend(copy, ListQuery(count=3)).items


def test_a_world_grows_in_files_as_in_memory(bundle: Bundle, tmp_path: Path) -> None:
    size = 2 * len(bundle.member_ids) + 3, len(bundle.lead_ids) + 7
    inside, outside = grow(bundle, *size, seed=5), grow(bundle, *size, seed=5, scratch=tmp_path)
    for kind in ("members", "leads"):
        for name, column in getattr(inside, kind)._asdict().items():
            np.testing.assert_array_equal(getattr(getattr(outside, kind), name), column)
    assert isinstance(outside.members.vector.base, np.memmap)


def test_overlap_and_ndcg_know_the_best_list(bundle: Bundle) -> None:
    snapshot = Snapshot(bundle)
    member = bundle.member_ids.ids[0]
    exact = exhaustive(snapshot, members=[member])
    assert overlap(exact, exact) == 1.0
    assert overlap({member: []}, exact) == 0.0
    items = Pipeline(snapshot).recommend(member, ListQuery(count=100)).items
    gain = np.zeros((1, len(bundle.lead_ids)), np.float32)
    gain[0, items[0].row] = 0.5
    judge = Judge(bundle, snapshot, Truth(np.zeros(1, np.int64), gain))
    best, last = items[0].id, items[-1].id
    assert judge.ndcg({member: [best]}) == pytest.approx(1.0)
    assert judge.ndcg({member: [last, best]}) == pytest.approx(1 / np.log2(3))


async def test_the_floor_answers_in_the_shape_of_what_it_imitates() -> None:
    reasons = [pb.Reason(code=pb.REASON_CODE_PLACE, weight=0.5, text="距您1公里")] * 3
    leads = pb.RecommendLeadsResponse(
        leads=[pb.RecommendedLead(lead=f"tenants/t/leads/{i}", reasons=reasons) for i in range(10)],
        model_version="m",
        removed=[pb.RemovedCount(reason=pb.FILTER_REASON_CLOSED, count=3)],
    )
    members = pb.MatchMembersResponse(members=[pb.MatchedMember(member="tenants/t/members/a")])
    floor = FloorServicer(Samples(leads.SerializeToString(), members.SerializeToString()))
    found = await floor.RecommendLeads(None, None)
    assert found.removed == leads.removed
    assert [item.lead for item in found.leads] == [item.lead for item in leads.leads]
    assert all(len(item.reasons) == 2 for item in found.leads)
    request = pb.BatchRecommendLeadsRequest(members=["x", "y"])
    parts = [part async for part in floor.BatchRecommendLeads(request, None)]
    assert [r.member for part in parts for r in part.results] == ["x", "y"]
    (member,) = (await floor.MatchMembers(None, None)).members
    assert member.member == "tenants/t/members/a"
    assert imitated(leads.leads[2], "x")[:2] == ("x", 0)


def test_memory_is_read_from_the_system(bundle: Bundle) -> None:
    found = memory_of(os.getpid())
    assert 0 < found.private <= found.resident
    assert served_bytes(bundle) > bundle.leads.vector.nbytes
