"""A storm of calls from a process of its own: `python -m benchmarks.hotpath.storm ADDRESS RATE
SECONDS MEMBERS_FILE`.

A caller that shares a process with whoever measures hides what the service does: its own event loop
is busy with thousands of calls. Says "ready" when connected, storms when told to by a line, and
then says what became of its calls.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from pathlib import Path

import grpc
import msgspec
import numpy as np

from benchmarks.hotpath.asking import COUNT, member_name
from benchmarks.hotpath.http2_caller import Ended, Headers, Http2Caller
from benchmarks.hotpath.open_loop import Fate, arrivals, fate_of
from benchmarks.hotpath.worlds import SEED
from recsvc.client.options import Timeouts
from recsvc.v1 import recommendation_pb2 as pb

READY = "ready"
_METHOD = "/recsvc.v1.RecommendationService/RecommendLeads"
_TURN_SECONDS = 0.001
"""Calls are sent and answers taken so often, together: a turn for each took half a processor."""
_CODES = {str(code.value[0]): code for code in grpc.StatusCode}


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


class _Tally:
    """What became of calls."""

    def __init__(self) -> None:
        self.fates: Counter[str] = Counter()
        self.good_ms: list[float] = []
        self.texts: set[str] = set()
        self._known: dict[int, tuple[Headers | None, Fate, str]] = {}
        """By the identity of what a reply says, which the caller gives again; it is kept here."""

    def add(self, ended: Ended) -> None:
        """One call."""
        known = self._known.get(id(ended.trailers))
        if known is None or known[0] is not ended.trailers:
            known = self._known[id(ended.trailers)] = ended.trailers, *_fate(ended.trailers)
        _, fate, text = known
        self.fates[fate.value] += 1
        if fate is Fate.GOOD:
            self.good_ms.append(1_000 * ended.seconds)
        elif fate is not Fate.SHED:
            self.texts.add(text)


def _fate(trailers: Headers | None) -> tuple[Fate, str]:
    if trailers is None:
        return Fate.LATE, "no answer in time"
    code = _CODES.get(str(trailers.get("grpc-status")), grpc.StatusCode.UNKNOWN)
    if code is grpc.StatusCode.OK:
        return Fate.GOOD, ""
    metadata = grpc.aio.Metadata(*trailers.items())
    details = str(trailers.get("grpc-message", ""))
    return fate_of(grpc.aio.AioRpcError(code, grpc.aio.Metadata(), metadata, details, ""))


def storm(address: str, per_second: float, seconds: float, members: list[str]) -> Storm:
    """Asks with the deadline of the shipped client, on one connection, as a backend does."""
    requests = [
        pb.RecommendLeadsRequest(member=member_name(m), page_size=COUNT).SerializeToString()
        for m in members
    ]
    caller = Http2Caller(address, _METHOD, Timeouts().read_seconds)
    tally, due = _Tally(), arrivals(per_second, seconds, SEED)
    caller.ask(requests[0])
    while caller.at_hand:
        caller.turn(_TURN_SECONDS)
    print(READY, flush=True)
    sys.stdin.readline()
    begin = sent_at = time.monotonic()
    sent = 0
    while sent < len(due) or caller.at_hand:
        passed = time.monotonic() - begin
        while sent < len(due) and due[sent] <= passed:
            caller.ask(requests[sent % len(requests)])
            sent += 1
            sent_at = time.monotonic()
        for ended in caller.turn(0.0):
            tally.add(ended)
        time.sleep(_TURN_SECONDS)
    ended_seconds = time.monotonic() - sent_at
    caller.close()
    half, most = (float(np.percentile(tally.good_ms or [np.nan], p)) for p in (50, 99))
    texts = sorted(tally.texts)[:2]
    return Storm(
        len(due), sent_at - begin, sent_at, ended_seconds, dict(tally.fates), half, most, texts
    )


def _main() -> None:
    address, per_second, seconds, file = sys.argv[1:]
    members = Path(file).read_text("utf-8").split()
    told = storm(address, float(per_second), float(seconds), members)
    print(msgspec.json.encode(told).decode(), flush=True)


if __name__ == "__main__":
    _main()
