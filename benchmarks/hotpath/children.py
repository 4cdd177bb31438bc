"""The processes of a run: our service, the floor and the pick-up alternative, each one worker."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.hotpath.child_server import READY
from benchmarks.serving import ServiceProcess, ServingError
from recsvc.children import ending_with_parent
from recsvc.serving.processes import worker_environment

_START_SECONDS = 300.0


@asynccontextmanager
async def child_server(module: str, *arguments: str) -> AsyncGenerator[str, None]:
    """Runs `python -m module arguments`, with the environment of a worker; gives its address."""
    process = await asyncio.create_subprocess_exec(
        *ending_with_parent(sys.executable, "-m", module, *arguments),
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | worker_environment(""),
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(_START_SECONDS):
            line = (await process.stdout.readline()).decode()
        if not line.startswith(READY):
            raise ServingError(f"{module} did not start: {line!r}")
        yield f"127.0.0.1:{int(line.removeprefix(READY))}"
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


@asynccontextmanager
async def service(
    folder: Path,
    models: Path,
    workers: int = 1,
    settings: Mapping[str, str] | None = None,
) -> AsyncGenerator[tuple[ServiceProcess, str], None]:
    """Runs `recsvc serve` in `folder` as it is configured by default; gives it and its address."""
    process = ServiceProcess(folder, models, workers, settings)
    try:
        ready = await process.start()
        yield process, ready.address
        await process.stop()
    finally:
        await process.kill()
