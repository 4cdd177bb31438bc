"""The contract keeps its own rules, agrees with the code beneath it, and its check bites."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor, FileDescriptor, MethodDescriptor
from google.rpc import code_pb2

from features.entities import DismissReason, EventKind, LeadState
from recsvc.model.organizations import RULES
from recsvc.model.terms import FEATURES
from recsvc.model.verdicts import Verdict
from recsvc.push.types import Source, Unserved
from recsvc.v1 import (
    access_pb2,
    participation_pb2,
    push_pb2,
    recommendation_pb2,
    resources_pb2,
)

ROOT = Path(__file__).parent.parent
PROTOS = ROOT / "protos" / "recsvc" / "v1"
FILES: list[FileDescriptor] = [
    importlib.import_module(f"recsvc.v1.{file.stem}_pb2").DESCRIPTOR
    for file in sorted(PROTOS.glob("*.proto"))
]
RESOURCE = importlib.import_module("google.api.resource_pb2").resource  # has no type stubs
WRITES = re.compile(
    "(Update|Delete|Import|Record|Activate|Rollback|Claim|Release|Transfer|Resolve|Plan|Stream|Ack|Pause)[A-Z]"
)
VERDICT_NAMES = {"KEPT": "UNSPECIFIED", "DELETED": "NOT_FOUND", "NOT_YET": "NOT_YET_CREATED"}


def methods() -> Iterator[MethodDescriptor]:
    for file in FILES:
        for service in file.services_by_name.values():
            yield from service.methods


def roles_of(method: MethodDescriptor) -> set[int]:
    return set(method.GetOptions().Extensions[access_pb2.roles])


def wire_names(enum: object, prefix: str) -> dict[str, int]:
    """Name without prefix -> number of a protobuf enum."""
    return {name.removeprefix(prefix): number for name, number in enum.items()}  # type: ignore[attr-defined]


def test_numbers_equal_the_entities() -> None:
    for ours, theirs, prefix in (
        (EventKind, participation_pb2.EventKind, "EVENT_KIND_"),
        (DismissReason, participation_pb2.DismissReason, "DISMISS_REASON_"),
        (LeadState, resources_pb2.LeadState, "LEAD_STATE_"),
    ):
        named = {member.name: int(member) for member in ours}
        assert wire_names(theirs, prefix) == {"UNSPECIFIED": 0, **named}


def test_filter_reasons_are_the_masks() -> None:
    wire = wire_names(recommendation_pb2.FilterReason, "FILTER_REASON_")
    for verdict in Verdict:
        assert wire[VERDICT_NAMES.get(verdict.name, verdict.name)] == verdict


def test_push_filters_are_the_masks_and_plans_give_their_reasons() -> None:
    filters = wire_names(push_pb2.PushFilter, "PUSH_FILTER_")
    masks = {verdict.name: int(verdict) for verdict in Verdict if verdict is not Verdict.KEPT}
    own = {"EXPIRED": 50, "CAPS_USED": 51}
    assert filters == {"UNSPECIFIED": 0, **masks, **own}
    unserved = wire_names(push_pb2.UnservedReason, "UNSERVED_REASON_")
    assert unserved.keys() == {reason.name for reason in Unserved} | {"UNSPECIFIED"}
    sources = wire_names(push_pb2.PushSource, "PUSH_SOURCE_")
    assert sources.keys() == {source.name for source in Source} | {"UNSPECIFIED"}


def test_reason_codes_and_rules_cover_the_model_and_the_tree() -> None:
    codes = wire_names(recommendation_pb2.ReasonCode, "REASON_CODE_")
    assert {feature.group for feature in FEATURES} <= codes.keys()
    rules = wire_names(resources_pb2.JurisdictionRule, "JURISDICTION_RULE_")
    assert rules.keys() == RULES | {"UNSPECIFIED"}


def test_every_method_has_roles_and_auditors_change_nothing() -> None:
    for method in methods():
        roles = roles_of(method)
        assert access_pb2.ROLE_OPERATOR in roles, method.full_name
        assert access_pb2.ROLE_UNSPECIFIED not in roles, method.full_name
        may_audit = access_pb2.ROLE_AUDITOR in roles
        assert may_audit == (WRITES.match(method.name) is None), method.full_name


def revision_fields(message: Descriptor) -> Iterator[str]:
    """Paths of `revision` in a reply, also of the replies it carries."""
    for field in message.fields:
        if field.name == "revision":
            yield message.name
        elif field.message_type is not None and field.name in ("results", "reply"):
            yield from revision_fields(field.message_type)


def test_writes_give_a_revision_and_reads_wait_for_one() -> None:
    for method in methods():
        if method.name == "ListWorkers":  # each worker reports its own
            continue
        assert list(revision_fields(method.output_type)), method.full_name
        waits = "min_revision" in method.input_type.fields_by_name
        assert waits == (WRITES.match(method.name) is None), method.full_name


def test_every_call_and_every_resource_names_its_tenant() -> None:
    for method in methods():
        fields = set(method.input_type.fields_by_name)
        holder = {"name", "parent", "member"} | {method.name.removeprefix("Update").lower()}
        assert holder & fields, method.full_name
    patterns = [
        pattern
        for file in FILES
        for message in file.message_types_by_name.values()
        for pattern in message.GetOptions().Extensions[RESOURCE].pattern
    ]
    assert len(patterns) == 7
    assert all(pattern.startswith("tenants/{tenant}/") for pattern in patterns)


def test_comments_name_only_reasons_and_values_that_exist() -> None:
    values = {value for file in FILES for enum in file.enum_types_by_name.values()
              for value in enum.values_by_name}  # fmt: skip
    known = {value for enum_value in values for value in suffixes(enum_value)}
    known |= set(code_pb2.Code.keys())
    for file in PROTOS.glob("*.proto"):
        comments = re.findall(r"//(.*)", file.read_text(encoding="utf-8"))
        named = set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", " ".join(comments)))
        assert named - known == set(), file.name


def suffixes(value: str) -> Iterator[str]:
    """An enum value and what is left of it without its first words."""
    words = value.split("_")
    return ("_".join(words[start:]) for start in range(len(words)))


CLIENT = """
import grpc
from recsvc.v1.catalog_pb2 import ImportLeadsRequest, ImportLeadsResponse
from recsvc.v1.catalog_pb2_grpc import CatalogServiceStub
from recsvc.v1.recommendation_pb2 import BatchRecommendLeadsRequest, RecommendLeadsRequest
from recsvc.v1.recommendation_pb2_grpc import RecommendationServiceStub
from recsvc.v1.resources_pb2 import Lead


