"""`recsvc serve` as processes of its own, for tests that kill them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from recsvc.v1 import catalog_pb2
from recsvc.v1 import resources_pb2 as res

PARENT = "tenants/default"
READY = re.compile(
    r"recsvc ready on (?P<address>[^;]+); workers: (?P<workers>\d+); models: (?P<models>[^;]+); "
    r"persistence: (?P<persistence>[^;]+); metrics: (?P<metrics>.+)"
)


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
    """`recsvc serve` that is ready, until the context ends; whatever is left then is killed."""
    with starting(folder, **environment) as found:
        assert found.process.stdout is not None
        match = READY.match(found.process.stdout.readline())
        assert match is not None, found.log.read_text()[-2_000:]
        found.ready.update(match.groupdict())
        yield found


@contextmanager
def starting(folder: Path, **environment: str) -> Iterator[Running]:
    """`recsvc serve` that may not be ready yet."""
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
    found = Running(process, {}, log)
    try:
        yield found
    finally:
        for channel in found.channels:
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
