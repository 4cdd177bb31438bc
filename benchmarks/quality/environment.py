"""The peers' own environment, and peers run in it: one process each, data by files."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.quality.peers.job import Job, load_reply, save
from benchmarks.quality.peers.names import TOO_LARGE
from benchmarks.quality.questions import Answer
from features.errors import RecsvcError

ROOT = Path(__file__).resolve().parents[2]
CONSTRAINTS = Path(__file__).with_name("peers-constraints.txt")
_LOG_LINES = 6
TOO_SLOW = "did not end"
TOO_SLOW = "did not end"
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


class PeersError(RecsvcError):
    """The peers' environment cannot be built."""


@dataclass(frozen=True)
class PeerEnvironment:
    """A virtual environment of the pinned peers; `build` makes it where it is not there yet."""

    folder: Path = ROOT / "build" / "peers"
    seconds: float = 900.0

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    @property
    def is_built(self) -> bool:
        """Whether it was built from the constraints as they are now."""
        stamp = self.folder / ".built"
        return stamp.is_file() and stamp.read_text() == _print_of_constraints()

    def build(self) -> None:
        """Makes it anew unless it is there. Raises PeersError with the end of pip's output."""
        if self.is_built:
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        self._run([sys.executable, "-m", "venv", str(self.folder)])
        install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        # All that is asked for is pinned: see the Makefile.
        pinned = ["--require-hashes", "--no-deps", "--requirement", str(CONSTRAINTS)]
        self._run([str(self.python), *install, *pinned])
        (self.folder / ".built").write_text(_print_of_constraints())

    def ask(self, name: str, job: Job, work: Path, share: int = 1) -> Answer:
        """What a peer answers; one that fails answers with a note that says why.

        It has one thread and, as one of `share` that run at a time, so much of the memory.
        """
        return self._ask(name, job, work, available_memory_bytes() // share)

    def _ask(self, name: str, job: Job, work: Path, memory_bytes: int) -> Answer:
        work.mkdir(parents=True, exist_ok=True)
        job_path, reply_path = work / "job.npz", work / "reply.npz"
        save(job, job_path)
        reply_path.unlink(missing_ok=True)
        command = [str(self.python), "-m", "benchmarks.quality.peers"]
        command += [name, str(job_path), str(reply_path), str(memory_bytes)]
        environment = os.environ | {"PYTHONPATH": str(ROOT)} | ONE_THREAD
        try:
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, timeout=self.seconds
            )
        except subprocess.TimeoutExpired:
            return Answer(note=f"{TOO_SLOW} within {self.seconds / 60:.0f} minutes")
        finally:
            job_path.unlink()
        if done.returncode in (TOO_LARGE, -9):
            return Answer(note=f"does not fit into {memory_bytes / 2**30:.0f} GiB of memory")
        if done.returncode:
            return Answer(note=f"failed: {_end_of(done.stderr)}")
        reply = load_reply(reply_path)
        scores = reply.scores.astype(np.float64) if len(reply.scores) else None
        rows = reply.rows if scores is None else None
        return Answer(rows, scores, seconds=reply.seconds, note=f"{reply.peak_mib:,.0f} MiB")

    def _run(self, command: list[str]) -> None:
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise PeersError(f"the peers cannot be installed: {_end_of(done.stderr)}")


def available_memory_bytes() -> int:
    """What Linux says is available."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise PeersError("/proc/meminfo does not say how much memory is available")


def _print_of_constraints() -> str:
    return hashlib.sha256(CONSTRAINTS.read_bytes()).hexdigest()


def _end_of(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if not line.startswith("WARNING")]
    return " | ".join(lines[-_LOG_LINES:])[-600:]
