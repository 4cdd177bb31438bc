"""What can go wrong, in the service's own words; the transport maps it once, at the edge.

RecsvcError                              (features.errors)
├── ConfigError                          a setting cannot be used
├── BundleError                          a model bundle cannot be used
│   ├── BundleMissingError               there is none
│   ├── BundleCorruptError               truncated or altered
│   └── BundleVersionError               of a newer format, or made for other features
└── ServiceError                         what a caller over the wire is told; one leaf a reason
    ├── InvalidRequestError              INVALID_ARGUMENT: MissingField InvalidName InvalidPageSize
    │                                    InvalidPageToken InvalidCoordinate InvalidRegionCode
    │                                    InvalidNumber InvalidTime InvalidEnum InvalidMask
    │                                    InvalidRevision InvalidAttributionToken InvalidIndex
    │                                    TextTooLong TooManyItems InvalidSchedule
    │                                    InvalidOrganizationTree EventTooOld MalformedMessage
    ├── NotFoundError                    NOT_FOUND: UnknownMember UnknownLead UnknownOrganization
    │                                    UnknownConflict UnknownModel UnknownPush
    ├── PreconditionError                FAILED_PRECONDITION: NoModel NoPreviousModel ModelUnusable
    │                                    NotReplayable OrganizationInUse AlreadyClaimed
    │                                    ClaimNotActive LeadNotOpen ClaimNotAllowed PushesPaused
    ├── DeniedError                      PERMISSION_DENIED: PermissionDenied RoleNotAllowed
    ├── UnavailableError                 UNAVAILABLE: StoreUnavailable RevisionNotReached NotReady
    ├── ExistsError                      ALREADY_EXISTS: EventIdConflict RequestIdConflict
    │                                    ClaimExists
    └── Unauthenticated  Overloaded (RESOURCE_EXHAUSTED)  ConcurrentUpdate PlanRunning (ABORTED)
        DeadlineExceeded  Internal

Every reason has its example in protos/recsvc/v1/errors.proto. The client raises the same classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from features.errors import RecsvcError

ERROR_DOMAIN = "recsvc"
"""`domain` of every google.rpc.ErrorInfo of this service."""


class ConfigError(RecsvcError):
    """A setting is missing or cannot be used."""


class BundleError(RecsvcError):
    """A model bundle cannot be used; whoever serves another one keeps serving it."""

    def __init__(self, folder: Path, message: str) -> None:
        super().__init__(f"model bundle {folder}: {message}")
        self.folder = folder


class BundleMissingError(BundleError):
    """The folder holds no bundle."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "there is none; train one (recsvc train) or correct the path")


class BundleCorruptError(BundleError):
    """A file is missing, truncated or altered; `detail` names it."""

    def __init__(self, folder: Path, detail: str) -> None:
        super().__init__(
            folder, f"damaged ({detail}); copy it again, train again or roll back to another"
        )


class BundleVersionError(BundleError):
    """Written in a format (or for features) that this release does not read."""

    def __init__(self, folder: Path, found: object, supported: int) -> None:
        what = f"format {found}" if isinstance(found, int) else found
        super().__init__(
            folder,
            f"made with {what}, but this release reads format {supported} and its own features; "
            "upgrade recsvc, or train again with this release",
        )


