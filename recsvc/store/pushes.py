"""The outbox: pushes on their way to members. What the store is asked, and what it answers.

A push waits until its release, is leased to a consumer of each group, and ends delivered (some
group acknowledged it) or dropped. A push id tells the member's bucket, so that a push is found by
its id alone.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from recsvc.store.types import StoreError

KEEP_DAYS = 365
"""How long the record of a push is kept, for Explain."""

DIGEST_DAYS = 30
_MEMBER_DIGITS = 8


class FencedError(StoreError):
    """Another process took over the lease under which this one was writing."""


class PushState(StrEnum):
    """Where a push is in its life."""

    WAITING = "waiting"  # for its release, or for an acknowledgement
    DELIVERED = "delivered"
    DROPPED = "dropped"


class PutStatus(StrEnum):
    """What became of a push that was put."""

    NEW = "new"
    SAME = "same"  # it was there
    CAPPED = "capped"  # the member has as many as they may


class AckStatus(StrEnum):
    """What became of an acknowledgement."""

    ACKED = "acked"
    REPEATED = "repeated"
    UNKNOWN = "unknown"


class Push(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a consumer needs of a push; times in microseconds, `reasons` in Chinese."""

    push_id: str
    member_id: str
    lead_id: str
    wave: int = 0
    plan_id: str = ""
    release_time_us: int = 0
    expire_time_us: int = 0
    claim_probability: float | None = None
    propensity: float | None = None
    model_version: str = ""
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NewPush:
    """A push for the outbox; `detail` is kept beside it for Explain, opaque to the store.

    It is refused when the member has `week_cap` pushes in the seven days before its release, or
    `day_cap` in the day before, planned ones counted.
    """

    push: Push
    detail: bytes
    week_cap: int
    day_cap: int


@dataclass(frozen=True, slots=True)
class LeasedPush:
    """A push in the hands of a consumer.

    `sent_before` is how often it was handed out before, `week_place` and `day_place` its 0-based
    places among what the member was handed in the last seven days and the last day.
    """

    push: Push
    sent_before: int
    week_place: int
    day_place: int


@dataclass(frozen=True, slots=True)
class StoredPush:
    """A push and what became of it; `why` says so of a dropped one."""

    push: Push
    state: PushState
    state_time_us: int
    why: str
    sent_count: int
    detail: bytes


@dataclass(frozen=True, slots=True)
class PushPlace:
    """Where a listing has come: how many of the pushes put at that time have been listed."""

    bucket: int = 0
    time_ms: int = 0
    seen: int = 0


class Pause(msgspec.Struct, frozen=True, omit_defaults=True):
    """Nothing is planned or delivered for an organization, or ("") for the whole tenant."""

    organization_id: str
    time_us: int
    actor: str = ""
    reason: str = ""


def push_id_of(tenant: str, member_id: str, lead_id: str, wave: int) -> str:
    """The id of a push: the same for the same tenant, member, lead and wave."""
    named = "\0".join((tenant, member_id, lead_id, str(wave)))
    return member_digits(member_id) + hashlib.blake2b(named.encode(), digest_size=10).hexdigest()


def digest_id_of(member_id: str, push_ids: Sequence[str]) -> str:
    """The id of a digest: the same for the same pushes."""
    named = "\0".join(sorted(push_ids))
    digest = hashlib.blake2b(named.encode(), digest_size=10).hexdigest()
    return f"{member_digits(member_id)}d{digest}"


def member_digits(member_id: str) -> str:
    """What an id of a push or digest begins with: the checksum that decides the bucket."""
    return f"{zlib.crc32(member_id.encode()):0{_MEMBER_DIGITS}x}"


def bucket_of_push(push_id: str, bucket_count: int) -> int | None:
    """The bucket of a push or digest by its id; None for what is no such id."""
    try:
        return int(push_id[:_MEMBER_DIGITS], 16) % bucket_count
    except ValueError:
        return None
