"""The whole service as processes: one port, restarts, draining, no orphans."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from tiny_bundle import publish_tiny

from recsvc.errors import ConfigError
from recsvc.ports import reserve_port
from recsvc.registry import ModelRegistry
from recsvc.v1 import (
    catalog_pb2,
    catalog_pb2_grpc,
    model_pb2,
    model_pb2_grpc,
    recommendation_pb2,
    recommendation_pb2_grpc,
)
from recsvc.v1 import resources_pb2 as res

PARENT = "tenants/default"
READY = re.compile(
    r"recsvc ready on (?P<address>[^;]+); workers: (?P<workers>\d+); models: (?P<models>[^;]+); "
    r"persistence: (?P<persistence>[^;]+); metrics: (?P<metrics>.+)"
)
LIST = recommendation_pb2.RecommendLeadsRequest(member=f"{PARENT}/members/m0")


@dataclass
class Running:
    """A service in processes of its own."""

    process: subprocess.Popen[str]
    ready: dict[str, str]
    log: Path
    channels: list[grpc.Channel] = field(default_factory=list)

    def stub(self, kind: Any) -> Any:
        """A stub on a connection of its own: the system gives it to any of the workers."""
        options = [("grpc.use_local_subchannel_pool", 1)]
        self.channels.append(grpc.insecure_channel(self.ready["address"], options))
        return kind(self.channels[-1])

    def children(self) -> dict[int, str]:
        """Process ids and command lines of the supervisor's children."""
        out = subprocess.run(
            ["ps", "-ww", "--ppid", str(self.process.pid), "-o", "pid=,args="],
            check=False, capture_output=True, text=True,
        ).stdout  # fmt: skip
        return {int(line.split()[0]): line for line in out.splitlines()}

    def child(self, word: str) -> int:
        return next(pid for pid, line in self.children().items() if word in line)

    def workers(self) -> list[int]:
        return [pid for pid, line in self.children().items() if "worker_process" in line]


@contextmanager
def running(folder: Path, **environment: str) -> Iterator[Running]:
    """`recsvc serve` until the context ends; whatever is left then is killed."""
    variables = {
        "RECSVC_MODELS_FOLDER": str(folder / "models"),
        "RECSVC_DATA_FOLDER": str(folder / "data"),
        "RECSVC_PORT": "0",
        "RECSVC_METRICS__PORT": "0",
        "RECSVC_DRAIN_SECONDS": "5",
        "RECSVC_HEARTBEAT_SECONDS": "0.3",
    }
    log = folder / "log"
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "recsvc.cli", "serve"],
            stdout=subprocess.PIPE, stderr=stderr, text=True, start_new_session=True,
            env=os.environ | variables | environment,
        )  # fmt: skip
    assert process.stdout is not None
    found: Running | None = None
    try:
        match = READY.match(process.stdout.readline())
        assert match is not None, log.read_text()[-2_000:]
        found = Running(process, match.groupdict(), log)
        yield found
    finally:
        for channel in found.channels if found else ():
            channel.close()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
        process.stdout.close()


def until(condition: Any, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be buried does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def answered(method: Any, request: Any) -> Any:
    """The reply, also when a worker or the store goes away and comes back meanwhile."""
    deadline = time.monotonic() + 20
    while True:
        try:
            return method(request, timeout=10, wait_for_ready=True)
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.UNAVAILABLE or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def write(stub: Any, identifier: str) -> str:
    lead = res.Lead(name=f"{PARENT}/leads/{identifier}", title=identifier)
    request = catalog_pb2.UpdateLeadRequest(lead=lead, allow_missing=True)
    return str(answered(stub.UpdateLead, request).revision)


def read(stub: Any, identifier: str, revision: str) -> str:
    name = f"{PARENT}/leads/{identifier}"
    request = catalog_pb2.GetLeadRequest(name=name, min_revision=revision)
    return str(answered(stub.GetLead, request).lead.title)


def test_workers_share_a_port_restart_and_leave_nothing_behind(tmp_path: Path) -> None:
    publish_tiny(ModelRegistry(tmp_path / "models"), "one")
    with running(tmp_path, RECSVC_WORKERS="2") as service:
        assert (service.ready["workers"], service.ready["models"]) == ("2", "default=one")
        assert "append-only file, fsync always" in service.ready["persistence"]
        stubs = [service.stub(catalog_pb2_grpc.CatalogServiceStub) for _ in range(6)]
        for number in range(12):
            revision = write(stubs[number % 6], f"a{number}")
            assert read(stubs[(number + 1) % 6], f"a{number}", revision) == f"a{number}"

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

        with urllib.request.urlopen(service.ready["metrics"]) as page:
            text = page.read().decode()
        assert re.search(
            r'recsvc_calls_total\{method="[^"]*UpdateLead",.*status="OK"\} 1[3-9]', text
        )
        assert 'recsvc_workers_serving{model="one",tenant="default"} 2.0' in text

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
