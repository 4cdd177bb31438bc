"""The swap test: a short real run, and that it would notice a reply of two models."""

from __future__ import annotations

import asyncio
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fake_service import Script
from fake_service import serving as scripted
from rich.console import Console
from tiny_bundle import tiny_bundle

from benchmarks.small_model import variant
from benchmarks.swap import SwapError, SwapTest
from benchmarks.swap_answers import COUNT, Answer, Expected
from benchmarks.swap_load import SWAPPING, Load
from benchmarks.verdict import conclude
from recsvc.client import AsyncClient
from recsvc.errors import NoModelError
from recsvc.v1 import recommendation_pb2 as pb

NAME = "tenants/default/leads/l1"


def answer(model: int) -> Answer:
    return Answer(float(model), (("l1", model + 0.5, None, ("理由",)),))


EXPECTED = Expected(
    {f"model-{i}": {"m1": answer(i)} for i in range(3)},
    {f"model-{i}": {"l1": answer(i)} for i in range(3)},
)


def reply(model_id: str, score: float, baseline: float) -> pb.RecommendLeadsResponse:
    item = pb.RecommendedLead(lead=NAME, score=score, reasons=[pb.Reason(text="理由")])
    return pb.RecommendLeadsResponse(leads=[item], model_version=model_id, baseline=baseline)


def matched(score: float, baseline: float) -> pb.MatchMembersResponse:
    item = pb.MatchedMember(
        member="tenants/default/members/l1", score=score, reasons=[pb.Reason(text="理由")]
    )
    return pb.MatchMembersResponse(members=[item], model_version="model-1", baseline=baseline)


def batch(*replies: pb.RecommendLeadsResponse) -> pb.BatchRecommendLeadsResponse:
    rows = [pb.MemberRecommendation(member="tenants/default/members/m1", reply=r) for r in replies]
    return pb.BatchRecommendLeadsResponse(results=rows)


async def ask(script: Script, count: int) -> Load:
    """The load after so many requests; model-1 has been served by all from the start."""
    with scripted(script) as address:
        async with AsyncClient(address) as client:
            load = Load(client, EXPECTED, list(EXPECTED.leads), 1, seed=1)
            load.phase, load.oldest = SWAPPING, "model-1"
            running = asyncio.create_task(load.run(2))
            await load.until(count)
            load.stop()
            await running
    return load


def good_script() -> Script:
    script = Script()
    right = reply("model-1", 1.5, 1.0)
    script.on("RecommendLeads", right)
    script.on("MatchMembers", matched(1.5, 1.0))
    script.on("BatchRecommendLeads", [batch(right, right)])
    return script


async def test_right_answers_are_counted_by_phase() -> None:
    tally = (await ask(good_script(), 200)).tally
    assert (tally.failed, tally.mixed, tally.outdated) == ([], [], [])
    assert tally.count >= 200
    assert len(tally.seconds[SWAPPING]) > 150
    assert set(tally.models) == {"model-1"}


@pytest.mark.parametrize(
    ("method", "wrong"),
    [
        ("RecommendLeads", reply("model-1", 0.5, 1.0)),
        ("RecommendLeads", reply("model-1", 1.5, 0.0)),
        ("RecommendLeads", reply("model-2", 1.5, 1.0)),
        ("RecommendLeads", reply("model-9", 1.5, 1.0)),
        ("MatchMembers", matched(0.5, 1.0)),
        ("BatchRecommendLeads", [batch(reply("model-1", 1.5, 1.0), reply("model-2", 2.5, 2.0))]),
    ],
)
async def test_a_reply_that_is_not_its_model_s_is_noticed(method: str, wrong: object) -> None:
    script = good_script()
    script.on(method, wrong)
    assert (await ask(script, 100)).tally.mixed


async def test_failures_and_models_that_were_gone_are_noticed() -> None:
    script = good_script()
    script.on("RecommendLeads", reply("model-0", 0.5, 0.0))
    tally = (await ask(script, 60)).tally
    assert not tally.mixed
    assert "model-0 answered, all workers served model-1" in tally.outdated
    script.on("RecommendLeads", NoModelError("none"))
    tally = (await ask(script, 60)).tally
    assert tally.failed[0] == "NO_MODEL: none"


def test_models_that_cannot_be_told_apart_are_refused(tmp_path: Path) -> None:
    base = tiny_bundle("base")
    members = base.members._replace(vector=np.zeros_like(base.members.vector))
    leads = base.leads._replace(vector=np.zeros_like(base.leads.vector))
    flat = replace(base, members=members, leads=leads)
    with pytest.raises(SwapError, match="of the models rank differently"):
        SwapTest(tmp_path, flat, bundles=3).prepare()


def test_a_variant_has_scores_and_vectors_of_its_own() -> None:
    base = tiny_bundle("base")
    other = variant(base, "other", 5, new_vectors=True, seed=1)
    assert other.manifest.model_id == "other"
    assert other.ranker.intercept == pytest.approx(base.ranker.intercept + 0.05)
    lengths = [np.linalg.norm(b.leads.vector, axis=1) for b in (base, other)]
    np.testing.assert_allclose(lengths[0], lengths[1], rtol=1e-4)
    assert not np.allclose(base.leads.vector, other.leads.vector)
    same = variant(base, "same", 5, new_vectors=False, seed=1)
    assert same.leads.vector is base.leads.vector


@pytest.mark.slow
async def test_models_change_under_load(tmp_path: Path) -> None:
    test = SwapTest(tmp_path, tiny_bundle("base"), bundles=3)
    expected = test.prepare()
    counts: list[int] = []
    report = await test.run(expected, 600, counts.append)
    assert report.failures == []
    assert report.tally.count >= 600
    assert set(report.tally.models) == set(expected.leads)
    assert len(report.swap_seconds) == 3
    assert "leads/vector.npy" in report.problems["damaged"]
    assert "format 99" in report.problems["newer"]
    assert counts == sorted(counts)
    shown = io.StringIO()
    conclude(Console(file=shown, width=120), report, None)
    assert "format 99" in shown.getvalue()
    first = next(iter(expected.leads["model-00"].values()))
    assert len(first.rows) == COUNT
