"""ParticipationService: what members did, into the store."""

# ruff: noqa: N802 - the contract names the methods

from __future__ import annotations

from features.entities import Event
from recsvc.convert import names, values
from recsvc.convert.events import MAX_EVENTS, event_from_proto, row_error
from recsvc.errors import (
    EventIdConflictError,
    MissingFieldError,
    ServiceError,
    UnknownLeadError,
    UnknownMemberError,
)
from recsvc.serving.interceptors import current_call
from recsvc.serving.servicers.shared import Context, Service, known_ids
from recsvc.serving.worker import TenantWorker
from recsvc.store.codec import RecordKind
from recsvc.store.protocol import EventStatus
from recsvc.v1 import errors_pb2, participation_pb2_grpc
from recsvc.v1 import participation_pb2 as pb

_MOST_TOKENS_LOGGED = 20


class ParticipationServicer(participation_pb2_grpc.ParticipationServiceServicer):
    """Takes participation events."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def RecordEvents(
        self, request: pb.RecordEventsRequest, context: Context
    ) -> pb.RecordEventsResponse:
        """See the contract."""
        worker = self._service.worker(request.parent, "parent")
        names.parse_tenant(request.parent, worker.tenant)
        if not request.events:
            raise MissingFieldError("events is required: send at least one", field="events")
        values.check_count(request.events, MAX_EVENTS, "events")
        errors: list[errors_pb2.RowError] = []
        events: list[tuple[int, Event]] = []
        for i, message in enumerate(request.events):
            try:
                events.append((i, event_from_proto(message, worker.tenant, self._service.clock())))
            except ServiceError as error:
                errors.append(row_error(error, i, message.event_id))
        events = await self._with_subjects(worker, events, errors)
        reply = pb.RecordEventsResponse()
        if events:
            await self._record(worker, events, errors, reply)
        reply.errors.extend(sorted(errors, key=lambda e: e.row_index))
        _note(events, reply)
        return reply

    async def _with_subjects(
        self,
        worker: TenantWorker,
        events: list[tuple[int, Event]],
        errors: list[errors_pb2.RowError],
    ) -> list[tuple[int, Event]]:
        """Those events whose member and lead exist."""
        member_ids = {e.member_id for _, e in events}
        lead_ids = {e.lead_id for _, e in events if e.lead_id}
        members = await known_ids(worker, RecordKind.MEMBER, member_ids)
        leads = await known_ids(worker, RecordKind.LEAD, lead_ids) | {""}
        good = []
        for i, event in events:
            error: ServiceError | None = None
            if event.member_id not in members:
                text = f"there is no member {event.member_id!r}: import it first"
                error = UnknownMemberError(text, field="member")
            elif event.lead_id not in leads:
                text = f"there is no lead {event.lead_id!r}: import it first"
                error = UnknownLeadError(text, field="lead")
            if error is None:
                good.append((i, event))
            else:
                errors.append(row_error(error, i, event.event_id))
        return good

    async def _record(
        self,
        worker: TenantWorker,
        events: list[tuple[int, Event]],
        errors: list[errors_pb2.RowError],
        reply: pb.RecordEventsResponse,
    ) -> None:
        outcomes, revision = await worker.store.record_events(
            worker.tenant, [event for _, event in events]
        )
        for (i, event), outcome in zip(events, outcomes, strict=True):
            match outcome.status:
                case EventStatus.RECORDED:
                    reply.recorded_count += 1
                case EventStatus.DUPLICATE:
                    reply.repeated_count += 1
                case EventStatus.CONFLICT:
                    error = EventIdConflictError(
                        f"event_id {event.event_id!r} was used for another event within 7 days: "
                        "give every event an id of its own",
                        field="event_id",
                    )
                    errors.append(row_error(error, i, event.event_id))
        reply.revision = str(revision)


def _note(events: list[tuple[int, Event]], reply: pb.RecordEventsResponse) -> None:
    """Counts and the replies that the events came from, for the log."""
    tokens = sorted({e.attribution_token for _, e in events if e.attribution_token})
    notes: dict[str, object] = {
        "recorded": reply.recorded_count,
        "repeated": reply.repeated_count,
        "rejected": len(reply.errors),
    }
    if tokens:
        notes["attribution_tokens"] = tokens[:_MOST_TOKENS_LOGGED]
    current_call().notes |= notes
