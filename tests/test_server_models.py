"""Models: published, swapped in under load, activated, rolled back, refused; no model at all."""

from __future__ import annotations

import asyncio
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from service import PARENT, Service, refused, serving
from support.worlds import CONFIG, tiny_dataset, tiny_events
from tiny_bundle import put_model

from recsvc.cli import main
from recsvc.model.manifest import Manifest, Quality
from recsvc.store.protocol import Activation
from recsvc.v1 import catalog_pb2, model_pb2, push_pb2
from recsvc.v1 import recommendation_pb2 as pb
from recsvc.v1 import resources_pb2 as res
from training.logs import write_dataset
from training.nightly import Training

MEMBER = f"{PARENT}/members/m0"
ANY_LIST = pb.RecommendLeadsRequest(member=MEMBER)
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def model_name(model_id: str) -> str:
    return f"{PARENT}/models/{model_id}"


async def health(service: Service, name: str = "") -> int:
    stub: Any = health_pb2_grpc.HealthStub(service.channel)
    return int((await stub.Check(health_pb2.HealthCheckRequest(service=name))).status)


async def activate(service: Service, model_id: str) -> str:
    request = model_pb2.ActivateModelRequest(name=model_name(model_id))
    return str((await service.model.ActivateModel(request)).revision)


async def states(service: Service) -> dict[str, int]:
    reply = await service.model.ListModels(model_pb2.ListModelsRequest(parent=PARENT))
    return {m.name.rpartition("/")[2]: m.state for m in reply.models}


