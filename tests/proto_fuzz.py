"""Any message of the contract: random, but most of it near enough to valid to get far inside."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import strategies as st

from recsvc.serving.interceptors.access import CONTRACT

_T = FieldDescriptor
_MEMBERS = ["tenants/default/members/m0", "tenants/default/members/m3", "tenants/default/members/x"]
_LEADS = ["tenants/default/leads/l0", "tenants/default/leads/l5", "tenants/default/leads/x"]
_ORGANIZATIONS = ["tenants/default/organizations/city", "tenants/default/organizations/county"]
_CONFLICTS = [
    "tenants/default/members/m2/conflicts/-",
    "tenants/default/members/m0/conflicts/0123456789abcdef",
]
_MODELS = ["tenants/default/models/tiny", "tenants/default/models/x"]
_PARENTS = ["tenants/default"]
# What mostly stands in a text field of this name.
_LIKELY: dict[str, list[str]] = {
    "parent": _PARENTS,
    "member": _MEMBERS,
    "members": _MEMBERS,
    "lead": _LEADS,
    "leads": _LEADS,
    "candidates": _MEMBERS + _LEADS,
    "organization": _ORGANIZATIONS,
    "organizations": _ORGANIZATIONS,
    "parent_organization": _ORGANIZATIONS,
    "region_code": ["430104", "43", "4301"],
    "paths": ["*", "title", "topics", "location", "reason", "claim_count", "name"],
    "min_revision": [""],
    "page_token": [""],
    "push_schedule": ["0 8 * * 1-5"],
    "quiet_hours": ["22:00-07:00"],
    "time_zone": ["Asia/Shanghai", "Europe/Berlin"],
    "topics": ["交通", "环保"],
}
_BY_RESOURCE = {
    "Member": _MEMBERS,
    "Lead": _LEADS,
    "Organization": _ORGANIZATIONS,
    "Conflict": _CONFLICTS,
    "Model": _MODELS,
}
_ODD_TEXTS = st.text(max_size=20) | st.sampled_from(
    ["", "tenants/other", "tenants/other/members/m0", "tenants//", "-", "x" * 300, "0.1-1", "hunan"]
)
_INTEGERS = st.sampled_from([0, 0, 1, 1, 2, 3, 10, 101, -1, 5_000, 2**31 - 1, -(2**31)])
_NUMBERS = st.sampled_from(
    [0.0, 0.5, 1.0, 0.5, 28.2, -1.0, 91.0, 181.0, float("nan"), float("inf"), 5e-324, 1e308]
)
_SECONDS = st.sampled_from([1_700_000_000, 1_700_000_000, 0, 1, -1, 4_000_000_000, 2**62, -(2**62)])
_INT64 = {_T.TYPE_INT64, _T.TYPE_SINT64, _T.TYPE_UINT64}
_NEEDED = frozenset({"parent", "name", "member", "lead", "organization", "conflict", "members"})


@st.composite
def messages(draw: st.DrawFn, kind: type[Message], depth: int = 4) -> Message:
    """A message of this type."""
    message = kind()
    chances = [True] + [False] * (4 if depth < 4 else 1)
    for field in kind.DESCRIPTOR.fields:
        needed = field.name == "name" or (field.name in _NEEDED and depth == 4)
        if not (needed or draw(st.sampled_from(chances))):
            continue
        if field.is_repeated:
            getattr(message, field.name).extend(draw(st.lists(_values(field, depth), max_size=3)))
        elif field.type == _T.TYPE_MESSAGE:
            if depth:
                getattr(message, field.name).CopyFrom(draw(_values(field, depth)))
        else:
            setattr(message, field.name, draw(_values(field, depth)))
    return message


def _values(field: Any, depth: int) -> st.SearchStrategy[Any]:
    if field.type == _T.TYPE_MESSAGE:
        return messages(GetMessageClass(field.message_type), depth - 1) if depth else st.nothing()
    if field.type == _T.TYPE_STRING:
        return _texts(field)
    if field.type == _T.TYPE_BYTES:
        return st.binary(max_size=10)
    if field.type == _T.TYPE_BOOL:
        return st.booleans()
    if field.type in (_T.TYPE_DOUBLE, _T.TYPE_FLOAT):
        return _NUMBERS
    if field.type == _T.TYPE_ENUM:
        known = [v.number for v in field.enum_type.values]
        return st.sampled_from([*known, *known, *known, 99, -1])
    return _SECONDS if field.type in _INT64 else _INTEGERS


def _texts(field: Any) -> st.SearchStrategy[str]:
    owner = field.containing_type.name
    likely = _LIKELY.get(field.name, ["", "e1", "道路拥堵"])
    if field.name == "name":
        likely = next((v for k, v in _BY_RESOURCE.items() if k in owner), _PARENTS)
    elif field.name == "parent" and "Conflicts" in owner:
        likely = ["tenants/default/members/-", "tenants/default/members/m2", "tenants/default"]
    usual = st.sampled_from(likely)
    return st.sampled_from(range(10)).flatmap(lambda n: usual if n else _ODD_TEXTS)


def method_kinds() -> dict[str, str]:
    """Path of each method of the contract -> `unary_unary`, `unary_stream` or `stream_unary`."""
    return {
        f"/{service.full_name}/{method.name}": (
            f"{'stream' if method.client_streaming else 'unary'}_"
            f"{'stream' if method.server_streaming else 'unary'}"
        )
        for file in CONTRACT
        for service in file.services_by_name.values()
        for method in service.methods
    }
