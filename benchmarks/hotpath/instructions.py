"""Instructions of a request and of scoring a pair, counted by callgrind: they do not depend on what
else the machine does.

Kernels are compiled for one named processor into a cache of their own, without AVX-512 that
callgrind does not know, so that figures of two machines can be compared. Counting is on while a
request is answered, Python's part included, and off while the program starts.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from pathlib import Path

from benchmarks.hotpath.instructions_child import PAIRS
from benchmarks.hotpath.worlds import Step
from benchmarks.musts import Figure
from benchmarks.serving import ServingError
from recsvc.serving.processes import worker_environment

_PROCESSOR = {
    "NUMBA_CPU_NAME": "haswell",
    "NUMBA_CPU_FEATURES": "+sse4.2,+popcnt,+avx,+avx2,+bmi,+bmi2,+fma",
}
_CHILD = ("-m", "benchmarks.hotpath.instructions_child")
_REQUESTS = 20
_SECONDS = 900.0


def can_count() -> bool:
    """Whether valgrind is installed."""
    return all(shutil.which(name) for name in ("valgrind", "callgrind_control"))


async def measure_instructions(models: Path, folder: Path, step: Step) -> list[Figure]:
    """Per request (RecommendLeads, MatchMembers) and per scored pair, in process."""
    environment = os.environ | worker_environment("") | _PROCESSOR
    environment["NUMBA_CACHE_DIR"] = str(models.parent / "numba-haswell")
    step("compiling kernels for callgrind")
    warm = await _start([sys.executable, *_CHILD, str(models)], folder, environment)
    await _end(warm)
    step("starting under callgrind")
    out = folder / "callgrind.out"
    command = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out}"]
    child = await _start([*command, sys.executable, *_CHILD, str(models)], folder, environment)
    found = []
    try:
        for number, (kind, each) in enumerate(
            (("recommend", 1), ("match", 1), ("pairs", PAIRS)), start=1
        ):
            step(f"counting instructions: {kind}")
            await _control(child.pid, folder, "-i", "on")
            await _ask(child, f"{kind} {_REQUESTS}")
            await _control(child.pid, folder, "-i", "off")
            await _control(child.pid, folder, "-d")
            count = _total(out.with_name(f"{out.name}.{number}")) / _REQUESTS / each
            row = f"instructions_{'pair' if kind == 'pairs' else kind}"
            note = f"{_REQUESTS} requests, {_PROCESSOR['NUMBA_CPU_NAME']}"
            found.append(Figure(row, count, "instructions", note=note))
    finally:
        await _end(child)
    return found


async def _start(
    command: list[str], folder: Path, environment: dict[str, str]
) -> asyncio.subprocess.Process:
    with (folder / "callgrind.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            env=environment,
        )
    await _hear(process, "ready")
    return process


async def _ask(process: asyncio.subprocess.Process, line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{line}\n".encode())
    await process.stdin.drain()
    await _hear(process, "done")


async def _hear(process: asyncio.subprocess.Process, word: str) -> None:
    assert process.stdout is not None
    async with asyncio.timeout(_SECONDS):
        line = (await process.stdout.readline()).decode().strip()
    if line != word:
        raise ServingError(f"the counted process said {line!r}, not {word!r}")


async def _control(process_id: int, folder: Path, *arguments: str) -> None:
    control = await asyncio.create_subprocess_exec(
        "callgrind_control",
        *arguments,
        str(process_id),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=folder,
    )
    if await control.wait():
        raise ServingError(f"callgrind_control {' '.join(arguments)} failed")


async def _end(process: asyncio.subprocess.Process) -> None:
    assert process.stdin is not None
    process.stdin.close()
    await process.wait()


def _total(path: Path) -> int:
    """Instructions in a dump of callgrind."""
    for line in path.read_text("utf-8", "replace").splitlines():
        name, _, value = line.partition(":")
        if name == "totals":
            return int(value.split()[0])
    raise ServingError(f"{path} has no totals")
