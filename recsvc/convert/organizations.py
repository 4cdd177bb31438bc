"""Organizations: message <-> entity."""

from __future__ import annotations

from features.entities import Organization
from recsvc.convert import names, schedules, values
from recsvc.v1 import resources_pb2 as pb

COLLECTION = "organizations"
MAX_LEVEL = 3

# What each field of the message sets in the entity.
ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "display_name": ("name",),
    "parent_organization": ("parent_id",),
    "level": ("level",),
    "region_code": ("region_code",),
    "jurisdiction": ("jurisdiction",),
    "push_schedule": ("push_schedule",),
    "time_zone": ("time_zone",),
    "quiet_hours": ("quiet_hours",),
}

_RULES = {
    pb.JURISDICTION_RULE_OWN: "OWN",
    pb.JURISDICTION_RULE_PARENTS: "PARENTS",
    pb.JURISDICTION_RULE_CHILDREN: "CHILDREN",
    pb.JURISDICTION_RULE_NEIGHBOURS: "NEIGHBOURS",
    pb.JURISDICTION_RULE_ANY: "ANY",
}
_RULE_NUMBERS = {text: number for number, text in _RULES.items()}


def organization_from_proto(message: pb.Organization, tenant: str, now_us: int) -> Organization:
    """The entity; raises the error of the first field that cannot be used."""
    del now_us  # an organization has no times
    identifier = names.parse_name(message.name, tenant, COLLECTION, "name")
    rules = [_rule(rule, f"jurisdiction[{i}]") for i, rule in enumerate(message.jurisdiction)]
    return Organization(
        organization_id=identifier,
        name=values.text(message.display_name, 200, "display_name"),
        parent_id=names.parse_reference(
            message.parent_organization, tenant, COLLECTION, "parent_organization"
        ),
        level=values.number(message.level, 0, MAX_LEVEL, "level"),
        region_code=values.region_code(message.region_code),
        jurisdiction=";".join(dict.fromkeys(rules)),
        push_schedule=schedules.cron(message.push_schedule, "push_schedule"),
        time_zone=schedules.time_zone(message.time_zone, "time_zone"),
        quiet_hours=schedules.quiet_hours(message.quiet_hours, "quiet_hours"),
    )


def _rule(number: int, field: str) -> str:
    known = pb.JurisdictionRule.ValueType(values.enum_value(number, tuple(_RULES), field))
    return _RULES[known]


def organization_to_proto(organization: Organization, tenant: str) -> pb.Organization:
    """The message."""
    rules = (r.strip().upper() for r in organization.jurisdiction.split(";"))
    return pb.Organization(
        name=names.format_name(tenant, COLLECTION, organization.organization_id),
        display_name=organization.name,
        parent_organization=names.format_name(tenant, COLLECTION, organization.parent_id),
        level=organization.level,
        region_code=organization.region_code,
        jurisdiction=[_RULE_NUMBERS[r] for r in rules if r in _RULE_NUMBERS],
        push_schedule=organization.push_schedule,
        time_zone=organization.time_zone,
        quiet_hours=organization.quiet_hours,
    )