class ServiceError(RecsvcError):
    """A call that fails for a documented reason.

    `reason` is the ErrorReason's name without prefix, `status` the gRPC status' name. `field` is a
    path in the request (`lead.location.latitude`), `resource` a resource name, `metadata` further
    facts for programs, `retry_after_seconds` when to try again (None: trying again does not help).
    """

    reason: ClassVar[str] = ""  # of the parents, which are never sent
    status: ClassVar[str]
    default_retry_seconds: ClassVar[float | None] = None

    def __init__(
        self,
        message: str,
        *,
        field: str = "",
        resource: str = "",
        metadata: Mapping[str, str] | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.resource = resource
        self.metadata: dict[str, str] = dict(metadata or {})
        self.retry_after_seconds = (
            self.default_retry_seconds if retry_after_seconds is None else retry_after_seconds
        )


def service_errors() -> dict[str, type[ServiceError]]:
    """Reason -> class, for all reasons."""
    return {leaf.reason: leaf for leaf in _leaves(ServiceError)}


def _leaves(parent: type[ServiceError]) -> Iterator[type[ServiceError]]:
    for child in parent.__subclasses__():
        if "reason" in vars(child):
            yield child
        yield from _leaves(child)


class InvalidRequestError(ServiceError):
    """The request itself is wrong, whatever the state of the service; `field` says where."""

    status = "INVALID_ARGUMENT"


class NotFoundError(ServiceError):
    """`resource` does not exist."""

    status = "NOT_FOUND"


class PreconditionError(ServiceError):
    """The state of the service does not allow it; trying again does not help by itself."""

    status = "FAILED_PRECONDITION"


class ExistsError(ServiceError):
    """It is there already, and not as the caller has it."""

    status = "ALREADY_EXISTS"


class DeniedError(ServiceError):
    """The caller is known and may not."""

    status = "PERMISSION_DENIED"


class UnavailableError(ServiceError):
    """Try again in `retry_after_seconds`; nothing was acknowledged."""

    status = "UNAVAILABLE"


class MissingFieldError(InvalidRequestError):
    reason = "MISSING_FIELD"


class InvalidNameError(InvalidRequestError):
    reason = "INVALID_NAME"


class InvalidPageSizeError(InvalidRequestError):
    reason = "INVALID_PAGE_SIZE"


class InvalidPageTokenError(InvalidRequestError):
    reason = "INVALID_PAGE_TOKEN"


class InvalidCoordinateError(InvalidRequestError):
    reason = "INVALID_COORDINATE"


class InvalidRegionCodeError(InvalidRequestError):
    reason = "INVALID_REGION_CODE"


class InvalidNumberError(InvalidRequestError):
    reason = "INVALID_NUMBER"


class InvalidTimeError(InvalidRequestError):
    reason = "INVALID_TIME"


class InvalidEnumError(InvalidRequestError):
    reason = "INVALID_ENUM"


class InvalidMaskError(InvalidRequestError):
    reason = "INVALID_MASK"


class InvalidRevisionError(InvalidRequestError):
    reason = "INVALID_REVISION"


class InvalidAttributionTokenError(InvalidRequestError):
    reason = "INVALID_ATTRIBUTION_TOKEN"


class InvalidIndexError(InvalidRequestError):
    reason = "INVALID_INDEX"


class TextTooLongError(InvalidRequestError):
    reason = "TEXT_TOO_LONG"


class TooManyItemsError(InvalidRequestError):
    reason = "TOO_MANY_ITEMS"


class InvalidScheduleError(InvalidRequestError):
    reason = "INVALID_SCHEDULE"


class InvalidOrganizationTreeError(InvalidRequestError):
    reason = "INVALID_ORGANIZATION_TREE"


class EventTooOldError(InvalidRequestError):
    reason = "EVENT_TOO_OLD"


class MalformedMessageError(InvalidRequestError):
    reason = "MALFORMED_MESSAGE"


class UnknownMemberError(NotFoundError):
    reason = "UNKNOWN_MEMBER"


class UnknownLeadError(NotFoundError):
    reason = "UNKNOWN_LEAD"


class UnknownOrganizationError(NotFoundError):
    reason = "UNKNOWN_ORGANIZATION"


class UnknownConflictError(NotFoundError):
    reason = "UNKNOWN_CONFLICT"


class UnknownModelError(NotFoundError):
    reason = "UNKNOWN_MODEL"


class UnknownPushError(NotFoundError):
    reason = "UNKNOWN_PUSH"


class UnknownClaimError(NotFoundError):
    reason = "UNKNOWN_CLAIM"


class NoModelError(PreconditionError):
    reason = "NO_MODEL"


class NoPreviousModelError(PreconditionError):
    reason = "NO_PREVIOUS_MODEL"


class ModelUnusableError(PreconditionError):
    reason = "MODEL_UNUSABLE"


class NotReplayableError(PreconditionError):
    reason = "NOT_REPLAYABLE"


class OrganizationInUseError(PreconditionError):
    reason = "ORGANIZATION_IN_USE"


class AlreadyClaimedError(PreconditionError):
    reason = "ALREADY_CLAIMED"


class ClaimNotActiveError(PreconditionError):
    reason = "CLAIM_NOT_ACTIVE"


class LeadNotOpenError(PreconditionError):
    reason = "LEAD_NOT_OPEN"


class ClaimNotAllowedError(PreconditionError):
    reason = "CLAIM_NOT_ALLOWED"


class PushesPausedError(PreconditionError):
    reason = "PUSHES_PAUSED"


class PermissionDeniedError(DeniedError):
    reason = "PERMISSION_DENIED"


class RoleNotAllowedError(DeniedError):
    reason = "ROLE_NOT_ALLOWED"


class StoreUnavailableError(UnavailableError):
    reason = "STORE_UNAVAILABLE"
    default_retry_seconds = 1.0


class RevisionNotReachedError(UnavailableError):
    reason = "REVISION_NOT_REACHED"
    default_retry_seconds = 0.05


class NotReadyError(UnavailableError):
    reason = "NOT_READY"
    default_retry_seconds = 0.5


class EventIdConflictError(ExistsError):
    reason = "EVENT_ID_CONFLICT"


class RequestIdConflictError(ExistsError):
    reason = "REQUEST_ID_CONFLICT"


class ClaimExistsError(ExistsError):
    reason = "CLAIM_EXISTS"


class UnauthenticatedError(ServiceError):
    reason = "UNAUTHENTICATED"
    status = "UNAUTHENTICATED"


class OverloadedError(ServiceError):
    reason = "OVERLOADED"
    status = "RESOURCE_EXHAUSTED"
    default_retry_seconds = 0.2


class ConcurrentUpdateError(ServiceError):
    reason = "CONCURRENT_UPDATE"
    status = "ABORTED"
    default_retry_seconds = 0.05


class PlanRunningError(ServiceError):
    reason = "PLAN_RUNNING"
    status = "ABORTED"
    default_retry_seconds = 1.0


class DeadlineExceededError(ServiceError):
    reason = "DEADLINE_EXCEEDED"
    status = "DEADLINE_EXCEEDED"


class InternalError(ServiceError):
    reason = "INTERNAL"
    status = "INTERNAL"
