"""Who may call what: tokens of the configuration, roles of the contract's method options."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

from google.protobuf.descriptor import FileDescriptor

from recsvc.errors import (
    PermissionDeniedError,
    RoleNotAllowedError,
    UnauthenticatedError,
)
from recsvc.settings import Token
from recsvc.v1 import (
    access_pb2,
    catalog_pb2,
    claim_pb2,
    model_pb2,
    participation_pb2,
    push_pb2,
    recommendation_pb2,
)

CONTRACT: tuple[FileDescriptor, ...] = (
    catalog_pb2.DESCRIPTOR,
    recommendation_pb2.DESCRIPTOR,
    participation_pb2.DESCRIPTOR,
    claim_pb2.DESCRIPTOR,
    push_pb2.DESCRIPTOR,
    model_pb2.DESCRIPTOR,
)
_SCHEME = "bearer "


class Role(IntEnum):
    """What a token stands for; numbers equal the contract's."""

    PLATFORM = access_pb2.ROLE_PLATFORM
    OPERATOR = access_pb2.ROLE_OPERATOR
    TRAINER = access_pb2.ROLE_TRAINER
    AUDITOR = access_pb2.ROLE_AUDITOR


_SEES_THE_PAST = frozenset({Role.OPERATOR, Role.AUDITOR})


@dataclass(frozen=True)
class Caller:
    """Who calls. `tenants` are those it may name; `role` None without configured tokens: all."""

    tenants: frozenset[str]
    role: Role | None
    name: str = ""

    def check_tenant(self, tenant: str, field: str) -> None:
        """Raises PermissionDeniedError, whether the other tenant exists or not."""
        if tenant not in self.tenants:
            raise PermissionDeniedError(
                f"{field} names a tenant that is not the caller's: use the tenant of your token",
                field=field,
            )

    def check_as_of(self) -> None:
        """Raises RoleNotAllowedError for a role that may not ask about the past."""
        if self.role is not None and self.role not in _SEES_THE_PAST:
            raise RoleNotAllowedError(
                f"as_of_time is for operators and auditors, this token's role is "
                f"{self.role.name.lower()}: leave it out",
                field="as_of_time",
            )

    @cached_property
    def actor(self) -> str:
        """How activations and logs name the caller."""
        role = "local" if self.role is None else self.role.name.lower()
        return f"{self.name} ({role})" if self.name else role


def method_roles(files: Iterable[FileDescriptor] = CONTRACT) -> dict[str, frozenset[Role]]:
    """`/recsvc.v1.Service/Method` -> the roles of its `roles` option."""
    found = {}
    for file in files:
        for service in file.services_by_name.values():
            for method in service.methods:
                roles = method.GetOptions().Extensions[access_pb2.roles]
                path = f"/{service.full_name}/{method.name}"
                found[path] = frozenset(Role(role) for role in roles)
    return found


class Authenticator:
    """Turns metadata into a caller, and asks whether it may."""

    def __init__(self, tokens: Sequence[Token], tenants: Iterable[str]) -> None:
        self.roles: Mapping[str, frozenset[Role]] = method_roles()
        self._callers = {
            t.sha256.lower(): Caller(frozenset({t.tenant}), Role[t.role.upper()], t.name)
            for t in tokens
        }
        # Without tokens the server listens on loopback only, see recsvc.settings.
        self.anybody = None if tokens else Caller(frozenset(tenants), None)

    def admit(self, method: str, metadata: Iterable[tuple[str, str | bytes]] | None) -> Caller:
        """The caller; raises UnauthenticatedError, RoleNotAllowedError."""
        caller = self.anybody or self._identify(metadata or ())
        if caller.role is not None and caller.role not in self.roles[method]:
            allowed = ", ".join(sorted(r.name.lower() for r in self.roles[method]))
            raise RoleNotAllowedError(
                f"this token's role is {caller.role.name.lower()}; the method is for {allowed}"
            )
        return caller

    def _identify(self, metadata: Iterable[tuple[str, str | bytes]]) -> Caller:
        for key, value in metadata:
            if key == "authorization" and isinstance(value, str):
                if not value.lower().startswith(_SCHEME):
                    break
                token = value[len(_SCHEME) :].strip()
                caller = self._callers.get(hashlib.sha256(token.encode()).hexdigest())
                if caller is None:
                    break
                return caller
        else:
            raise UnauthenticatedError(
                "no token: send the metadata entry `authorization: Bearer <token>`"
            )
        raise UnauthenticatedError(
            "the token is not known to this server: check it, and how it is sent "
            "(`authorization: Bearer <token>`)"
        )
