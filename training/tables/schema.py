"""The five tables of a data set and their columns, in one place.

Columns are named as in the files; an entity's field has the same name, except that times carry
their unit (`create_time` in a file, `create_time_us` in an entity).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, IntEnum, auto

from features.entities import (
    Conflict,
    DismissReason,
    Event,
    EventKind,
    Lead,
    LeadState,
    Member,
    Organization,
)

_REGION = r"^[0-9]{2,12}$"
_RULE = r"(OWN|PARENTS|CHILDREN|NEIGHBOURS|ANY)"
_MOST = 2**31 - 1
_MOST_INT16 = 2**15 - 1


class ColumnType(Enum):
    """How a column's text is read; `values.py` has the reader of each."""

    LABEL = auto()
    """An id, a name of a class, a code: outer spaces do not count."""
    TEXT = auto()
    """Free text, kept as it is."""
    TIME = auto()
    """RFC 3339 with an offset."""
    REAL = auto()
    INTEGER = auto()
    FLAG = auto()
    CHOICE = auto()
    TOPICS = auto()
    """`;`-separated."""
    PLACES = auto()
    """JSON list of objects with kind, latitude, longitude, region_code."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column; `low` and `high` bound numbers, `references` names the table that has the ids."""

    name: str
    kind: ColumnType = ColumnType.LABEL
    required: bool = False
    low: float = 0
    high: float = _MOST
    pattern: str = ""
    choices: type[IntEnum] | None = None
    references: str = ""

    @property
    def field(self) -> str:
        """The entity's field of this column."""
        return f"{self.name}_us" if self.kind is ColumnType.TIME else self.name


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its name, what a row becomes, its columns, and the known ones not asked for."""

    name: str
    entity: type[Member] | type[Lead] | type[Organization] | type[Conflict] | type[Event]
    columns: tuple[Column, ...]
    left_out: frozenset[str] = frozenset()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns that are read."""
        return tuple(column.name for column in self.columns)

    @property
    def required(self) -> tuple[str, ...]:
        """Names of the columns every file must have."""
        return tuple(column.name for column in self.columns if column.required)

    def without(self, *names: str) -> Table:
        """The same table, read without some columns (which stay known)."""
        kept = tuple(column for column in self.columns if column.name not in names)
        return replace(self, columns=kept, left_out=self.left_out | frozenset(names))

    def unknown(self, names: list[str]) -> frozenset[str]:
        """Which of a file's column names this table does not define."""
        return frozenset(names) - frozenset(self.names) - self.left_out


def _region(name: str = "region_code") -> Column:
    return Column(name, pattern=_REGION)


def _place() -> tuple[Column, Column, Column]:
    return (
        _region(),
        Column("latitude", ColumnType.REAL, low=-90, high=90),
        Column("longitude", ColumnType.REAL, low=-180, high=180),
    )


_ORGANIZATION = Column("organization_id", references="organizations")

MEMBERS = Table(
    "members",
    Member,
    (
        Column("member_id", required=True),
        _ORGANIZATION,
        Column("name", ColumnType.TEXT),
        Column("sector"),
        Column("expertise", ColumnType.TEXT),
        Column("topics", ColumnType.TOPICS),
        *_place(),
        Column("places", ColumnType.PLACES),
        Column("weekly_push_limit", ColumnType.INTEGER),
        Column("active", ColumnType.FLAG),
        Column("join_time", ColumnType.TIME),
    ),
)

LEADS = Table(
    "leads",
    Lead,
    (
        Column("lead_id", required=True),
        Column("create_time", ColumnType.TIME, required=True),
        _ORGANIZATION,
        Column("source"),
        Column("author_id"),
        Column("title", ColumnType.TEXT),
        Column("body", ColumnType.TEXT),
        Column("topics", ColumnType.TOPICS),
        *_place(),
        Column("urgency", ColumnType.INTEGER, high=3),
        Column("support_count", ColumnType.INTEGER),
        Column("state", ColumnType.CHOICE, choices=LeadState),
        Column("close_time", ColumnType.TIME),
        Column("claim_capacity", ColumnType.INTEGER),
    ),
)

# `topic` is what a SEE_LESS without a lead is about: not in every log, so nothing requires it.
EVENTS = Table(
    "events",
    Event,
    (
        Column("kind", ColumnType.CHOICE, required=True, choices=EventKind),
        Column("time", ColumnType.TIME, required=True),
        Column("member_id", required=True, references="members"),
        Column("lead_id", references="leads"),
        Column("event_id"),
        Column("position", ColumnType.INTEGER, low=-1, high=_MOST_INT16),
        Column("attribution_token"),
        Column("push_id"),
        Column("wave", ColumnType.INTEGER, high=_MOST_INT16),
        Column("propensity", ColumnType.REAL, high=1),
        Column("model_version"),
        Column("rating", ColumnType.REAL, low=-_MOST),
        Column("reason", ColumnType.CHOICE, choices=DismissReason),
        Column("topic"),
    ),
)

ORGANIZATIONS = Table(
    "organizations",
    Organization,
    (
        Column("organization_id", required=True),
        Column("name", ColumnType.TEXT),
        Column("parent_id"),
        Column("level", ColumnType.INTEGER),
        _region(),
        Column("jurisdiction", pattern=rf"^{_RULE}( *; *{_RULE})*$"),
        Column("push_schedule"),
        Column("time_zone"),
        Column("quiet_hours"),
    ),
)

CONFLICTS = Table(
    "conflicts",
    Conflict,
    (
        Column("member_id", required=True, references="members"),
        Column("lead_id", references="leads"),
        Column("author_id"),
        Column("organization_id", references="organizations"),
        Column("reason", ColumnType.TEXT),
    ),
)

TABLES = (ORGANIZATIONS, MEMBERS, LEADS, CONFLICTS, EVENTS)
"""In the order they are read: a table comes after those it refers to."""
