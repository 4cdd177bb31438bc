"""`recsvc serve` as a child, and everything it starts: watched, killed, counted.

Every process of a service works in the service's folder, so it is found there whatever parent,
process group or session it has (Linux: /proc).
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from features.errors import RecsvcError
from recsvc.children import ending_with_parent

START_SECONDS = 180.0
STOP_SECONDS = 30.0
_POLL_SECONDS = 0.01
_LOG_LINES = 15
_READY = re.compile(
    r"recsvc ready on (?P<address>\S+); workers: (?P<workers>\d+); models: (?P<models>.*); "
    r"persistence: (?P<persistence>.*); metrics: "
)


class ServingError(RecsvcError):
    """The service did not start, or did not end as it should."""


@dataclass(frozen=True)
class Ready:
    """What a service says when it serves, and how long that took."""

    address: str
    workers: int
    models: str
    persistence: str
    seconds: float


class ServiceProcess:
    """`recsvc serve` on a free port, in a process group and session of its own.

    `settings` are RECSVC_* variables without their prefix. What it logs is added to
    `folder/server.log`.
    """

    def __init__(
        self,
        folder: Path,
        models: Path,
        workers: int = 2,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder.resolve()
        self.log_path = self.folder / "server.log"
        given = {
            "MODELS_FOLDER": str(models.resolve()),
            "DATA_FOLDER": str(self.data_folder),
            "PORT": "0",
            "WORKERS": str(workers),
            "METRICS__PORT": "0",
        } | dict(settings or {})
        kept = {k: v for k, v in os.environ.items() if not k.startswith("RECSVC_")}
        self._environment = kept | {f"RECSVC_{k}": v for k, v in given.items()}
        self._process: asyncio.subprocess.Process | None = None

    @property
    def data_folder(self) -> Path:
        """Where the embedded store and the service's keys are."""
        return self.folder / "data"

    @property
    def process_id(self) -> int:
        """The supervisor."""
        assert self._process is not None, "it was started"
        return self._process.pid

    async def start(self) -> Ready:
        """Returns when every worker serves. Call it in the main thread: it ends with that.

        Raises ServingError with the end of the log.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        begin = time.perf_counter()
        with self.log_path.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *ending_with_parent(sys.executable, "-m", "recsvc.cli", "serve"),
                cwd=self.folder,
                env=self._environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(START_SECONDS):
                line = (await self._process.stdout.readline()).decode()
        except TimeoutError:
            line = ""
        found = _READY.match(line)
        if found is None:
            await self.kill()
            raise ServingError(f"the service did not start: {line}\n{self.log_end()}")
        return Ready(
            found["address"],
            int(found["workers"]),
            found["models"],
            found["persistence"],
            time.perf_counter() - begin,
        )

    def running(self) -> dict[int, str]:
        """Process id -> command of everything of this service that has not ended."""
        found = {}
        for path in Path("/proc").glob("[0-9]*"):
            try:
                if (path / "cwd").readlink().is_relative_to(self.folder):
                    found[int(path.name)] = (path / "comm").read_text().strip()
            except OSError:  # it has ended, or is somebody else's
                continue
        return found

    def kill_group(self, *, store_first: bool = False) -> None:
        """SIGKILL to the whole group and, in the same moment, to what has a group of its own: the
        embedded Valkey.
        """
        group = self.process_id
        alone = [pid for pid in self.running() if _group_of(pid) not in (group, None)]
        if not store_first:
            os.killpg(group, signal.SIGKILL)
        for pid in alone:
            _kill(pid)
        if store_first:
            os.killpg(group, signal.SIGKILL)

    def kill_supervisor(self) -> None:
        """SIGKILL to the supervisor alone."""
        _kill(self.process_id)

    async def until_gone(self, within_seconds: float) -> tuple[float, dict[int, str]]:
        """Seconds until nothing was left, and what is left nevertheless (it is killed then)."""
        assert self._process is not None
        begin = time.perf_counter()
        left = self.running()
        while left and time.perf_counter() - begin < within_seconds:
            await asyncio.sleep(_POLL_SECONDS)
            left = self.running()
        seconds = time.perf_counter() - begin
        for pid in left:
            _kill(pid)
        await self._process.wait()
        return seconds, left

    async def kill(self) -> None:
        """Ends all of it, whatever its state; nothing when it was never started."""
        if self._process is None:
            return
        for pid in self.running():
            _kill(pid)
        await self.until_gone(STOP_SECONDS)

    async def stop(self) -> None:
        """Ends it in order; raises ServingError when it does not end well or leaves anything."""
        assert self._process is not None
        self._process.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                code = await self._process.wait()
        except TimeoutError:
            await self.kill()
            raise ServingError(
                f"the service did not stop within {STOP_SECONDS:.0f} s\n{self.log_end()}"
            ) from None
        _, left = await self.until_gone(1.0)
        if code or left:
            raise ServingError(f"the service ended with {code}, left {left}\n{self.log_end()}")

    def log_end(self) -> str:
        """The last lines of its log."""
        return "\n".join(self.log_path.read_text("utf-8", "replace").splitlines()[-_LOG_LINES:])


def _group_of(process_id: int) -> int | None:
    """None when it has ended."""
    try:
        return os.getpgid(process_id)
    except ProcessLookupError:
        return None


def _kill(process_id: int) -> None:
    try:
        os.kill(process_id, signal.SIGKILL)
    except ProcessLookupError:
        return
