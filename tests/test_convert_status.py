"""Errors as google.rpc.Status and back; small values and names."""

from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2, status_pb2
from hypothesis import given
from hypothesis import strategies as st

from recsvc.convert import names, values
from recsvc.convert.status import (
    from_status,
    internal_error,
    service_error,
    status_name,
    to_grpc,
    to_status,
)
from recsvc.errors import (
    BundleCorruptError,
    InvalidNameError,
    InvalidTimeError,
    MissingFieldError,
    NotFoundError,
    PermissionDeniedError,
    ServiceError,
    TextTooLongError,
    service_errors,
)
from recsvc.store.protocol import PageTokenError, RecordKind, StaleWriteError, StoreUnavailable
from recsvc.store.revision import Revision

NOW_US = 1_800_000_000_000_000


@pytest.mark.parametrize("kind", service_errors().values(), ids=lambda k: k.reason)
def test_every_error_comes_back_as_itself(kind: type[ServiceError]) -> None:
    sent = kind(
        "有问题",
        field="lead.title",
        resource="tenants/hn/leads/l1",
        metadata={"log_id": "7"},
        retry_after_seconds=0.25,
    )
    status = to_status(sent)
    found = from_status(status_pb2.Status.FromString(status.SerializeToString()))
    assert type(found) is kind
    assert found.__dict__ == sent.__dict__
    assert status_name(status.code) == kind.status
    assert to_grpc(sent).code.name == kind.status


@given(st.text(max_size=3_000), st.text(max_size=3_000))
def test_a_status_fits_into_headers(message: str, field: str) -> None:
    error = TextTooLongError(message, field=field, resource=message)
    assert len(to_status(error).SerializeToString()) < 5_000


def test_a_status_of_another_service_is_none_of_ours() -> None:
    foreign = status_pb2.Status(code=5, message="no")
    assert from_status(foreign) is None
    info = error_details_pb2.ErrorInfo(reason="UNKNOWN_MEMBER", domain="elsewhere")
    foreign.details.add().Pack(info)
    assert from_status(foreign) is None
    assert status_name(99) == "UNKNOWN"


def test_what_is_not_the_callers_business_is_internal() -> None:
    assert service_error(ValueError("secret")) is None
    assert service_error(TimeoutError()) is None
    told = internal_error("abc")
    assert (told.reason, told.metadata) == ("INTERNAL", {"log_id": "abc"})


def test_refusals_of_store_and_bundle_are_translated() -> None:
    away = service_error(StoreUnavailable("connection refused at /secret/path", 2.5))
    assert away is not None
    assert (away.reason, away.retry_after_seconds) == ("STORE_UNAVAILABLE", 2.5)
    assert "secret" not in away.message
    found = [
        service_error(StaleWriteError(RecordKind.LEAD, "l1")),
        service_error(PageTokenError("2")),
        service_error(BundleCorruptError(Path("models/a"), "x.npy")),
    ]
    assert [e.reason for e in found if e] == [
        "CONCURRENT_UPDATE",
        "INVALID_PAGE_TOKEN",
        "MODEL_UNUSABLE",
    ]
    with pytest.raises(Exception, match="malformed revision") as raised:
        Revision.parse("latest")
    told = service_error(raised.value)
    assert told is not None
    assert (told.reason, told.field) == ("INVALID_REVISION", "min_revision")


@pytest.mark.parametrize("text", ["m1", "李雷-7", "a.b_c~d:e@f", "x" * 128, "--"])
def test_ids(text: str) -> None:
    assert names.is_id(text)
    assert names.parse_name(f"tenants/hn/members/{text}", "hn", "members", "name") == text


@pytest.mark.parametrize("text", ["", "-", "a b", "a/b", "x" * 129, "a\n", "a,b", "a%20b"])
def test_no_ids(text: str) -> None:
    assert not names.is_id(text)
    with pytest.raises((InvalidNameError, MissingFieldError)):
        names.parse_name(f"tenants/hn/members/{text}", "hn", "members", "name")
    with pytest.raises(InvalidNameError):
        names.check_id(text, "id")


@pytest.mark.parametrize(
    "name", ["tenants/hn", "tenants/hn/members", "tenants/hn/leads/l", "members/m", "tenants/"]
)
def test_names_of_another_shape(name: str) -> None:
    with pytest.raises(InvalidNameError) as raised:
        names.parse_name(name, "hn", "members", "member")
    assert raised.value.field == "member"


def test_another_tenants_name_is_denied_before_its_shape_is_looked_at() -> None:
    with pytest.raises(PermissionDeniedError):
        names.parse_name("tenants/gd/members/a b", "hn", "members", "member")
    with pytest.raises(PermissionDeniedError):
        names.parse_tenant("tenants/gd", "hn")
    with pytest.raises(PermissionDeniedError):
        names.parse_conflict("tenants/gd/members/m/conflicts/-", "hn")
    with pytest.raises(InvalidNameError):
        names.parse_tenant("tenants/hn/members/m", "hn")
    assert names.parse_conflict_parent("tenants/hn/members/-", "hn") == ""
    assert names.parse_conflict_parent("tenants/hn/members/m", "hn") == "m"


@given(st.integers(0, NOW_US))
def test_times_keep_their_microseconds(time_us: int) -> None:
    stamp = values.timestamp(time_us)
    if stamp is None:
        assert time_us == 0
    else:
        assert values.time_us(stamp, NOW_US, "t") == time_us


@pytest.mark.parametrize(
    ("stamp", "problem"),
    [
        (Timestamp(seconds=-1), "before 1970"),
        (Timestamp(seconds=2**62), "cannot be read"),
        (Timestamp(seconds=1, nanos=10**9), "cannot be read"),
        (Timestamp(seconds=NOW_US // 1_000_000 + 301), "five minutes ahead"),
    ],
)
def test_times_that_cannot_be(stamp: Timestamp, problem: str) -> None:
    with pytest.raises(InvalidTimeError, match=problem):
        values.time_us(stamp, NOW_US, "event_time")


def test_fields_are_named_from_the_request_down() -> None:
    with pytest.raises(NotFoundError) as plain, values.within("lead."):
        raise service_errors()["UNKNOWN_LEAD"]("no")
    assert plain.value.field == ""
    with (
        pytest.raises(TextTooLongError) as raised,
        values.within("request."),
        values.within("lead."),
    ):
        values.text("xx", 1, "title")
    assert raised.value.field == "request.lead.title"
