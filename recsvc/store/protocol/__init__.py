"""What the service asks of its store. Nothing here knows Redis.

The store is the truth: members, leads, organizations and conflicts live in it without expiry, and
every write is also an entry of the tenant's change stream, from which workers build their memory.

records  members, leads, organizations, conflicts
events   participation events
claims   who holds which lead
outbox   pushes on their way to members
plans    plans that are not all in the outbox yet, pauses
stream   reading and trimming the change stream
control  activations, workers, leases
store    all of it, tenants, durability
"""

from recsvc.store.codec import DELETED, RecordKind, Tombstone
from recsvc.store.protocol.store import Store
from recsvc.store.revision import Revision
from recsvc.store.types import (
    DEFAULT_BUCKETS,
    EVENT_ID_DAYS,
    Activation,
    Change,
    ChangeBatch,
    ChangeKind,
    Durability,
    EventOutcome,
    EventStatus,
    Page,
    PageTokenError,
    RevisionTrimmedError,
    StaleWriteError,
    StoredRecord,
    StoreError,
    StoreUnavailable,
    Vectors,
    WorkerStatus,
)

__all__ = [
    "DEFAULT_BUCKETS",
    "DELETED",
    "EVENT_ID_DAYS",
    "Activation",
    "Change",
    "ChangeBatch",
    "ChangeKind",
    "Durability",
    "EventOutcome",
    "EventStatus",
    "Page",
    "PageTokenError",
    "RecordKind",
    "Revision",
    "RevisionTrimmedError",
    "StaleWriteError",
    "Store",
    "StoreError",
    "StoreUnavailable",
    "StoredRecord",
    "Tombstone",
    "Vectors",
    "WorkerStatus",
]
