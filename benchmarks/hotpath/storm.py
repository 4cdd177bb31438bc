"""A storm of calls from a process of its own: `python -m benchmarks.hotpath.storm ADDRESS RATE
SECONDS MEMBERS_FILE`.

A caller that shares a process with whoever measures hides what the service does: its own event loop
is busy with thousands of calls. Says "ready" when connected, storms when told to by a line, and
then says what became of its calls.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from pathlib import Path

import msgspec
import numpy as np

from benchmarks.hotpath.asking import Asker
from benchmarks.hotpath.open_loop import Fate, Outcome, open_loop
from benchmarks.hotpath.worlds import SEED
from recsvc.client.options import Timeouts
from recsvc.serving.collector import leave_to_reference_counts

READY = "ready"


class Storm(msgspec.Struct, frozen=True):
    """What was sent and what became of it. `sent_at` is when the last call began, on the clock that
    all processes share (`time.monotonic`); latencies in milliseconds.
    """

    calls: int
    seconds: float  # from the first call to the last
    sent_at: float
    ended_seconds: float  # from the beginning of the last call to the end of all
    fates: dict[str, int]
    good_p50_ms: float
    good_p99_ms: float
    texts: list[str]  # of what was neither good nor shed

    def count(self, fate: Fate) -> int:
        """How many calls ended so."""
        return self.fates.get(fate.value, 0)


async def storm(address: str, per_second: float, seconds: float, members: list[str]) -> Storm:
    """Asks with the deadline of the shipped client, on one connection, as a backend does."""
    asker = Asker(address, members, [], Timeouts().read_seconds)
    await asker.recommend()
    # Ten thousand calls at hand are a heap that a collector looks through again and again.
    leave_to_reference_counts()
    print(READY, flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    begin, sent = time.monotonic(), asyncio.Event()
    storming = asyncio.create_task(open_loop(asker.recommend, per_second, seconds, SEED, sent))
    await sent.wait()
    sent_at = time.monotonic()
    outcomes = await storming
    ended_seconds = time.monotonic() - sent_at
    await asker.close()
    return _told(outcomes, sent_at - begin, sent_at, ended_seconds)


def _told(outcomes: list[Outcome], seconds: float, sent_at: float, ended_seconds: float) -> Storm:
    good = [1_000 * o.seconds for o in outcomes if o.fate is Fate.GOOD] or [float("nan")]
    half, most = (float(np.percentile(good, percent)) for percent in (50, 99))
    fates = Counter(o.fate.value for o in outcomes)
    texts = sorted({o.text for o in outcomes if o.fate in (Fate.WRONG, Fate.LATE)})[:2]
    return Storm(len(outcomes), seconds, sent_at, ended_seconds, dict(fates), half, most, texts)


def _main() -> None:
    address, per_second, seconds, file = sys.argv[1:]
    members = Path(file).read_text("utf-8").split()
    told = asyncio.run(storm(address, float(per_second), float(seconds), members))
    print(msgspec.json.encode(told).decode(), flush=True)


if __name__ == "__main__":
    _main()
