"""The whole service as processes: one port, restarts, draining, no orphans."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import urllib.request
from pathlib import Path

import pytest
from service_process import PARENT, Running, is_alive, read, running, starting, until, write
from tiny_bundle import publish_tiny

from recsvc.errors import ConfigError
from recsvc.model.registry import ModelRegistry
from recsvc.serving.ports import reserve_port
from recsvc.store.embedded import EmbeddedValkey
from recsvc.v1 import (
    catalog_pb2_grpc,
    model_pb2,
    model_pb2_grpc,
    recommendation_pb2,
    recommendation_pb2_grpc,
)

LIST = recommendation_pb2.RecommendLeadsRequest(member=f"{PARENT}/members/m0")


def metrics_of(service: Running) -> str:
    with urllib.request.urlopen(service.ready["metrics"]) as page:
        return str(page.read().decode())


def updates_counted(service: Running) -> int:
    """Leads written, by the metrics of all workers: they tell what they counted now and then."""
    pattern = r'recsvc_calls_total\{method="[^"]*UpdateLead",.*status="OK"\} (\d+)'
    return sum(int(count) for count in re.findall(pattern, metrics_of(service)))


def test_workers_share_a_port_restart_and_leave_nothing_behind(tmp_path: Path) -> None:
    publish_tiny(ModelRegistry(tmp_path / "models"), "one")
    with running(tmp_path, RECSVC_WORKERS="2") as service:
        assert (service.ready["workers"], service.ready["models"]) == ("2", "default=one")
        assert "append-only file, fsync always" in service.ready["persistence"]
        stubs = [service.stub(catalog_pb2_grpc.CatalogServiceStub) for _ in range(6)]
        for number in range(12):
            revision = write(stubs[number % 6], f"a{number}")
            assert read(stubs[(number + 1) % 6], f"a{number}", revision) == f"a{number}"

        until(lambda: updates_counted(service) == 12)
        first, second = service.workers()
        os.kill(first, signal.SIGKILL)
        until(lambda: len(service.workers()) == 2 and first not in service.workers())
        assert second in service.workers()
        until(lambda: service.log.read_text().count('"worker ready"') == 3)
        assert read(service.stub(catalog_pb2_grpc.CatalogServiceStub), "a3", revision) == "a3"

        os.kill(service.child("valkey-server"), signal.SIGKILL)
        until(lambda: "embedded valkey started again" in service.log.read_text())
        revision = write(stubs[0], "b")
        assert read(stubs[1], "b", revision) == "b"
        assert read(stubs[1], "a5", revision) == "a5"

        until(lambda: updates_counted(service) >= 13)
        assert 'recsvc_workers_serving{model="one",tenant="default"} 2.0' in metrics_of(service)

        publish_tiny(ModelRegistry(tmp_path / "models"), "two")
        service.process.send_signal(signal.SIGHUP)
        models = service.stub(model_pb2_grpc.ModelServiceStub)
        request = model_pb2.ListWorkersRequest(parent=PARENT)
        until(lambda: {w.model for w in models.ListWorkers(request, timeout=5).workers}
              == {f"{PARENT}/models/two"})  # fmt: skip
        left = list(service.children())
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(20) == 0
        assert not any(is_alive(pid) for pid in left)
        assert "Traceback" not in service.log.read_text()


def test_killed_at_any_moment_it_keeps_what_it_acknowledged(tmp_path: Path) -> None:
    publish_tiny(ModelRegistry(tmp_path / "models"), "one")
    written: dict[str, str] = {}
    for attempt in range(2):
        with running(tmp_path) as service:
            stub = service.stub(catalog_pb2_grpc.CatalogServiceStub)
            for identifier, revision in written.items():
                assert read(stub, identifier, revision) == identifier
            for number in range(20):
                identifier = f"k{attempt}-{number}"
                written[identifier] = write(stub, identifier)
            left = list(service.children())
            assert len(left) == 2
            os.kill(service.process.pid, signal.SIGKILL)  # the supervisor alone
            until(lambda left=left: not any(is_alive(pid) for pid in left), 5)


def test_draining_lets_calls_end(tmp_path: Path) -> None:
    publish_tiny(ModelRegistry(tmp_path / "models"), "one")
    with running(tmp_path, RECSVC_DRAIN_SECONDS="60") as service:
        stub = service.stub(recommendation_pb2_grpc.RecommendationServiceStub)
        stub.RecommendLeads(LIST, timeout=10)
        names = [f"{PARENT}/members/m{i % 12}" for i in range(1_000)]
        batch = recommendation_pb2.BatchRecommendLeadsRequest(parent=PARENT, members=names)
        parts = iter(stub.BatchRecommendLeads(batch, timeout=60))
        count = len(next(parts).results)
        service.process.send_signal(signal.SIGTERM)
        count += sum(len(part.results) for part in parts)
        assert count == 1_000
        assert service.process.wait(30) == 0


def refusal(folder: Path, **environment: str) -> str:
    """What a service says that does not start."""
    with pytest.raises(AssertionError) as raised, running(folder, **environment):
        pass
    return str(raised.value)


def test_it_does_not_start_on_what_it_cannot_use(tmp_path: Path) -> None:
    said = refusal(tmp_path, RECSVC_REQUIRE_DURABLE="true", RECSVC_EMBEDDED_FSYNC="everysec")
    assert "require_durable is set" in said
    assert "appendfsync always" in said
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert f"cannot listen on 127.0.0.1:{port}" in refusal(tmp_path, RECSVC_PORT=port)
        said = refusal(tmp_path, RECSVC_METRICS__PORT=port)
        assert "choose another metrics.port" in said
    assert "recsvc_models" not in said
    said = refusal(tmp_path, RECSVC_REQUIRE_DURABLE="true", RECSVC_REDIS_URL="redis://127.0.0.1:9")
    assert "require_durable is set, but the store cannot be asked" in said
    (tmp_path / "key.pem").write_text("no key")
    pem = str(tmp_path / "key.pem")
    said = refusal(tmp_path, RECSVC_TLS__CERTIFICATE=pem, RECSVC_TLS__KEY=pem)
    assert "worker 1 ended with code 1 before it could serve: its log lines say why" in said


async def test_a_store_of_ones_own_is_used_as_it_is(tmp_path: Path) -> None:
    publish_tiny(ModelRegistry(tmp_path / "models"), "one")
    token = {"sha256": "0" * 64, "tenant": "default", "role": "platform"}
    variables = {
        "RECSVC_METRICS__ENABLED": "false",
        "RECSVC_LOG_FORMAT": "console",
        "RECSVC_TOKENS": json.dumps([token]),
    }
    async with EmbeddedValkey(tmp_path / "theirs", fsync="everysec") as valkey:
        await asyncio.to_thread(served_once, tmp_path, variables | {"RECSVC_REDIS_URL": valkey.url})
    # It starts while that store is away, too: reads go on from the model.
    variables["RECSVC_STORE_ANSWER_SECONDS"] = "1"
    with running(tmp_path, **variables, RECSVC_REDIS_URL=valkey.url) as service:
        assert service.ready["persistence"] == "unknown, the store does not answer"
        assert service.ready["models"] == "default=one"


def served_once(folder: Path, variables: dict[str, str]) -> None:
    """Starts a service that uses somebody else's store, and ends it."""
    with running(folder, **variables) as service:
        assert "fsync everysec" in service.ready["persistence"]
        assert service.ready["metrics"] == "off"
        assert "worker_process" in "".join(service.children().values())
        assert "valkey" not in "".join(service.children().values())
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(20) == 0
        said = service.log.read_text()
    assert "the store is not durable" in said
    assert "no tokens are configured" not in said


def test_a_service_told_to_stop_while_it_starts_stops(tmp_path: Path) -> None:
    publish_tiny(ModelRegistry(tmp_path / "models"), "one")
    with starting(tmp_path) as service:
        until(lambda: service.workers())
        service.process.send_signal(signal.SIGTERM)
        left = list(service.children())
        assert service.process.wait(30) == 0
        assert not any(is_alive(pid) for pid in left)
        assert service.process.stdout is not None
        assert service.process.stdout.read() == ""


def test_a_second_service_does_not_join_a_port_silently() -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(ConfigError, match="stop what listens there"):
            reserve_port("127.0.0.1", other.getsockname()[1])


def test_a_reserved_port_is_for_its_workers() -> None:
    kept, address = reserve_port("localhost", 0)
    with kept:
        host, _, port = address.rpartition(":")
        assert host == "127.0.0.1"
        with socket.socket() as worker:
            worker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            worker.bind((host, int(port)))
            worker.listen()
            with socket.create_connection((host, int(port)), timeout=5):
                worker.accept()[0].close()
        with pytest.raises(ConfigError):
            reserve_port("127.0.0.1", int(port))
