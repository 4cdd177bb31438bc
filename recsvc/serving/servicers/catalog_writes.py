"""Changing the catalog: Update and Delete of every kind.

The base of an update is the stored record, or, for what came with the bundle and was never stored,
the bundle's. A write is conditional on that base, so two updates of different fields both count.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from features.entities import Conflict, Lead, Member, Organization
from recsvc.convert import conflicts, masks, names, values
from recsvc.errors import (
    ConcurrentUpdateError,
    InvalidMaskError,
    MissingFieldError,
    OrganizationInUseError,
    UnknownMemberError,
)
from recsvc.serving.servicers.checks import check_tree, kept_vectors, read_new
from recsvc.serving.servicers.kinds import CONFLICTS, ORGANIZATIONS, Kind
from recsvc.serving.servicers.shared import Context, Service, known_ids, live_view
from recsvc.serving.worker import TenantWorker
from recsvc.store.codec import DELETED, Entity, Tombstone, decode_entity, entity_id
from recsvc.store.protocol import RecordKind, StaleWriteError
from recsvc.store.revision import Revision
from recsvc.v1 import resources_pb2

E = TypeVar("E", Member, Lead, Organization, Conflict)
M = TypeVar("M", bound=Message)

_ATTEMPTS = 8
_PAUSE_SECONDS = 0.005


@dataclass(frozen=True)
class _Step(Generic[E, M]):
    """One update: which record, and how it follows from what is there (None: nothing)."""

    kind: Kind[E, M]
    name: str
    identifier: str
    merge: Callable[[E | None], E]
    allow_missing: bool


class CatalogWrites:
    """Update and Delete."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._turns: WeakValueDictionary[tuple[str, RecordKind, str], asyncio.Lock] = (
            WeakValueDictionary()
        )

    async def update(
        self, kind: Kind[E, M], message: M, mask: FieldMask, allow_missing: bool, context: Context
    ) -> tuple[M, str]:
        """The resource as it is afterwards, and the revision."""
        name = str(getattr(message, "name", ""))
        with values.within(f"{kind.field}."):
            worker = self._service.worker(name, "name")
            incoming = kind.from_proto(message, worker.tenant, self._service.clock())
        attributes = masks.masked_attributes(message, mask, kind.attributes)

        def merge(base: E | None) -> E:
            if base is None:
                return incoming
            changes = {a: getattr(incoming, a) for a in attributes}
            return replace(base, **changes)

        step = _Step(kind, name, entity_id(incoming), merge, allow_missing)
        return await self._run(worker, step, context)

    async def update_conflict(
        self,
        message: resources_pb2.Conflict,
        mask: FieldMask,
        allow_missing: bool,
        context: Context,
    ) -> tuple[resources_pb2.Conflict, str]:
        """As `update`: a conflict's id follows from its target, which therefore stays."""
        with values.within("conflict."):
            worker = self._service.worker(message.name, "name")
            incoming = conflicts.target_from_proto(message, worker.tenant)
            member_id, given = names.parse_conflict(message.name, worker.tenant)
        identifier = conflicts.record_id(member_id, given)
        if not conflicts.has_target(incoming):
            if given == names.ANY:
                raise MissingFieldError(
                    "a conflict needs a target: set lead, author_id or organization",
                    field="conflict.target",
                )
            allow_missing = False  # what it should keep away from is not known
        elif given == names.ANY:
            identifier = entity_id(incoming)
        elif entity_id(incoming) != identifier:
            raise InvalidMaskError(
                "the target of a conflict cannot change, its id follows from it: delete it and "
                "create another (write - in place of the id)",
                field="update_mask",
            )
        attributes = masks.masked_attributes(message, mask, CONFLICTS.attributes)

        def merge(base: Conflict | None) -> Conflict:
            if base is None:
                return incoming
            return replace(base, reason=incoming.reason) if "reason" in attributes else base

        step = _Step(CONFLICTS, message.name, identifier, merge, allow_missing)
        return await self._run(worker, step, context)

    async def _run(
        self, worker: TenantWorker, step: _Step[E, M], context: Context
    ) -> tuple[M, str]:
        """Reads, merges and writes, until nobody came in between.

        Updates of one record take turns within the worker: only other workers can come in between.
        """
        key = (worker.tenant, step.kind.record, step.identifier)
        turn = self._turns.setdefault(key, asyncio.Lock())
        async with turn:
            return await self._attempt(worker, step, context)

    async def _attempt(
        self, worker: TenantWorker, step: _Step[E, M], context: Context
    ) -> tuple[M, str]:
        kind = step.kind
        for attempt in range(_ATTEMPTS):
            base, expected = await self._base(worker, kind, step.identifier, context)
            if base is None and not step.allow_missing:
                raise kind.not_found(step.name)
            new = kind.complete(step.merge(base), base, self._service.clock())
            with values.within(f"{kind.field}."):
                await self._check(worker, new, context)
            try:
                revision = await self._write(worker, new, base, expected)
            except StaleWriteError:
                # Two workers in step would go on treading on each other: part them by chance.
                await asyncio.sleep(random.uniform(0.0, _PAUSE_SECONDS * 2**attempt))
                continue
            return kind.to_proto(new, worker.tenant), str(revision)
        raise ConcurrentUpdateError(
            f"{step.name} was changed by others {_ATTEMPTS} times during the update: try again",
            resource=step.name,
        )

    async def delete(
        self, kind: Kind[E, M], name: str, allow_missing: bool, context: Context
    ) -> str:
        """The revision of the deletion."""
        worker = self._service.worker(name, "name")
        if kind.entity_type is Conflict:
            identifier = conflicts.record_id(*names.parse_conflict(name, worker.tenant))
        else:
            identifier = names.parse_name(name, worker.tenant, kind.collection, "name")
        base, _ = await self._base(worker, kind, identifier, context)
        if base is None:
            if not allow_missing:
                raise kind.not_found(name)
            return str(await worker.store.latest_revision(worker.tenant))
        if kind.record is RecordKind.ORGANIZATION:
            await self._check_unused(worker, identifier, name, context)
        revision = await worker.store.delete(worker.tenant, kind.record, [identifier])
        if kind.record is RecordKind.MEMBER:
            view = await self._service.newest(worker, context)
            theirs = view.catalog.conflicts_of(identifier)
            if theirs:
                gone = await worker.store.delete(worker.tenant, RecordKind.CONFLICT, theirs)
                revision = revision.merge(gone)
        return str(revision)

    async def _write(self, worker: TenantWorker, new: E, base: E | None, expected: str) -> Revision:
        if new == base and expected != DELETED:
            return await worker.store.put(worker.tenant, [new])  # as it is stored: no new change
        view = worker.live
        vectors = kept_vectors(view, [new], read_new(view, [new]))
        arrivals = self._service.arrivals.get(worker.tenant)
        if not isinstance(new, Lead) or arrivals is None:
            return await worker.store.replace(worker.tenant, new, expected, vectors)
        arrived = await arrivals.note([(new, base if isinstance(base, Lead) else None)])
        revision = await worker.store.replace(worker.tenant, new, expected, vectors)
        if arrived:
            arrivals.wake()
        return revision

    async def _base(
        self, worker: TenantWorker, kind: Kind[E, M], identifier: str, context: Context
    ) -> tuple[E | None, str]:
        """What an update starts from, and the fingerprint that the store has of it."""
        record = await worker.store.get(worker.tenant, kind.record, identifier)
        if record is not None:
            stored = record.decode(kind.entity_type)
            if not isinstance(stored, Tombstone):
                return stored, record.fingerprint
        if not live_view(worker).catalog.has(kind.record, identifier):
            return None, DELETED
        # The bundle has it and the store does not: unless another worker has just deleted it.
        view = await self._service.newest(worker, context)
        data = view.catalog.layer(kind.record).get(identifier)
        entity = None if data is None else decode_entity(kind.entity_type, data)
        return (None if isinstance(entity, Tombstone) else entity), DELETED

    async def _check(self, worker: TenantWorker, new: Entity, context: Context) -> None:
        """What a record must fulfil beside its own fields."""
        if isinstance(new, Organization) and new.parent_id:
            view = await self._service.newest(worker, context)
            check_tree(new, {o.organization_id: o.parent_id for o in view.catalog.organizations()})
        if isinstance(new, Conflict):
            members = await known_ids(worker, RecordKind.MEMBER, [new.member_id])
            if not members:
                raise UnknownMemberError(
                    f"there is no member {new.member_id!r}: import it first",
                    field="name",
                    resource=names.format_name(worker.tenant, "members", new.member_id),
                )

    async def _check_unused(
        self, worker: TenantWorker, identifier: str, name: str, context: Context
    ) -> None:
        view = await self._service.newest(worker, context)
        children = sorted(
            o.organization_id
            for o in view.catalog.organizations()
            if o.parent_id == identifier and o.organization_id != identifier
        )
        if children:
            child = names.format_name(worker.tenant, ORGANIZATIONS.collection, children[0])
            raise OrganizationInUseError(
                f"{name} still has {len(children)} child organizations, such as {child}: delete "
                "or move them first",
                resource=name,
            )
