"""The call at hand: made by the interceptor, read by the servicers."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Protocol

from msgspec import Struct, field

from recsvc.serving.interceptors.access import Caller

_NOBODY = Caller(frozenset(), None)


class Reply(Protocol):
    """A reply that says what it was based on."""

    attribution_token: str
    model_version: str


class Call(Struct):
    """One call. `notes` are added to its log line: the attribution token, the member, counts.

    Seconds are those of `time.perf_counter`; status and reason are known when it has ended.
    """

    method: str
    arrival_seconds: float
    caller: Caller = _NOBODY
    notes: dict[str, object] = field(default_factory=dict)
    end_seconds: float = 0.0
    status: str = ""
    reason: str = ""

    def answered(self, reply: Reply, **subject: str) -> None:
        """Notes whom a list was for and what was decided."""
        self.notes |= subject
        self.notes["attribution_token"] = reply.attribution_token
        self.notes["model"] = reply.model_version


# Each call is handled in a task of its own, and a task has its own context.
_CURRENT: ContextVar[Call] = ContextVar("recsvc_call")


def current_call() -> Call:
    """The call that the current task handles."""
    return _CURRENT.get()


def set_current_call(call: Call) -> None:
    """Makes `call` the current task's."""
    _CURRENT.set(call)
