"""What requests of one tenant read: a catalog, a snapshot and its pipeline, at one revision.

A view belongs to one model (or to none, before the first is published). It is changed between
requests only, by the feed that tails the store's change stream. Another model is another view.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from structlog.typing import FilteringBoundLogger

from features.entities import Organization
from features.errors import DataError
from recsvc.matching.claims import set_holders
from recsvc.matching.pipeline import Pipeline, PipelineConfig
from recsvc.matching.updates import apply_batch, load_records
from recsvc.model.bundle import Bundle
from recsvc.model.organizations import parse_jurisdiction
from recsvc.model.snapshot import Snapshot
from recsvc.serving.catalog import Catalog
from recsvc.serving.metrics import Metrics
from recsvc.store.claims import decode_holders
from recsvc.store.codec import ENTITY_TYPES, RecordKind, decode_entity, decode_event
from recsvc.store.revision import NOTHING, Position, Revision
from recsvc.store.types import Change, ChangeBatch, ChangeKind, StoredRecord

_SLICE = 32
"""Changes taken in at a time: between two slices, waiting calls are answered."""


class View:
    """One tenant at one model. `revision` is what replies carry; see `_note_activation`.

    `metrics` is None for a view beside the service, such as one of the past.
    """

    def __init__(
        self,
        tenant: str,
        bundle: Bundle | None,
        metrics: Metrics | None,
        log: FilteringBoundLogger,
        clock: Callable[[], int],
        config: PipelineConfig | None = None,
    ) -> None:
        self.catalog = Catalog(bundle)
        self.snapshot = None if bundle is None else Snapshot(bundle)
        self.pipeline = (
            None if self.snapshot is None else Pipeline(self.snapshot, config, metrics, clock)
        )
        self.holders: dict[str, int] = {} if self.snapshot is None else self.snapshot.holders
        self.model_id = "" if self.snapshot is None else self.snapshot.model_id
        self.applied: Revision = NOTHING if self.snapshot is None else self.snapshot.revision
        self.revision = self.applied
        self.revision_text = str(self.applied)
        self._held_back: tuple[int, Position] | None = None
        self._tenant = tenant
        self._metrics = metrics
        self._log = log

    def load(self, kind: RecordKind, records: Sequence[StoredRecord]) -> None:
        """Lays stored records and tombstones over what is there."""
        good = [r for r in records if self._is_readable(RecordKind(r.kind), r.id, r.data)]
        for record in good:
            self.catalog.put(kind, record.id, record.data)
        if self.snapshot is not None:
            load_records(self.snapshot, kind, good)

    def load_holders(self, holders: Mapping[str, int]) -> None:
        """How many members hold each lead, for all that are held by any."""
        everything = dict.fromkeys(self.holders, 0) | dict(holders)
        self._set_holders(everything)

    async def apply(self, batch: ChangeBatch) -> None:
        """Takes changes in, each once, a slice at a time."""
        fresh = [c for c in batch.changes if not self.applied.includes(c.bucket, c.position)]
        at = dict(self.applied.positions)
        for change in fresh:
            if change.kind is ChangeKind.ACTIVATION:
                self._note_activation(change, at.get(change.bucket, Position(0, 0)))
            at[change.bucket] = change.position
        data = [c for c in fresh if c.kind is not ChangeKind.ACTIVATION]
        # An event may come before the lead it is about, which lives in another bucket.
        data.sort(key=lambda c: c.kind is ChangeKind.EVENT)
        for start in range(0, len(data), _SLICE):
            self._apply_slice(data[start : start + _SLICE])
            await asyncio.sleep(0)
        self.move_to(self.applied.merge(batch.revision))

    def move_to(self, revision: Revision) -> None:
        """Everything up to `revision` has been taken in."""
        self.applied = revision
        if self.snapshot is not None:
            apply_batch(self.snapshot, ChangeBatch((), revision))
        self._publish_revision()

    def serve_instead(self) -> bool:
        """This view stands in for a model that cannot be used: it claims later revisions, too.

        True when it did not do so before.
        """
        was_held, self._held_back = self._held_back is not None, None
        self._publish_revision()
        return was_held

    def _note_activation(self, change: Change, before: Position) -> None:
        """Keeps `revision` below an activation of another model.

        A read that asks for the revision of an activation is promised that model's answer, so this
        view may not say that it has seen it, although it goes on taking in data.
        """
        if change.id == self.model_id:
            self._held_back = None
        elif self._held_back is None:
            self._held_back = (change.bucket, before)

    def _publish_revision(self) -> None:
        self.revision = self.applied
        if self._held_back is not None:
            bucket, position = self._held_back
            self.revision = Revision.of(dict(self.applied.positions) | {bucket: position})
        self.revision_text = str(self.revision)

    def _apply_slice(self, changes: Sequence[Change]) -> None:
        good = [c for c in changes if self._is_readable(c.kind, c.id, c.payload)]
        for change in good:
            if self._metrics is not None:
                self._metrics.changes_applied(self._tenant, change.kind.value, 1)
            if change.kind is ChangeKind.CLAIM:
                if self.snapshot is None:
                    self._set_holders({change.id: decode_holders(change.payload)})
            elif change.kind is not ChangeKind.EVENT:
                self.catalog.put(RecordKind(change.kind.value), change.id, change.payload)
        if self.snapshot is None:
            return
        try:
            apply_batch(self.snapshot, ChangeBatch(tuple(good), self.snapshot.revision))
        except Exception:  # noqa: BLE001 - one bad change must not stop all that follow
            self._log.exception("changes skipped", ids=[c.id for c in good])

    def _set_holders(self, counts: Mapping[str, int]) -> None:
        if self.snapshot is not None:
            set_holders(self.snapshot, counts)
            return
        self.holders.update(counts)
        for lead_id in [i for i, count in counts.items() if count == 0]:
            del self.holders[lead_id]

    def _is_readable(self, kind: ChangeKind | RecordKind, identifier: str, data: bytes) -> bool:
        """Whether this release can read it; what a newer one wrote is left out, and said."""
        try:
            if kind == ChangeKind.EVENT:
                decode_event(data)
            elif kind == ChangeKind.CLAIM:
                decode_holders(data)
            else:
                entity = decode_entity(ENTITY_TYPES[RecordKind(kind.value)], data)
                if isinstance(entity, Organization):
                    parse_jurisdiction(entity.jurisdiction)
        except DataError as error:
            self._log.error("record skipped", kind=str(kind), id=identifier, problem=str(error))
            return False
        return True
