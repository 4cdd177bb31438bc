"""PushService: plans, streams, acknowledgements, pauses."""

# ruff: noqa: N802 - the contract names the methods

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import suppress

from features.entities import Event, EventKind
from recsvc.convert import names, pushes, queries, values
from recsvc.convert.events import row_error
from recsvc.errors import (
    MissingFieldError,
    NotReadyError,
    UnknownOrganizationError,
    UnknownPushError,
)
from recsvc.serving.delivery import Delivery
from recsvc.serving.interceptors import current_call
from recsvc.serving.planning import Planned, Planning, best_plan
from recsvc.serving.servicers.shared import Context, Service, known_ids
from recsvc.serving.worker import TenantWorker
from recsvc.store.codec import RecordKind
from recsvc.store.pushes import AckStatus, Pause, PushPlace
from recsvc.v1 import push_pb2 as pb
from recsvc.v1 import push_pb2_grpc

POLL_SECONDS = 0.25
"""How often a stream looks for what has fallen due."""


class PushServicer(push_pb2_grpc.PushServiceServicer):
    """Plans pushes, hands them out, takes acknowledgements."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def PlanPushes(
        self, request: pb.PlanPushesRequest, context: Context
    ) -> pb.PlanPushesResponse:
        """See the contract."""
        worker = self._tenant(request.parent)
        service = self._service
        planning = Planning(
            worker, service.push_config, best_plan, service.clock, holidays=service.holidays
        )
        planned = await (planning.commit() if request.commit else planning.dry_run())
        assert planned is not None, "only a turn of a schedule can have been planned before"
        current_call().notes |= {"plan": planned.plan_id, "pushes": len(planned.pushes)}
        return _plan_to_proto(planned, worker.tenant)

    async def StreamPushes(
        self, request: pb.StreamPushesRequest, context: Context
    ) -> AsyncGenerator[pb.StreamPushesResponse, None]:
        """See the contract."""
        worker = self._tenant(request.parent)
        group = pushes.consumer_name(request.group, "group")
        consumer = pushes.consumer_name(request.consumer, "consumer")
        lease_seconds = pushes.lease_seconds(request.lease_seconds)
        current_call().notes |= {"group": group, "consumer": consumer}
        service = self._service
        delivery = Delivery(
            worker,
            group,
            service.push_config,
            service.clock,
            lambda: service.newest(worker, context),
        )
        await worker.store.join_group(worker.tenant, group)
        while not service.draining.is_set():
            messages, revision = await delivery.fetch(lease_seconds, request.digest)
            for message in messages:
                yield pb.StreamPushesResponse(
                    pushes=[pushes.push_to_proto(p, worker.tenant) for p in message.pushes],
                    digest_id=message.digest_id,
                    repeated_delivery=message.repeated,
                    revision=revision,
                )
            if not messages:
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL_SECONDS):
                        await service.draining.wait()
        raise NotReadyError("the worker drains: call again, another one answers")

    async def ListPushes(
        self, request: pb.ListPushesRequest, context: Context
    ) -> pb.ListPushesResponse:
        """See the contract."""
        worker = self._tenant(request.parent)
        size = queries.page_size(request.page_size, pushes.DEFAULT_PAGE_SIZE, pushes.MAX_PAGE_SIZE)
        tokens, binding = self._service.page_tokens, ["pushes", worker.tenant]
        after = PushPlace()
        if request.page_token:
            after = PushPlace(*tokens.decode(binding, request.page_token))
        view = await self._service.view(worker, request.min_revision, context)
        found, place = await worker.store.list_pushes(worker.tenant, after, size)
        token = ""
        if place is not None:
            token = tokens.encode(binding, place.bucket, place.time_ms, place.seen)
        return pb.ListPushesResponse(
            pushes=[pushes.status_to_proto(stored, worker.tenant) for stored in found],
            next_page_token=token,
            revision=view.revision_text,
        )

    async def AckPushes(
        self, request: pb.AckPushesRequest, context: Context
    ) -> pb.AckPushesResponse:
        """See the contract."""
        worker = self._tenant(request.parent)
        group = pushes.consumer_name(request.group, "group")
        values.check_count(request.push_ids, pushes.MAX_ACKS, "push_ids")
        values.check_count(request.digest_ids, pushes.MAX_ACKS, "digest_ids")
        if not request.push_ids and not request.digest_ids:
            raise MissingFieldError("send push_ids or digest_ids", field="push_ids")
        reply = pb.AckPushesResponse()
        ids = await self._ids_to_ack(worker, request, reply)
        events = await self._events(worker, ids, self._service.clock())
        statuses, revision = await worker.store.ack_pushes(
            worker.tenant, group, events, self._service.clock()
        )
        reply.acked_count = statuses.count(AckStatus.ACKED)
        reply.repeated_count = statuses.count(AckStatus.REPEATED)
        known = {
            e.push_id for e, s in zip(events, statuses, strict=True) if s is not AckStatus.UNKNOWN
        }
        for push_id, row in ids.items():
            if push_id not in known:
                reply.errors.append(row_error(_unknown(push_id), row, push_id))
        reply.errors.sort(key=lambda e: e.row_index)
        reply.revision = str(revision)
        current_call().notes |= {"group": group, "acked": reply.acked_count}
        return reply

    async def PausePushes(
        self, request: pb.PausePushesRequest, context: Context
    ) -> pb.PausePushesResponse:
        """See the contract."""
        worker = self._tenant(request.parent)
        organization_id = names.parse_reference(
            request.organization, worker.tenant, "organizations", "organization"
        )
        reason = values.text(request.reason, pushes.MAX_REASON_LENGTH, "reason")
        store, tenant = worker.store, worker.tenant
        if request.resume:
            await store.resume(tenant, organization_id)
        else:
            await self._check_organization(worker, organization_id, request.organization)
            actor = self._service.caller.actor
            await store.pause(tenant, Pause(organization_id, self._service.clock(), actor, reason))
        current_call().notes |= {"organization": organization_id, "resume": request.resume}
        found = await store.pauses(tenant)
        return pb.PausePushesResponse(
            pauses=[pushes.pause_to_proto(pause, tenant) for pause in found.values()],
            revision=str(await store.latest_revision(tenant)),
        )

    def _tenant(self, parent: str) -> TenantWorker:
        worker = self._service.worker(parent, "parent")
        names.parse_tenant(parent, worker.tenant)
        return worker

    async def _check_organization(
        self, worker: TenantWorker, organization_id: str, name: str
    ) -> None:
        if not organization_id:
            return
        if not await known_ids(worker, RecordKind.ORGANIZATION, [organization_id]):
            raise UnknownOrganizationError(
                f"there is no organization {organization_id!r}",
                field="organization",
                resource=name,
            )

    async def _ids_to_ack(
        self, worker: TenantWorker, request: pb.AckPushesRequest, reply: pb.AckPushesResponse
    ) -> dict[str, int]:
        """Push ids with the row that named each first; unknown digests go to the errors."""
        ids: dict[str, int] = {}
        for row, push_id in enumerate(request.push_ids):
            ids.setdefault(push_id, row)
        digests = await worker.store.digests(worker.tenant, request.digest_ids)
        for row, digest_id in enumerate(request.digest_ids, len(request.push_ids)):
            if digest_id not in digests:
                reply.errors.append(row_error(_unknown(digest_id), row, digest_id))
            for push_id in digests.get(digest_id, ()):
                ids.setdefault(push_id, row)
        return ids

    async def _events(self, worker: TenantWorker, ids: Iterable[str], now_us: int) -> list[Event]:
        """The exposure that each delivered push is, for those that are known."""
        found = await worker.store.pushes(worker.tenant, list(ids))
        return [
            Event(
                EventKind.PUSHED,
                now_us,
                stored.push.member_id,
                stored.push.lead_id,
                event_id=f"push:{push_id}",
                push_id=push_id,
                wave=stored.push.wave,
                propensity=stored.push.propensity,
                model_version=stored.push.model_version,
            )
            for push_id, stored in found.items()
        ]


def _unknown(identifier: str) -> UnknownPushError:
    return UnknownPushError(f"there is no record of push or digest {names.shown(identifier)}")


def _plan_to_proto(planned: Planned, tenant: str) -> pb.PlanPushesResponse:
    plan = planned.plan
    return pb.PlanPushesResponse(
        plan=planned.plan_id,
        pushes=[pushes.push_to_proto(push, tenant) for push in planned.pushes],
        unserved=pushes.unserved_to_proto(plan, tenant),
        expected_claimed=plan.figures.expected_claimed,
        coverage=plan.figures.coverage,
        busiest_share=plan.figures.busiest_share,
        proved=plan.figures.proved,
        left_out_count=planned.left_out_count,
        completed_count=planned.completed_count,
        revision=plan.revision,
    )
