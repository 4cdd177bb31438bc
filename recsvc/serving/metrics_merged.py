"""One exposition of several processes.

Each writes its numbers into files of PROMETHEUS_MULTIPROC_DIR (prometheus_client's multiprocess
mode), the supervisor adds them up and serves them on one port. Without that variable the numbers
stay in the process.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from recsvc.errors import ConfigError


def serve_merged(folder: Path, host: str, port: int) -> tuple[int, Callable[[], None]]:
    """Serves the numbers of all processes that write to `folder`; (port, how to stop).

    Raises ConfigError when the port is taken.
    """
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(folder))  # type: ignore[no-untyped-call]
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        raise ConfigError(
            f"metrics cannot be served on {host}:{port} ({error.strerror}): choose another "
            "metrics.port, or switch metrics.enabled off"
        ) from error

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return int(server.server_address[1]), stop


def forget_process(folder: Path, process_id: int) -> None:
    """Takes the gauges of a process that has ended out of the exposition."""
    mark_process_dead(process_id, str(folder))  # type: ignore[no-untyped-call]


def clear_folder(folder: Path) -> None:
    """An empty folder for a new run's numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.db"):
        path.unlink(missing_ok=True)
