"""The catalog a worker reads from memory: the bundle's records below, the store's above.

Records stay encoded (as the store keeps them) until somebody asks. A tombstone above hides the
record below. Listings go by the stable key of the id, an order that is the same in every worker and
every model, so that a page token of one worker serves at another.
"""

from __future__ import annotations

import bisect
import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np

from features.entities import Conflict, Lead, Member, Organization
from features.vocabulary import Vocabulary
from recsvc.model.arrays import I64, stable_key
from recsvc.model.bundle import Bundle
from recsvc.store.codec import (
    DELETED,
    Entity,
    RecordKind,
    Tombstone,
    decode_entity,
    encode_entity,
    entity_id,
    stored_fingerprint,
)

E = TypeVar("E", Member, Lead, Organization, Conflict)
FIRST = -(2**63)
"""Below every key: where a listing begins."""


class _Base:
    """The bundle's records of one kind."""

    def __init__(
        self, ids: Vocabulary, record: Callable[[int], bytes], keys: Callable[[], I64]
    ) -> None:
        self._ids = ids
        self._record = record
        self._keys = keys
        self._order: I64 | None = None  # rows by key, made when first listed
        self._sorted: I64 = np.empty(0, np.int64)

    @classmethod
    def of(cls, entities: Iterable[Entity]) -> _Base:
        """Records of a few entities."""
        latest = {entity_id(e): encode_entity(e).data for e in entities}
        ids, blobs = Vocabulary(latest), list(latest.values())
        return cls(
            ids,
            blobs.__getitem__,
            lambda: np.array([stable_key(i) for i in ids.ids], np.int64),
        )

    def get(self, identifier: str) -> bytes | None:
        """The record, None when there is none."""
        row = self._ids.get(identifier)
        return self._record(row) if row >= 0 else None

    def __contains__(self, identifier: str) -> bool:
        return self._ids.get(identifier) >= 0

    def after(self, key: int) -> Iterator[tuple[int, str]]:
        """(key, id) of every record beyond `key`, ascending."""
        if self._order is None:
            keys = self._keys()
            self._order = np.argsort(keys, kind="stable")
            self._sorted = keys[self._order]
        for at in range(int(np.searchsorted(self._sorted, key, "right")), len(self._sorted)):
            yield int(self._sorted[at]), self._ids.ids[int(self._order[at])]


class Layer:
    """Records of one kind: base and what lies over it."""

    def __init__(self, base: _Base) -> None:
        self._base = base
        self._over: dict[str, bytes | None] = {}  # None: deleted
        self._listed: list[tuple[int, str]] = []  # ids of `_over` by key
        self._unlisted: list[tuple[int, str]] = []

    def get(self, identifier: str) -> bytes | None:
        """The living record, None when there is none."""
        if identifier in self._over:
            return self._over[identifier]
        return self._base.get(identifier)

    def is_overlaid(self, identifier: str) -> bool:
        """Whether the store has said something about this id."""
        return identifier in self._over

    def put(self, identifier: str, data: bytes) -> None:
        """Takes a stored record, or the tombstone of one."""
        fingerprint = stored_fingerprint(data)
        if identifier not in self._over:
            below = self._base.get(identifier)
            if below is not None and stored_fingerprint(below) == fingerprint:
                return
            self._unlisted.append((stable_key(identifier), identifier))
        self._over[identifier] = None if fingerprint == DELETED else data

    def after(self, key: int) -> Iterator[tuple[int, str]]:
        """(key, id) of every living record beyond `key`, ascending."""
        if self._unlisted:
            self._listed = sorted(self._listed + self._unlisted)
            self._unlisted = []
        begin = bisect.bisect_right(self._listed, key, key=lambda entry: entry[0])
        over = (entry for entry in self._listed[begin:] if self._over[entry[1]] is not None)
        below = (entry for entry in self._base.after(key) if entry[1] not in self._over)
        yield from heapq.merge(over, below)


class Catalog:
    """Members, leads, organizations and conflicts of one tenant."""

    def __init__(self, bundle: Bundle | None = None) -> None:
        if bundle is None:
            bases = {kind: _Base.of(()) for kind in RecordKind}
        else:
            bases = {
                RecordKind.MEMBER: _Base(
                    bundle.member_ids, bundle.member_records.__getitem__, lambda: bundle.members.key
                ),
                RecordKind.LEAD: _Base(
                    bundle.lead_ids, bundle.lead_records.__getitem__, lambda: bundle.leads.key
                ),
                RecordKind.ORGANIZATION: _Base.of(bundle.organizations),
                RecordKind.CONFLICT: _Base.of(bundle.conflicts),
            }
        self._layers = {kind: Layer(base) for kind, base in bases.items()}

    def layer(self, kind: RecordKind) -> Layer:
        """The records of one kind."""
        return self._layers[kind]

    def get(self, entity_type: type[E], identifier: str) -> E | None:
        """The living entity, None when there is none."""
        data = self._layers[KINDS[entity_type]].get(identifier)
        if data is None:
            return None
        entity = decode_entity(entity_type, data)
        return None if isinstance(entity, Tombstone) else entity

    def has(self, kind: RecordKind, identifier: str) -> bool:
        """Whether there is such a living record."""
        return self._layers[kind].get(identifier) is not None

    def put(self, kind: RecordKind, identifier: str, data: bytes) -> None:
        """Takes a stored record, or the tombstone of one."""
        self._layers[kind].put(identifier, data)

    def page(
        self,
        entity_type: type[E],
        after: int,
        count: int,
        wanted: Callable[[E], bool],
        most_scanned: int = 5_000,
    ) -> tuple[Sequence[E], int | None]:
        """Up to `count` wanted entities with keys beyond `after`, and where to go on (None: end).

        Looks at `most_scanned` records at most, so a page may be short, even empty.
        """
        found: list[E] = []
        layer = self._layers[KINDS[entity_type]]
        scanned, last = 0, after
        for key, identifier in layer.after(after):
            if len(found) == count or scanned == most_scanned:
                return found, last
            data = layer.get(identifier)
            entity = decode_entity(entity_type, data) if data is not None else None
            if entity is not None and not isinstance(entity, Tombstone) and wanted(entity):
                found.append(entity)
            scanned, last = scanned + 1, key
        return found, None

    def conflicts_of(self, member_id: str) -> list[str]:
        """The record ids of a member's conflicts, in the order of listings."""
        return [i for i in self._ids(RecordKind.CONFLICT) if i.rpartition("~")[0] == member_id]

    def organizations(self) -> list[Organization]:
        """All organizations."""
        found = (self.get(Organization, i) for i in self._ids(RecordKind.ORGANIZATION))
        return [o for o in found if o is not None]

    def _ids(self, kind: RecordKind) -> Iterator[str]:
        return (identifier for _, identifier in self._layers[kind].after(FIRST))


KINDS: dict[type[Entity], RecordKind] = {
    Member: RecordKind.MEMBER,
    Lead: RecordKind.LEAD,
    Organization: RecordKind.ORGANIZATION,
    Conflict: RecordKind.CONFLICT,
}
