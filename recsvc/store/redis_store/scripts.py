"""The Lua scripts. Each runs whole or not at all, on keys of one slot."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

Argument = str | bytes | int
Command = tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class Script:
    """A script's source and the name (SHA-1) servers know it by once they have seen it."""

    source: str
    digest: str


def _load(name: str) -> Script:
    source = (
        resources.files("recsvc.store.redis_store")
        .joinpath("lua", f"{name}.lua")
        .read_text("utf-8")
    )
    return Script(source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())


OPEN_TENANT = _load("open_tenant")
PUT = _load("put")
REPLACE = _load("replace")
DELETE = _load("delete")
CLAIM_EVENT_IDS = _load("claim_event_ids")
RECORD_EVENTS = _load("record_events")
MOVE_CLAIM = _load("move_claim")
OPEN_PLAN = _load("open_plan")
PUT_PUSHES = _load("put_pushes")
JOIN_GROUP = _load("join_group")
TAKE_PUSHES = _load("take_pushes")
RETURN_PUSHES = _load("return_pushes")
DROP_PUSHES = _load("drop_pushes")
ACK_PUSHES = _load("ack_pushes")
ACTIVATE = _load("activate")
TRIM = _load("trim")
ACQUIRE_LEASE = _load("acquire_lease")
RENEW_LEASE = _load("renew_lease")
RELEASE_LEASE = _load("release_lease")
REPORT_WORKER = _load("report_worker")
WORKERS = _load("workers")


@dataclass(frozen=True, slots=True)
class Call:
    """One command for the server; with a `script`, the script's keys and arguments.

    Calls of one lane (a bucket) run in their order, on a cluster those of different lanes at once.
    """

    lane: int
    command: Command
    script: Script | None = None

    @classmethod
    def run(
        cls, lane: int, script: Script, keys: Sequence[str], args: Sequence[Argument] = ()
    ) -> Call:
        """A call of a script."""
        return cls(lane, (len(keys), *keys, *args), script)

    @property
    def key(self) -> str:
        """A key of the call: all are in one slot."""
        return str(self.command[1])

    @property
    def short(self) -> Command:
        """As sent first: the server is expected to know the script."""
        return ("EVALSHA", self.script.digest, *self.command) if self.script else self.command

    @property
    def full(self) -> Command:
        """With the script's source, for a server that does not know it."""
        return ("EVAL", self.script.source, *self.command) if self.script else self.command
