"""The lines of calls: as `recsvc.serving.log` writes lines, at a tenth of the cost.

A line a call is the service's record of who asked for what, so it is always on. Lines are made and
written together, in writes that a pipe keeps whole whoever else writes to it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime
from typing import IO, Any, Protocol, TextIO

import msgspec
from structlog.typing import FilteringBoundLogger

from recsvc.serving.log import LEVELS, build_logger

EVENT = "call"
_PIPE_BUF = 4096
"""So much POSIX pipes take in one piece."""

Line = tuple[datetime, dict[str, Any]]
"""When a call ended, and what is said of it."""


class CallLog(Protocol):
    """Takes the lines of calls that have ended."""

    def write(self, lines: Sequence[Line]) -> None: ...


class NoCalls:
    """Where nobody wants these lines."""

    def write(self, lines: Sequence[Line]) -> None:
        """Nothing."""


class ShownCalls:
    """Lines by a logger: for eyes."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        self._log = log

    def write(self, lines: Sequence[Line]) -> None:
        """One after the other."""
        for _, fields in lines:
            self._log.info(EVENT, **fields)


class JsonCalls:
    """One JSON object a line; `fields` are in each."""

    def __init__(self, stream: TextIO, fields: dict[str, Any]) -> None:
        self._stream = stream
        self._bytes: IO[bytes] | None = getattr(stream, "buffer", None)
        self._fields = fields
        self._encode = msgspec.json.Encoder(enc_hook=str).encode

    def write(self, lines: Sequence[Line]) -> None:
        """All of them, in as few pieces as can be."""
        piece = bytearray()
        for when, fields in lines:
            line = self._encode(
                self._fields | fields | {"event": EVENT, "level": "info", "time": when}
            )
            if piece and len(piece) + len(line) >= _PIPE_BUF:
                self._put(piece)
                piece = bytearray()
            piece += line
            piece += b"\n"
        if piece:
            self._put(piece)

    def _put(self, piece: bytearray) -> None:
        if self._bytes is not None:
            self._bytes.write(piece)
            self._bytes.flush()
        else:
            self._stream.write(piece.decode())
            self._stream.flush()


def build_call_log(
    level: str = "info", style: str = "json", stream: TextIO | None = None, **fields: Any
) -> CallLog:
    """The lines of calls beside `build_logger` with the same arguments."""
    if LEVELS[level] > LEVELS["info"]:
        return NoCalls()
    if style != "json":
        return ShownCalls(build_logger(level, style, stream, **fields))
    return JsonCalls(stream or sys.stderr, fields)
