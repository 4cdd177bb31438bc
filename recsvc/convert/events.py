"""Participation events: message -> entity, and row errors."""

from __future__ import annotations

from features.entities import DismissReason, Event, EventKind
from recsvc.convert import names, values
from recsvc.errors import EventTooOldError, InvalidNameError, MissingFieldError, ServiceError
from recsvc.store.types import EVENT_ID_DAYS
from recsvc.v1 import errors_pb2
from recsvc.v1 import participation_pb2 as pb

MAX_EVENTS = 1_000
MAX_POSITION = 10_000
MAX_WAVE = 32_767
MAX_TOKEN_LENGTH = 512
_REMEMBERED_US = EVENT_ID_DAYS * 86_400 * 1_000_000


def event_from_proto(message: pb.ParticipationEvent, tenant: str, now_us: int) -> Event:
    """The entity; raises the error of the first field that cannot be used."""
    event_id = platform_id(message.event_id, "event_id")
    if not event_id:
        raise MissingFieldError("event_id is required", field="event_id")
    kind = EventKind(values.enum_value(message.kind, tuple(EventKind), "kind"))
    member_id = names.parse_name(message.member, tenant, "members", "member")
    if message.lead or kind is not EventKind.SEE_LESS:
        lead_id = names.parse_name(message.lead, tenant, "leads", "lead")
    else:
        lead_id = ""
    reason = DismissReason.UNSPECIFIED
    if message.dismiss_reason:
        known = tuple(DismissReason)
        reason = DismissReason(values.enum_value(message.dismiss_reason, known, "dismiss_reason"))
    return Event(
        kind=kind,
        time_us=_time(message, now_us),
        member_id=member_id,
        lead_id=lead_id,
        event_id=event_id,
        position=_position(message),
        attribution_token=values.text(
            message.attribution_token, MAX_TOKEN_LENGTH, "attribution_token"
        ),
        push_id=platform_id(message.push_id, "push_id"),
        wave=values.number(message.wave, 0, MAX_WAVE, "wave"),
        propensity=_propensity(message),
        model_version=values.text(message.model_version, names.MAX_ID_LENGTH, "model_version"),
        rating=_rating(message),
        reason=reason,
        topic=values.text(message.topic, values.MAX_TOPIC_LENGTH, "topic").strip(),
    )


def platform_id(value: str, field: str) -> str:
    """An id of the platform's own making: any characters, of the length of an id."""
    if len(value) > names.MAX_ID_LENGTH:
        raise InvalidNameError(
            f"{field} has more than {names.MAX_ID_LENGTH} characters", field=field
        )
    return value


def _time(message: pb.ParticipationEvent, now_us: int) -> int:
    if not message.HasField("event_time"):
        raise MissingFieldError("event_time is required", field="event_time")
    found = values.time_us(message.event_time, now_us, "event_time")
    if found < now_us - _REMEMBERED_US:
        raise EventTooOldError(
            f"event_time is more than {EVENT_ID_DAYS} days ago: put the event into the data set "
            "for training",
            field="event_time",
        )
    return found


def _position(message: pb.ParticipationEvent) -> int:
    if not message.HasField("position"):
        return -1
    return values.number(message.position, 0, MAX_POSITION, "position")


def _propensity(message: pb.ParticipationEvent) -> float | None:
    if not message.HasField("propensity"):
        return None
    # Above 0: a policy that never exposes it cannot have exposed it, and weights divide by it.
    return values.number(message.propensity, 1e-12, 1.0, "propensity")


def _rating(message: pb.ParticipationEvent) -> float | None:
    if not message.HasField("rating"):
        return None
    return values.number(message.rating, 1.0, 5.0, "rating")


def row_error(error: ServiceError, row_index: int, row_id: str) -> errors_pb2.RowError:
    """How a batch reports one of its rows."""
    return errors_pb2.RowError(
        row_index=row_index,
        reason=errors_pb2.ErrorReason.Value(f"ERROR_REASON_{error.reason}"),
        field=error.field,
        message=error.message,
        row_id=row_id[:1_000],
    )