async def recommend(channel: grpc.aio.Channel, member: str) -> list[str]:
    stub = RecommendationServiceStub(channel)
    reply = await stub.RecommendLeads(RecommendLeadsRequest(member=member), timeout=1.0)
    batch = BatchRecommendLeadsRequest(parent="tenants/hn", members=[member])
    async for part in stub.BatchRecommendLeads(batch):
        reply.leads.extend(part.results[0].reply.leads)
    return [item.lead for item in reply.leads]


def load(channel: grpc.Channel, leads: list[Lead]) -> ImportLeadsResponse:
    stub = CatalogServiceStub(channel)
    return stub.ImportLeads(iter([ImportLeadsRequest(parent="tenants/hn", leads=leads)]))
"""


def type_check(code: str, folder: Path) -> str:
    """What mypy --strict says about a client."""
    (folder / "typed_client.py").write_text(code, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", "pyproject.toml"]
    file = str(folder / "typed_client.py")
    return subprocess.run(
        [*command, file], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout


def test_stubs_are_typed_for_both_kinds_of_channel(tmp_path: Path) -> None:
    assert "Success" in type_check(CLIENT, tmp_path)
    wrong = CLIENT.replace("[item.lead for", "[item.position for")
    assert "List comprehension has incompatible type" in type_check(wrong, tmp_path)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A copy of contract and generated code that has one commit."""
    shutil.copytree(ROOT / "protos", tmp_path / "protos")
    shutil.copytree(ROOT / "recsvc" / "v1", tmp_path / "recsvc" / "v1")
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    for command in (("init", "-q"), ("add", "."), (*identity, "commit", "-q", "-m", "contract")):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    return tmp_path


def run_check(root: Path, *arguments: str) -> tuple[int, str]:
    command = [sys.executable, str(root / "protos" / "check.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def replaced(old: str, new: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return change


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        (replaced("int32 wave = 4;", "int64 wave = 4;"), ["--write"], "buf breaking"),
        (replaced("  // Who gets it.\n", ""), ["--write"], "buf lint"),
        (replaced("int32 wave = 4;", "int32 wave =  4;"), [], "buf format"),
        (replaced("Who gets it", "Whoever gets it"), [], r"push_pb2.pyi\): run make gen"),
    ],
)
def test_check_refuses(
    repository: Path, change: Callable[[str], str], arguments: list[str], message: str
) -> None:
    file = repository / "protos" / "recsvc" / "v1" / "push.proto"
    file.write_text(change(file.read_text(encoding="utf-8")), encoding="utf-8")
    code, output = run_check(repository, *arguments)
    assert code == 1
    assert re.search(message, output)


def test_check_accepts_an_addition_once_it_is_generated(repository: Path) -> None:
    file = repository / "protos" / "recsvc" / "v1" / "push.proto"
    text = file.read_text(encoding="utf-8")
    file.write_text(text[: text.rindex("}")] + "  // New.\n  string note = 5;\n}\n")
    assert "run make gen" in run_check(repository)[1]
    assert run_check(repository, "--write")[0] == 0
    code, output = run_check(repository)
    assert (code, "breaking changes: none" in output) == (0, True)


def test_check_says_when_there_is_no_commit_to_compare_with(repository: Path) -> None:
    shutil.rmtree(repository / ".git")
    code, output = run_check(repository)
    assert code == 0
    assert "breaking changes: skipped" in output
