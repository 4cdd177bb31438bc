"""The types the store speaks in, and its errors.

RecsvcError
└── StoreError                 the store refused
    ├── StoreUnavailable       it cannot be reached or takes no writes: try again later
    ├── StaleWriteError        the record changed since it was read: read and try again
    └── RevisionTrimmedError   the stream no longer holds what follows a revision
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum

import numpy as np
from numpy.typing import NDArray

from features.errors import DataError, RecsvcError
from recsvc.store.codec import DELETED, E, RecordKind, Tombstone, decode_entity
from recsvc.store.revision import Position, Revision

DEFAULT_BUCKETS = 8
EVENT_ID_DAYS = 7
"""How long an event id is remembered: a repeat within it is recognised."""


class StoreError(RecsvcError):
    """The store refused."""


class StoreUnavailable(StoreError):  # noqa: N818 - named like the status it becomes
    """The store cannot be reached or takes no writes now.

    A write may have happened although its answer was lost. Puts, deletes and events (by their id)
    are idempotent: sending them again is right.
    """

    def __init__(self, message: str, retry_after_seconds: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class StaleWriteError(StoreError):
    """A conditional write found other content than it was based on."""

    def __init__(self, kind: RecordKind, identifier: str) -> None:
        super().__init__(f"{kind} {identifier!r} changed meanwhile: read it and try again")
        self.kind = kind
        self.identifier = identifier


class RevisionTrimmedError(StoreError):
    """Changes after a revision were trimmed: whoever stands there must load afresh."""


class PageTokenError(DataError):
    """A text that is no page token of this listing."""

    def __init__(self, token: str) -> None:
        super().__init__(
            f"malformed page token {token[:80]!r}: pass next_page_token of the last reply "
            "unchanged, or leave it empty"
        )


class ChangeKind(StrEnum):
    """What an entry of the change stream is about; the first four equal RecordKind's values."""

    MEMBER = "member"
    LEAD = "lead"
    ORGANIZATION = "organization"
    CONFLICT = "conflict"
    EVENT = "event"
    ACTIVATION = "activation"
    CLAIM = "claim"


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """One record of the catalog, or the tombstone of a deleted one."""

    kind: RecordKind
    id: str
    fingerprint: str
    data: bytes

    @property
    def deleted(self) -> bool:
        """Whether this is a tombstone."""
        return self.fingerprint == DELETED

    def decode(self, entity_type: type[E]) -> E | Tombstone:
        """The entity, or its tombstone; raises CodecError."""
        return decode_entity(entity_type, self.data)


@dataclass(frozen=True, slots=True)
class Page:
    """Some live records, and the token that continues the listing ("" at its end)."""

    records: tuple[StoredRecord, ...]
    next_page_token: str


@dataclass(frozen=True, slots=True)
class Vectors:
    """Vectors computed once by the writer, for the workers that serve the same model version.

    `values` is float32[n, d], row i for the i-th entity of the same put.
    """

    model_version: str
    values: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the change stream.

    `id` is the record's id, for events the member's. `payload` is a record's stored bytes (see
    recsvc.store.codec), an event's, an activation's JSON, or a lead's number of holders
    (recsvc.store.claims). `vector` is float32[d] or None.
    """

    kind: ChangeKind
    id: str
    payload: bytes
    bucket: int
    position: Position
    vector: NDArray[np.float32] | None = None
    model_version: str = ""
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class ChangeBatch:
    """Some changes, in order within each bucket; `revision` covers them and all before them."""

    changes: tuple[Change, ...]
    revision: Revision


class EventStatus(Enum):
    """What became of one event."""

    RECORDED = "recorded"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class EventOutcome:
    """CONFLICT: the id was used for other content before, this event was not recorded."""

    event_id: str
    status: EventStatus


@dataclass(frozen=True, slots=True)
class Activation:
    """An operator or the nightly job made a model the one to serve."""

    model_version: str
    time_us: int
    actor: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """What a worker says of itself. `revision` is the text of the revision it has applied."""

    worker_id: str
    model_version: str
    revision: str
    start_time_us: int
    report_time_us: int
    serving: bool = True
    host: str = ""
    process_id: int = 0
    message: str = ""


@dataclass(frozen=True, slots=True)
class Durability:
    """What the store's persistence promises; None or "" where the server does not tell.

    `append_fsync` is always, everysec or no. `loses` says in words what a crash may cost.
    """

    server: str
    role: str
    append_only: bool | None
    append_fsync: str
    snapshots: str
    eviction_policy: str
    loses: str
    warnings: tuple[str, ...] = ()

    @property
    def durable(self) -> bool:
        """Whether everything acknowledged survives a power loss of this one server."""
        return self.append_only is True and self.append_fsync == "always" and not self.evicts

    @property
    def evicts(self) -> bool:
        """Whether the server may drop records when its memory is full."""
        return self.eviction_policy not in ("", "noeviction")
