"""The calls of PushService."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from recsvc.client.calls import Call, Caller, Endless, Pages, id_of
from recsvc.client.replies import enum_name, optional, row_error, time_us
from recsvc.client.types import RowError
from recsvc.v1 import push_pb2 as pb

PAGE_SIZE = 500


@dataclass(frozen=True, slots=True)
class Push:
    """A lead for a member. `reasons` are Chinese and address the member; drop repeats by its id."""

    push_id: str
    member_id: str
    lead_id: str
    wave: int
    claim_probability: float | None
    reasons: tuple[str, ...]
    model_version: str
    release_time_us: int
    expire_time_us: int


@dataclass(frozen=True, slots=True)
class Delivered:
    """What a stream hands out in one piece: one push, or with `digest_id` a member's digest."""

    pushes: tuple[Push, ...]
    digest_id: str
    repeated: bool

    @property
    def member_id(self) -> str:
        """Whom all of it is for."""
        return self.pushes[0].member_id


@dataclass(frozen=True, slots=True)
class PushStatus:
    """A push and what became of it: WAITING, DELIVERED or DROPPED, for which `why` is given."""

    push: Push
    plan_id: str
    state: str
    state_time_us: int
    why: str
    sent_count: int


@dataclass(frozen=True, slots=True)
class UnservedLead:
    """A lead that gets nothing from a plan; `text` says why in Chinese."""

    lead_id: str
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class PushPlan:
    """A plan; `plan_id` is empty for a dry run."""

    plan_id: str
    pushes: tuple[Push, ...]
    unserved: tuple[UnservedLead, ...]
    expected_claimed: float
    coverage: float
    busiest_share: float
    proved: bool
    left_out_count: int
    completed_count: int


@dataclass(frozen=True, slots=True)
class AckReport:
    """What became of acknowledgements; `errors` name the ids that are not known."""

    acked_count: int
    repeated_count: int
    errors: tuple[RowError, ...]


@dataclass(frozen=True, slots=True)
class PushPause:
    """A pause in force; `organization_id` is empty for the whole tenant."""

    organization_id: str
    pause_time_us: int
    actor: str
    reason: str


def plan_pushes(caller: Caller, *, commit: bool = False) -> Call[PushPlan]:
    """The best plan of this moment; with `commit` it goes into the outbox.

    Raises PlanRunningError, PushesPausedError, NoModelError.
    """
    request = pb.PlanPushesRequest(parent=caller.parent, commit=commit)
    return Call("PlanPushes", request, _plan, caller.timeouts.bulk_seconds)


def stream_pushes(
    caller: Caller, group: str, consumer: str, *, digest: bool = False, lease_seconds: int = 60
) -> Endless[Delivered]:
    """Pushes as they fall due, without end; connects again when a worker or the store goes away.

    Acknowledge (`ack_pushes`) within `lease_seconds`, or another consumer of the group gets them.
    """
    request = pb.StreamPushesRequest(
        parent=caller.parent,
        group=group,
        consumer=consumer,
        digest=digest,
        lease_seconds=lease_seconds,
    )
    return Endless("StreamPushes", request, _delivered, caller.timeouts.bulk_seconds)


def list_pushes(caller: Caller) -> Pages[PushStatus]:
    """All pushes of the last year, in no particular order."""
    request = pb.ListPushesRequest(parent=caller.parent, page_size=PAGE_SIZE)
    return Pages(
        "ListPushes",
        request,
        lambda reply: [_status(message) for message in reply.pushes],
        caller.timeouts.read_seconds,
    )


def ack_pushes(
    caller: Caller, group: str, push_ids: Iterable[str] = (), *, digest_ids: Iterable[str] = ()
) -> Call[AckReport]:
    """The platform has delivered these; up to 1,000 of each. Doing it twice does no harm."""
    request = pb.AckPushesRequest(
        parent=caller.parent, group=group, push_ids=push_ids, digest_ids=digest_ids
    )
    return Call("AckPushes", request, _acked, caller.timeouts.write_seconds)


def pause_pushes(
    caller: Caller, organization_id: str = "", *, reason: str = ""
) -> Call[tuple[PushPause, ...]]:
    """Stops planning and delivery within a second; all pauses then in force."""
    return _pausing(caller, organization_id, False, reason)


def resume_pushes(caller: Caller, organization_id: str = "") -> Call[tuple[PushPause, ...]]:
    """Ends a pause; the pauses still in force."""
    return _pausing(caller, organization_id, True, "")


def _pausing(
    caller: Caller, organization_id: str, resume: bool, reason: str
) -> Call[tuple[PushPause, ...]]:
    request = pb.PausePushesRequest(
        parent=caller.parent,
        organization=caller.name("organizations", organization_id),
        resume=resume,
        reason=reason,
    )
    return Call("PausePushes", request, _pauses, caller.timeouts.write_seconds)


def _push(message: pb.Push) -> Push:
    return Push(
        id_of(message.name),
        id_of(message.member),
        id_of(message.lead),
        message.wave,
        optional(message, "claim_probability"),
        tuple(message.reasons),
        message.model_version,
        time_us(message.release_time),
        time_us(message.expire_time),
    )


def _status(message: pb.PushStatus) -> PushStatus:
    return PushStatus(
        _push(message.push),
        message.plan,
        enum_name(pb.PushState, message.state),
        time_us(message.state_time),
        enum_name(pb.PushFilter, message.dropped_because),
        message.sent_count,
    )


def _plan(reply: pb.PlanPushesResponse) -> PushPlan:
    reason = pb.UnservedReason
    return PushPlan(
        reply.plan,
        tuple(_push(message) for message in reply.pushes),
        tuple(
            UnservedLead(id_of(m.lead), enum_name(reason, m.reason), m.text) for m in reply.unserved
        ),
        reply.expected_claimed,
        reply.coverage,
        reply.busiest_share,
        reply.proved,
        reply.left_out_count,
        reply.completed_count,
    )


def _delivered(reply: pb.StreamPushesResponse) -> Sequence[Delivered]:
    pushes = tuple(_push(message) for message in reply.pushes)
    return [Delivered(pushes, reply.digest_id, reply.repeated_delivery)]


def _acked(reply: pb.AckPushesResponse) -> AckReport:
    errors = tuple(row_error(message) for message in reply.errors)
    return AckReport(reply.acked_count, reply.repeated_count, errors)


def _pauses(reply: pb.PausePushesResponse) -> tuple[PushPause, ...]:
    return tuple(
        PushPause(id_of(m.organization), time_us(m.pause_time), m.actor, m.reason)
        for m in reply.pauses
    )
