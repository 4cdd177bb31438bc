"""Asks one method over one HTTP/2 connection, at a fifth of what a gRPC channel costs its caller.

For storms only: their caller has to keep up with three times what a service can answer, on the same
processors. It keeps to what a channel does: the peer's limits of streams and of bytes, deadlines
(the call's header, and its own end of waiting), the order of calls. Frames and headers are those of
hyperframe and hpack; what a reply says is read once for each different block of headers.
"""

from __future__ import annotations

import base64
import select
import socket
import time
from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import NamedTuple

from hpack import Decoder, Encoder
from hyperframe.frame import (
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from benchmarks.serving import ServingError

Headers = dict[str, str | bytes]

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_FIRST_WINDOW = 65_535
_LARGEST_WINDOW = (1 << 31) - 1
_HEADER_BYTES = 9
_CANCEL = 8
_UNAVAILABLE = "14"


class Ended(NamedTuple):
    """A call that ended: how long it took, and the trailers; None when its deadline passed."""

    seconds: float
    trailers: Headers | None


class Http2Caller:
    """A connection; use it from one thread and close it."""

    def __init__(self, address: str, method: str, timeout_seconds: float) -> None:
        """`method` is its path. Raises OSError when nobody listens at `address`."""
        host, port = address.rsplit(":", 1)
        self._socket = socket.create_connection((host, int(port)))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setblocking(False)
        self._timeout_seconds = timeout_seconds
        encoder = Encoder()
        headers = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", method),
            (":authority", address),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            ("grpc-timeout", f"{1_000 * timeout_seconds:.0f}m"),
        ]
        # The second time all of them are in the table that both sides keep.
        self._blocks = [encoder.encode(headers), encoder.encode(headers)]
        self._replies = _Replies()
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._open: OrderedDict[int, float] = OrderedDict()
        """When the call of each stream began."""
        self._stream = 1
        self._streams = 0  # the peer says how many
        self._window = _FIRST_WINDOW
        self._in = bytearray()
        settings = {
            SettingsFrame.INITIAL_WINDOW_SIZE: _LARGEST_WINDOW,
            SettingsFrame.ENABLE_PUSH: 0,
        }
        self._out = bytearray(_PREFACE)
        self._send(SettingsFrame(0, settings=settings))
        self._send(WindowUpdateFrame(0, window_increment=_LARGEST_WINDOW - _FIRST_WINDOW))

    def ask(self, message: bytes) -> None:
        """Begins a call now; it is sent when the peer's limits allow."""
        framed = b"\0" + len(message).to_bytes(4, "big") + message
        self._waiting.append((time.monotonic(), framed))

    @property
    def at_hand(self) -> int:
        """Calls that have not ended."""
        return len(self._waiting) + len(self._open)

    def turn(self, most_seconds: float) -> list[Ended]:
        """Sends and reads what can be, waiting so long for it; the calls that ended.

        Raises ServingError when the connection ends.
        """
        ended = list(self._late())
        self._send_calls()
        writing = [self._socket] if self._out else []
        readable, writable, _ = select.select([self._socket], writing, [], max(0.0, most_seconds))
        if writable:
            del self._out[: self._socket.send(self._out)]
        if readable:
            ended += self._read()
        return ended

    def close(self) -> None:
        """Ends the connection."""
        self._socket.close()

    def _send(self, frame: Frame) -> None:
        self._out += frame.serialize()

    def _send_calls(self) -> None:
        while (
            self._waiting
            and len(self._open) < self._streams
            and len(self._waiting[0][1]) <= self._window
        ):
            begin, message = self._waiting.popleft()
            block = self._blocks.pop(0) if len(self._blocks) > 1 else self._blocks[0]
            self._send(HeadersFrame(self._stream, block, flags=["END_HEADERS"]))
            self._send(DataFrame(self._stream, message, flags=["END_STREAM"]))
            self._window -= len(message)
            self._open[self._stream] = begin
            self._stream += 2

    def _late(self) -> Iterator[Ended]:
        """Gives up what has waited too long; calls began in the order in which they are kept."""
        now = time.monotonic()
        while self._open:
            stream, begin = next(iter(self._open.items()))
            if now - begin < self._timeout_seconds:
                break
            del self._open[stream]
            self._send(RstStreamFrame(stream, error_code=_CANCEL))
            yield Ended(now - begin, None)
        while self._waiting and now - self._waiting[0][0] >= self._timeout_seconds:
            yield Ended(now - self._waiting.popleft()[0], None)

    def _read(self) -> Iterator[Ended]:
        data = self._socket.recv(1 << 20)
        if not data:
            raise ServingError("the service closed the connection")
        self._in += data
        now, at, view = time.monotonic(), 0, memoryview(bytes(self._in))
        while len(view) - at >= _HEADER_BYTES:
            frame, length = Frame.parse_frame_header(view[at : at + _HEADER_BYTES])
            if len(view) - at < _HEADER_BYTES + length:
                break
            at += _HEADER_BYTES
            frame.parse_body(view[at : at + length])
            at += length
            if isinstance(frame, HeadersFrame):
                yield from self._headers(frame, now)
            elif isinstance(frame, RstStreamFrame):
                yield from self._reset(frame, now)
            else:
                self._control(frame)
        del self._in[:at]

    def _headers(self, frame: HeadersFrame, now: float) -> Iterator[Ended]:
        """Every block is read, also of calls given up: the table of headers is the connection's."""
        headers = self._replies.headers(frame.data)
        if "END_STREAM" in frame.flags and frame.stream_id in self._open:
            yield Ended(now - self._open.pop(frame.stream_id), headers)

    def _reset(self, frame: RstStreamFrame, now: float) -> Iterator[Ended]:
        """As gRPC reads it: the deadline, when that has passed, or else the connection."""
        if frame.stream_id in self._open:
            seconds = now - self._open.pop(frame.stream_id)
            said: Headers = {
                "grpc-status": _UNAVAILABLE,
                "grpc-message": f"reset: {frame.error_code}",
            }
            yield Ended(seconds, None if seconds >= self._timeout_seconds else said)

    def _control(self, frame: Frame) -> None:
        if isinstance(frame, SettingsFrame) and "ACK" not in frame.flags:
            streams = SettingsFrame.MAX_CONCURRENT_STREAMS
            self._streams = frame.settings.get(streams, self._streams or _LARGEST_WINDOW)
            self._send(SettingsFrame(0, flags=["ACK"]))
        elif isinstance(frame, PingFrame) and "ACK" not in frame.flags:
            self._send(PingFrame(0, opaque_data=frame.opaque_data, flags=["ACK"]))
        elif isinstance(frame, WindowUpdateFrame) and not frame.stream_id:
            self._window += frame.window_increment
        elif isinstance(frame, GoAwayFrame):
            raise ServingError(f"the service ends the connection: {frame!r}")


class _Replies:
    """Reads blocks of headers: the same block again says the same until the table changes."""

    def __init__(self) -> None:
        self._decoder = Decoder()
        self._known: dict[bytes, Headers] = {}

    def headers(self, block: bytes) -> Headers:
        """Values of names that end in -bin are bytes."""
        found = self._known.get(block)
        if found is None:
            before = list(self._decoder.header_table.dynamic_entries)
            found = {str(k): _value(str(k), str(v)) for k, v in self._decoder.decode(block)}
            if list(self._decoder.header_table.dynamic_entries) != before:
                self._known.clear()
            else:
                self._known[block] = found
        return found


def _value(name: str, text: str) -> str | bytes:
    if not name.endswith("-bin"):
        return text
    return base64.b64decode(text + "=" * (-len(text) % 4))
