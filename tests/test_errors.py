"""The error tree agrees with the contract's enum, and says what the user needs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from google.rpc import code_pb2

from features.errors import RecsvcError
from recsvc.errors import (
    BundleCorruptError,
    BundleError,
    BundleMissingError,
    BundleVersionError,
    NotFoundError,
    ServiceError,
    StoreUnavailableError,
    UnavailableError,
    UnknownLeadError,
    service_errors,
)
from recsvc.v1.errors_pb2 import ErrorReason

PREFIX = "ERROR_REASON_"
PROTO = Path(__file__).parent.parent / "protos" / "recsvc" / "v1" / "errors.proto"


def documented_reasons() -> dict[str, str]:
    """Reason without prefix -> its comment as one line, as errors.proto has them."""
    found = re.findall(
        rf"((?:^  //.*\n)+)^  {PREFIX}(\w+) = \d+;", PROTO.read_text(encoding="utf-8"), re.MULTILINE
    )
    return {name: re.sub(r"\s*\n?\s*// ?", " ", text).strip() for text, name in found}


def test_every_reason_has_one_class_and_every_class_one_reason() -> None:
    reasons = [name.removeprefix(PREFIX) for name in ErrorReason.keys()]  # noqa: SIM118
    leaves = service_errors()
    assert sorted(leaves) == sorted(set(reasons) - {"UNSPECIFIED"})
    assert len(set(leaves.values())) == len(leaves)
    for reason, leaf in leaves.items():
        assert leaf.__name__ == reason.title().replace("_", "") + "Error"


def test_statuses_are_those_the_contract_documents() -> None:
    documented = documented_reasons()
    for reason, leaf in service_errors().items():
        assert documented[reason].startswith(f"{leaf.status}: "), reason
        assert leaf.status in code_pb2.Code.keys(), reason  # noqa: SIM118


def test_every_reason_has_an_example() -> None:
    documented = documented_reasons()
    assert documented.pop("UNSPECIFIED") == "Never sent."
    assert [reason for reason, text in documented.items() if "Example: " not in text] == []


def test_unavailable_errors_say_when_to_try_again() -> None:
    for leaf in service_errors().values():
        if issubclass(leaf, UnavailableError):
            assert leaf("later").retry_after_seconds, leaf.reason
    assert StoreUnavailableError("later", retry_after_seconds=7.5).retry_after_seconds == 7.5
    assert UnknownLeadError("none").retry_after_seconds is None


def test_an_error_carries_what_the_transport_needs() -> None:
    metadata = {"lead": "l1"}
    name = "tenants/hn/leads/l1"
    with pytest.raises(NotFoundError, match="no lead l1") as caught:
        raise UnknownLeadError("no lead l1", field="lead", resource=name, metadata=metadata)
    error = caught.value
    metadata["lead"] = "changed later"
    assert (error.reason, error.status) == ("UNKNOWN_LEAD", "NOT_FOUND")
    assert (error.message, error.field, error.resource) == ("no lead l1", "lead", name)
    assert error.metadata == {"lead": "l1"}


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (BundleMissingError(Path("/m/a")), "/m/a: there is none; train"),
        (BundleCorruptError(Path("/m/a"), "x.npy truncated"), r"damaged \(x.npy truncated\)"),
        (BundleVersionError(Path("/m/a"), 2, 1), "format 2, but this release reads format 1"),
        (BundleVersionError(Path("/m/a"), "other features", 1), "made with other features, but"),
    ],
)
def test_bundle_errors_name_folder_fault_and_remedy(error: BundleError, words: str) -> None:
    assert re.search(words, str(error))
    assert error.folder == Path("/m/a")
    assert isinstance(error, RecsvcError)
    assert not isinstance(error, ServiceError)


def test_errors_do_not_load_the_transport() -> None:
    code = "import sys, recsvc.errors; sys.exit('grpc' in sys.modules or 'google' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
