"""A real service as a child process, for the demo: started, waited for, stopped."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from features.errors import RecsvcError

START_SECONDS = 120.0
STOP_SECONDS = 30.0
_LOG_LINES = 15
_READY = re.compile(r"^recsvc ready on ([^;\s]+);", re.MULTILINE)


class DemoError(RecsvcError):
    """A step of the demo did not do what it has to."""


class Service:
    """`recsvc serve` on a free port with an embedded store."""

    def __init__(self, folder: Path, models: Path, workers: int) -> None:
        self.log_path = folder / "server.log"
        self._command = [
            *(sys.executable, "-m", "recsvc.cli", "serve"),
            *("--models", str(models)),
            *("--data-dir", str(folder / "store")),
            *("--port", "0"),
            *("--workers", str(workers)),
            *("--metrics-port", "0"),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it, out of reach of the terminal's Ctrl-C, so that it can be stopped in order."""
        with self.log_path.open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait(self) -> str:
        """The address, when every worker serves; raises DemoError with the end of the log."""
        end = time.monotonic() + START_SECONDS
        while (ready := _READY.search(self.log_path.read_text("utf-8", "replace"))) is None:
            ended = self._process is None or self._process.poll() is not None
            if ended or time.monotonic() > end:
                raise DemoError(f"the service did not start\n{self._log_end()}")
            time.sleep(0.05)
        return ready[1]

    def stop(self) -> None:
        """Stops it in order; raises DemoError when it does not end well."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise DemoError(
                f"the service did not stop within {STOP_SECONDS:.0f} s\n{self._log_end()}"
            ) from None
        if code != 0:
            raise DemoError(f"the service ended with status {code}\n{self._log_end()}")

    def _log_end(self) -> str:
        lines = self.log_path.read_text("utf-8", "replace").splitlines()
        return "\n".join(lines[-_LOG_LINES:])


@contextmanager
def running(service: Service) -> Iterator[None]:
    """Stops the service whatever happens; an error inside counts for more than one in stopping."""
    service.start()
    try:
        yield
    except BaseException:
        with suppress(DemoError):
            service.stop()
        raise
    service.stop()