async def test_without_a_model_the_catalog_works_and_ranking_says_so(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        assert await health(service) == NOT_SERVING
        assert await health(service, "recsvc.v1.RecommendationService") == NOT_SERVING
        assert await health(service, "recsvc.v1.CatalogService") == SERVING
        told = await refused(service.recommendation.RecommendLeads(ANY_LIST))
        assert (told.code, told.reason) == ("FAILED_PRECONDITION", "NO_MODEL")
        lead = res.Lead(name=f"{PARENT}/leads/early", title="道路拥堵", topics=["交通"])
        request = catalog_pb2.UpdateLeadRequest(lead=lead, allow_missing=True)
        revision = (await service.catalog.UpdateLead(request)).revision
        read = catalog_pb2.GetLeadRequest(name=lead.name, min_revision=revision)
        assert (await service.catalog.GetLead(read)).lead.title == "道路拥堵"

        service.publish("first")
        await service.until_live("first")
        await asyncio.sleep(0)
        assert await health(service) == SERVING
        ask = pb.RecommendLeadsRequest(member=MEMBER, page_size=100, min_revision=revision)
        reply = await service.recommendation.RecommendLeads(ask)
        assert lead.name in {item.lead for item in reply.leads}
        assert reply.model_version == "first"


async def test_a_swap_under_load_fails_nothing_and_mixes_nothing(tmp_path: Path) -> None:
    async with serving(tmp_path, "v0") as service:
        done = asyncio.Event()
        seen: list[str] = []

        async def ask() -> None:
            while not done.is_set():
                reply = await service.recommendation.RecommendLeads(ANY_LIST)
                seen.append(reply.model_version)
                page = pb.BatchRecommendLeadsRequest(parent=PARENT, members=[MEMBER] * 5)
                parts = [p async for p in service.recommendation.BatchRecommendLeads(page)]
                models = {r.reply.model_version for part in parts for r in part.results}
                assert len(models) == 1

        askers = [asyncio.create_task(ask()) for _ in range(4)]
        for number in range(1, 4):
            service.publish(f"v{number}")
            await service.until_live(f"v{number}")
        done.set()
        await asyncio.gather(*askers)
        seen.append((await service.recommendation.RecommendLeads(ANY_LIST)).model_version)
        assert [m for i, m in enumerate(seen) if i == 0 or m not in seen[:i]] == [
            "v0", "v1", "v2", "v3"
        ]  # fmt: skip
        assert await states(service) == {
            "v3": model_pb2.MODEL_STATE_ACTIVE,
            **{f"v{i}": model_pb2.MODEL_STATE_AVAILABLE for i in range(3)},
        }


async def test_a_push_is_explained_by_the_model_that_planned_it(tmp_path: Path) -> None:
    """Word for word, whatever model serves meanwhile, and when the planning one is gone."""
    async with serving(tmp_path, "a", "b") as one:
        await one.until_live("b")
        plan = await one.push.PlanPushes(push_pb2.PlanPushesRequest(parent=PARENT, commit=True))
        ask = pb.ExplainRequest(parent=PARENT, push_id=plan.pushes[0].name.rsplit("/", 1)[1])
        before = await one.recommendation.Explain(ask)
        revision = await activate(one, "a")
        shutil.rmtree(one.registry.folder / "b")
        live = pb.RecommendLeadsRequest(member=MEMBER, min_revision=revision)
        assert (await one.recommendation.RecommendLeads(live)).model_version == "a"
        after = await one.recommendation.Explain(ask)
    assert before.model_version == "b"
    assert before.terms
    assert after == before


async def test_activation_and_rollback_are_followed_by_every_worker(tmp_path: Path) -> None:
    async with serving(tmp_path, "a", "b", "c") as one:
        await one.until_live("c")
        async with serving(tmp_path, valkey=one.valkey, worker_id="worker-2") as two:
            for model_id in ("a", "b"):
                revision = await activate(one, model_id)
                # Asked for that revision, any worker answers with that model.
                ask = pb.RecommendLeadsRequest(member=MEMBER, min_revision=revision)
                reply = await two.recommendation.RecommendLeads(ask)
                assert reply.model_version == model_id
            back = model_pb2.RollbackModelRequest(parent=PARENT, reason="worse for counties")
            for expected in ("a", "c"):
                reply = await two.model.RollbackModel(back)
                assert reply.model.name == model_name(expected)
                ask = pb.RecommendLeadsRequest(member=MEMBER, min_revision=reply.revision)
                found = await one.recommendation.RecommendLeads(ask)
                assert found.model_version == expected
            assert (await refused(one.model.RollbackModel(back))).reason == "NO_PREVIOUS_MODEL"
            await asyncio.sleep(0.5)
            workers = await one.model.ListWorkers(model_pb2.ListWorkersRequest(parent=PARENT))
            assert [(w.worker, w.model, w.problem) for w in workers.workers] == [
                ("worker-1", model_name("c"), ""),
                ("worker-2", model_name("c"), ""),
            ]
            assert workers.durability.append_only


async def test_a_restart_serves_what_was_activated_not_what_was_published(tmp_path: Path) -> None:
    async with serving(tmp_path, "a", "b") as service:
        await service.until_live("b")
        await activate(service, "a")
        await service.until_live("a")
        async with serving(tmp_path, valkey=service.valkey, worker_id="worker-2") as again:
            assert again.server.workers["default"].live_model == "a"
            await asyncio.sleep(0.3)
            assert again.server.workers["default"].live_model == "a"


async def test_a_damaged_bundle_is_refused_and_the_old_one_serves(tmp_path: Path) -> None:
    async with serving(tmp_path, "good") as service:
        bad = publish_damaged(service, "bad")
        while not service.log_lines("model refused"):
            await asyncio.sleep(0.02)
        (line,) = service.log_lines("model refused")
        assert line["model"] == "bad"
        assert "damaged (members/text.npy" in line["problem"]
        reply = await service.recommendation.RecommendLeads(ANY_LIST)
        assert reply.model_version == "good"
        call = service.model.ActivateModel(model_pb2.ActivateModelRequest(name=model_name("bad")))
        told = await refused(call)
        assert (told.code, told.reason) == ("FAILED_PRECONDITION", "MODEL_UNUSABLE")
        assert "members/text.npy" in told.message
        await asyncio.sleep(0.3)
        workers = await service.model.ListWorkers(model_pb2.ListWorkersRequest(parent=PARENT))
        assert "members/text.npy" in workers.workers[0].problem
        # It is repaired in place: SIGHUP looks again.
        shutil.copyfile(service.registry.folder / "whole.npy", bad)
        service.server.look_for_models()
        await service.until_live("bad")


def publish_damaged(service: Service, model_id: str) -> Path:
    """Publishes a bundle with one flipped bit; its file, a sound copy lies beside the folder."""
    bad = put_model(service.registry, model_id) / "members" / "text.npy"
    shutil.copyfile(bad, service.registry.folder / "whole.npy")
    data = bytearray(bad.read_bytes())
    data[-1] ^= 1
    bad.write_bytes(bytes(data))
    service.registry.mark_published(model_id)
    return bad


async def test_an_active_model_that_cannot_be_used_leaves_reads_working(tmp_path: Path) -> None:
    """Another worker could load it, this one cannot: it goes on with what it has and says so."""
    async with serving(tmp_path, "good") as service:
        while not await service.store.activations("default"):
            await asyncio.sleep(0.02)
        revision = await service.store.activate("default", Activation("gone", 1, "elsewhere"))
        ask = pb.RecommendLeadsRequest(member=MEMBER, min_revision=str(revision))
        reply = await service.recommendation.RecommendLeads(ask)
        assert reply.model_version == "good"
        assert "there is none" in service.server.workers["default"].models.problem


async def test_unknown_models_and_how_models_are_described(tmp_path: Path) -> None:
    async with serving(tmp_path, "a") as service:
        told = await refused(
            service.model.GetModel(model_pb2.GetModelRequest(name=model_name("x")))
        )
        assert (told.code, told.reason) == ("NOT_FOUND", "UNKNOWN_MODEL")
        request = model_pb2.GetModelRequest(name=model_name("a"))
        found = (await service.model.GetModel(request)).model
        assert found.state == model_pb2.MODEL_STATE_ACTIVE
        assert (found.calibrated, list(found.embeddings)) == (True, ["spectral"])
        assert (found.metrics[0].metric, found.metrics[0].value) == ("ndcg@10", 0.5)
        assert found.checks[0].passed
        assert found.training_start_time.seconds < found.training_end_time.seconds
        switch = model_pb2.ActivateModelRequest(name=model_name("a"), reason="x" * 1_001)
        assert (await refused(service.model.ActivateModel(switch))).reason == "TEXT_TOO_LONG"


async def test_what_training_wrote_of_its_quality_is_what_operators_see(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data, folder = tiny_dataset(), tmp_path / "set"
    write_dataset(folder, members=data.members, leads=data.leads, events=tiny_events())
    training = Training(CONFIG, "default", lambda _: None)
    report = await asyncio.to_thread(training.publish, folder, tmp_path / "models")
    evaluation = report.evaluation
    assert evaluation is not None
    measured = {(f.name, f.cohort): f for f in evaluation.figures if not math.isnan(f.value)}
    async with serving(tmp_path) as service:
        request = model_pb2.GetModelRequest(name=model_name(report.model_id))
        found = (await service.model.GetModel(request)).model
        assert found.metrics[0].metric == evaluation.primary
        assert {(m.metric, m.cohort) for m in found.metrics} == set(measured)
        for metric in found.metrics:
            figure = measured[metric.metric, metric.cohort]
            told = (metric.value, metric.interval_low, metric.interval_high, metric.count)
            wanted = (figure.value, figure.low, figure.high, figure.count)
            assert told == pytest.approx(wanted, abs=1e-6, nan_ok=True)
        assert [(c.check, c.passed, c.detail) for c in found.checks] == [
            (check.name, check.passed, check.detail) for check in report.checks
        ]
        assert found.calibrated is report.calibrated
        assert list(found.embeddings) == report.embedding.split("+")

        monkeypatch.setenv("RECSVC_ADDRESS", f"127.0.0.1:{service.port}")
        monkeypatch.setenv("COLUMNS", "200")
        for command in (["list"], ["show", report.model_id]):
            with pytest.raises(SystemExit, match="0"):
                await asyncio.to_thread(main, ["models", *command])
            best = measured[evaluation.primary, "all"]
            assert best.name in (shown := capsys.readouterr().out)
            assert f"{best.value:.4f}" in shown


def test_quality_of_an_unknown_shape_is_no_quality() -> None:
    for metrics in ({"figures": 5}, {"checks": [{"passed": True}]}):
        assert Manifest(model_id="x", metrics=metrics).quality == Quality()
    assert Manifest(model_id="x", metrics={"later": 1, "primary": "mrr"}).quality.primary == "mrr"
