"""Descriptions of calls, which the blocking and the asynchronous client both carry out.

A method of the client is written once, as a function that describes its call (recommendation.py,
catalog.py, …). The two clients only differ in how they run a description: blocking.py, aio.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from google.protobuf.message import Message

from recsvc.client.options import Timeouts

T = TypeVar("T")
Row = TypeVar("Row")
Report = TypeVar("Report")
Row_contra = TypeVar("Row_contra", contravariant=True)


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request, one reply; a tuple of messages is sent as a stream."""

    method: str
    request: Message | tuple[Message, ...]
    convert: Callable[[Any], T]
    timeout_seconds: float
    idempotent: bool = True
    """Whether doing it twice is the same as once, so that it may be tried again."""


@dataclass(frozen=True, slots=True)
class Pages(Generic[T]):
    """Call after call until the last page."""

    method: str
    request: Any
    convert: Callable[[Any], Sequence[T]]
    timeout_seconds: float


@dataclass(frozen=True, slots=True)
class Streams(Generic[T]):
    """Several requests, one after the other, each answered by a stream of messages.

    A request is tried again only as long as nothing of its answer has come.
    """

    method: str
    requests: Iterator[Message]
    convert: Callable[[Any], Sequence[T]]
    timeout_seconds: float


@dataclass(frozen=True, slots=True)
class Endless(Generic[T]):
    """A stream that does not end by itself: when it breaks off, it is asked for again.

    `patience_seconds` is how long it may fail on end before the failure is raised.
    """

    method: str
    request: Message
    convert: Callable[[Any], Sequence[T]]
    patience_seconds: float


class Parts(Protocol[Row_contra]):
    """Gathers rows into parts that are sent by one call each."""

    def add(self, row: Row_contra) -> Message | tuple[Message, ...] | None:
        """Takes a row; the part that is full now, if one is."""

    def rest(self) -> Message | tuple[Message, ...] | None:
        """What is left at the end."""


@dataclass(frozen=True, slots=True)
class Bulk(Generic[Row, Report]):
    """Any number of rows, sent in parts; the parts' replies are summed up.

    `progress` is called after each part with the report so far: what it counts is acknowledged.
    """

    method: str
    parts: Parts[Row]
    add: Callable[[Report, Any], Report]
    empty: Report
    progress: Callable[[Report], None] | None
    timeout_seconds: float

    def call(self, request: Message | tuple[Message, ...]) -> Call[Any]:
        """The call that sends one part."""
        return Call(self.method, request, lambda reply: reply, self.timeout_seconds)

    def after(self, report: Report, reply: Any) -> Report:
        """The report with one more part in it."""
        report = self.add(report, reply)
        if self.progress is not None:
            self.progress(report)
        return report


class Caller:
    """What descriptions are made from: the tenant, and how long calls may take."""

    def __init__(self, tenant: str, timeouts: Timeouts) -> None:
        self.tenant = tenant
        self.timeouts = timeouts

    @property
    def parent(self) -> str:
        """`tenants/{tenant}`."""
        return f"tenants/{self.tenant}"

    def name(self, collection: str, identifier: str) -> str:
        """The resource name of an id, "" for none."""
        return f"{self.parent}/{collection}/{identifier}" if identifier else ""

    def names(self, collection: str, identifiers: Iterable[str]) -> list[str]:
        """The resource names of ids."""
        return [self.name(collection, identifier) for identifier in identifiers]


def id_of(name: str) -> str:
    """The last id in a resource name."""
    return name.rpartition("/")[2]


def chunks(values: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of `size` values, the last one shorter."""
    chunk: list[T] = []
    for value in values:
        chunk.append(value)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
