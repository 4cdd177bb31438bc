"""Resource names, `tenants/{tenant}/members/{member}`, and the ids in them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from recsvc.errors import InvalidNameError, MissingFieldError, PermissionDeniedError

MAX_ID_LENGTH = 128
ANY = "-"
"""Stands for "any" in the parent of a list, and for "derive it" as a conflict's id."""

_SHOWN = 80
_ID = re.compile(rf"[\w.~:@-]{{1,{MAX_ID_LENGTH}}}")


def is_id(text: str) -> bool:
    """Whether a text can be an id: 1 to 128 letters, digits and `- _ . ~ : @`, not `-` alone."""
    return _ID.fullmatch(text) is not None and text != ANY


def shown(text: str) -> str:
    """A caller's text for a message, quoted and cut."""
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")


def check_id(text: str, field: str) -> str:
    """The id itself; raises InvalidNameError."""
    if not is_id(text):
        raise InvalidNameError(
            f"{field}: {shown(text)} is no id: use 1 to {MAX_ID_LENGTH} letters, digits and "
            "- _ . ~ : @",
            field=field,
        )
    return text


def tenant_name(tenant: str) -> str:
    """`tenants/{tenant}`."""
    return f"tenants/{tenant}"


@lru_cache(maxsize=1_000)
def name_prefix(tenant: str, collection: str) -> str:
    """What the names of a tenant's resources of one kind begin with."""
    return f"tenants/{tenant}/{collection}/"


def format_name(tenant: str, collection: str, identifier: str) -> str:
    """`tenants/{tenant}/{collection}/{identifier}`, "" for the empty id."""
    return f"tenants/{tenant}/{collection}/{identifier}" if identifier else ""


def tenant_of(name: str, field: str) -> str:
    """The tenant that a name of any kind begins with; raises MissingField-, InvalidNameError."""
    if not name:
        raise MissingFieldError(f"{field} is required", field=field)
    parts = name.split("/", 2)
    if parts[0] != "tenants" or len(parts) < 2 or not is_id(parts[1]):
        raise InvalidNameError(
            f"{field}: {shown(name)} is no resource name: it begins with tenants/{{tenant}}",
            field=field,
        )
    return parts[1]


def parse_tenant(name: str, tenant: str, field: str = "parent") -> None:
    """Checks that a name is `tenants/{tenant}` of this tenant."""
    if tenant_of(name, field) != tenant:
        raise _denied(field)
    if name.count("/") != 1:
        raise InvalidNameError(f"{field}: {shown(name)} is not tenants/{{tenant}}", field=field)


def parse_name(name: str, tenant: str, collection: str, field: str) -> str:
    """The id in `tenants/{tenant}/{collection}/{id}`.

    Raises MissingField-, InvalidNameError, and PermissionDeniedError for another tenant's name.
    """
    prefix = name_prefix(tenant, collection)
    if name.startswith(prefix) and is_id(identifier := name[len(prefix) :]):
        return identifier
    if tenant_of(name, field) != tenant:
        raise _denied(field)
    parts = name.split("/")
    if len(parts) != 4 or parts[2] != collection or not is_id(parts[3]):
        raise InvalidNameError(
            f"{field}: {shown(name)} is not tenants/{{tenant}}/{collection}/{{id}} with an id of "
            f"1 to {MAX_ID_LENGTH} letters, digits and - _ . ~ : @",
            field=field,
            resource=name[:_SHOWN],
        )
    return parts[3]


def parse_reference(name: str, tenant: str, collection: str, field: str) -> str:
    """As `parse_name`, for a field that may be empty ("")."""
    return parse_name(name, tenant, collection, field) if name else ""


def parse_references(
    names: Sequence[str], tenant: str, collection: str, field: str
) -> tuple[str, ...]:
    """As `parse_name`, for each of a list."""
    return tuple(
        parse_name(name, tenant, collection, f"{field}[{i}]") for i, name in enumerate(names)
    )


def parse_conflict(name: str, tenant: str, field: str = "name") -> tuple[str, str]:
    """(member id, conflict id) of `tenants/{tenant}/members/{member}/conflicts/{conflict}`.

    The conflict id may be `-`.
    """
    if tenant_of(name, field) != tenant:
        raise _denied(field)
    parts = name.split("/")
    shaped = len(parts) == 6 and parts[2] == "members" and parts[4] == "conflicts"
    if not shaped or not is_id(parts[3]) or not (parts[5] == ANY or is_id(parts[5])):
        raise InvalidNameError(
            f"{field}: {shown(name)} is not "
            "tenants/{tenant}/members/{member}/conflicts/{conflict} (or - for {conflict})",
            field=field,
        )
    return parts[3], parts[5]


def parse_claim(name: str, tenant: str, field: str = "name") -> tuple[str, str]:
    """(lead id, member id) of `tenants/{tenant}/leads/{lead}/claims/{claim}`."""
    if tenant_of(name, field) != tenant:
        raise _denied(field)
    parts = name.split("/")
    shaped = len(parts) == 6 and parts[2] == "leads" and parts[4] == "claims"
    if not shaped or not is_id(parts[3]) or not is_id(parts[5]):
        raise InvalidNameError(
            f"{field}: {shown(name)} is not tenants/{{tenant}}/leads/{{lead}}/claims/{{claim}}",
            field=field,
        )
    return parts[3], parts[5]


def parse_conflict_parent(name: str, tenant: str, field: str = "parent") -> str:
    """The member id of `tenants/{tenant}/members/{member}`, "" for `members/-`."""
    if name == f"tenants/{tenant}/members/{ANY}":
        return ""
    return parse_name(name, tenant, "members", field)


def _denied(field: str) -> PermissionDeniedError:
    return PermissionDeniedError(
        f"{field} names a tenant that is not the caller's: use the tenant of your token",
        field=field,
    )
