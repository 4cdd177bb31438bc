"""Names of keys. The braces make a tenant's bucket one slot of a cluster."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass

from features.errors import DataError
from recsvc.store.codec import RecordKind

TENANTS = "recsvc:tenants"
"""Set of all tenants."""

CONTROL_BUCKET = 0
"""Holds what belongs to the tenant as a whole."""

_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,62}", re.ASCII)


def check_tenant(tenant: str) -> None:
    """Raise DataError when a name could not be part of a key or an address."""
    if not _TENANT.fullmatch(tenant):
        raise DataError(
            f"{tenant[:80]!r} is no tenant name: use 1 to 63 letters, digits, '.', '_', '~', '-', "
            "beginning with a letter or digit"
        )


def bucket_of(identifier: str, bucket_count: int) -> int:
    """The bucket of an id."""
    return zlib.crc32(identifier.encode()) % bucket_count


def meta(tenant: str) -> str:
    """What is fixed about a tenant."""
    return f"recsvc:{{{tenant}:{CONTROL_BUCKET}}}:meta"


@dataclass(frozen=True, slots=True)
class BucketKeys:
    """The keys of one bucket of one tenant."""

    prefix: str

    @classmethod
    def of(cls, tenant: str, bucket: int) -> BucketKeys:
        """The keys of this bucket."""
        return cls(f"recsvc:{{{tenant}:{bucket}}}:")

    def records(self, kind: RecordKind) -> str:
        """Hash: id -> record."""
        return self.prefix + kind

    @property
    def changes(self) -> str:
        """The change stream."""
        return self.prefix + "changes"

    @property
    def trimmed(self) -> str:
        """The stream id below which the stream was trimmed."""
        return self.prefix + "trimmed"

    def event(self, event_id: str) -> str:
        """Content hash an event id stands for (in the bucket of the event id)."""
        return f"{self.prefix}event:{event_id}"

    def recorded(self, event_id: str) -> str:
        """The same, of an event appended in this bucket (its member's; on a cluster only)."""
        return f"{self.prefix}recorded:{event_id}"

    def claims(self, lead_id: str) -> str:
        """Hash: member id -> state and time of the member's claim on a lead."""
        return f"{self.prefix}claims:{lead_id}"

    @property
    def holders(self) -> str:
        """Hash: lead id -> how many members hold it, for leads that somebody holds."""
        return self.prefix + "holders"

    def claim_answer(self, lead_id: str, request_id: str) -> str:
        """Hash: what a request about a lead's claims was answered, expiring.

        No id of a lead holds a "/", so no two pairs make one key.
        """
        return f"{self.prefix}answer:{lead_id}/{request_id}"

    def push(self, push_id: str) -> str:
        """Hash: a push, its state and what Explain needs, expiring."""
        return f"{self.prefix}push:{push_id}"

    def digest(self, digest_id: str) -> str:
        """The push ids of a digest that was handed out, expiring."""
        return f"{self.prefix}digest:{digest_id}"

    @property
    def open_pushes(self) -> str:
        """Sorted set: push id -> expiry, of pushes that nobody has acknowledged."""
        return self.prefix + "open"

    @property
    def push_log(self) -> str:
        """Sorted set: push id -> when it was put."""
        return self.prefix + "pushlog"

    @property
    def push_groups(self) -> str:
        """Set of the groups of consumers."""
        return self.prefix + "groups"

    @property
    def push_fence(self) -> str:
        """The last fencing token under which pushes were put."""
        return self.prefix + "pushfence"

    def waiting_pushes(self, group: str) -> str:
        """Sorted set: push id -> release, of what a group has not fetched."""
        return f"{self.prefix}waiting:{group}"

    def leased_pushes(self, group: str) -> str:
        """Sorted set: push id -> end of its lease, of what a group has fetched."""
        return f"{self.prefix}leased:{group}"

    @property
    def plans(self) -> str:
        """Set of the plans that are not all in the outbox."""
        return self.prefix + "plans"

    @property
    def planned_turn(self) -> str:
        """The last turn of the schedule that was planned."""
        return self.prefix + "turn"

    def plan(self, plan_id: str) -> str:
        """List of the parts of a plan, expiring."""
        return f"{self.prefix}plan:{plan_id}"

    @property
    def arrivals(self) -> str:
        """Sorted set: urgent lead -> when it was noted, of those nobody has planned yet."""
        return self.prefix + "arrivals"

    @property
    def arrived(self) -> str:
        """Sorted set: urgent lead -> when it was planned on its arrival; a day."""
        return self.prefix + "arrived"

    def planned_pushes(self, member_id: str) -> str:
        """Sorted set: push id -> release, of what was put for a member and counts against caps."""
        return f"{self.prefix}planned:{member_id}"

    @property
    def pauses(self) -> str:
        """Hash: organization id ("" for all) -> who paused its pushes, and why."""
        return self.prefix + "pauses"

    @property
    def activations(self) -> str:
        """List of activation records."""
        return self.prefix + "activations"

    @property
    def workers(self) -> str:
        """Hash: worker id -> expiry and status."""
        return self.prefix + "workers"

    def lease(self, name: str) -> str:
        """Hash: owner and token of a lease, expiring."""
        return f"{self.prefix}lease:{name}"

    def fence(self, name: str) -> str:
        """The last fencing token given out."""
        return f"{self.prefix}fence:{name}"
