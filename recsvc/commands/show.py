"""Answers of the service as tables for people (Chinese aligned by its width), JSON for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from recsvc.client import Explanation, LeadList, MemberList, RankedLead, RankedMember, ReplyInfo

_NONE = "–"
_MAX_TEXT = 60
_TEXT = "text"


def print_json(value: Any) -> None:
    """One JSON document on stdout; what is not a number (NaN) is null."""
    print(json.dumps(plain(value), ensure_ascii=False, indent=1))


def plain(value: Any) -> Any:
    """The value out of dicts, lists, texts, numbers and None."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [plain(item) for item in value]
    return value


def lead_table(found: LeadList, title: str) -> Table:
    """The leads of a list; with their texts when it was asked for in full."""
    table = _list_table(title, "lead", any(_lead_text(item) for item in found))
    for item in found:
        _add(table, item, item.lead_id, _lead_text(item))
    return table


def member_table(
    found: MemberList, title: str, notes: Mapping[str, Sequence[str]] | None = None
) -> Table:
    """The members of a list; with their names when it was asked for in full.

    `notes` are further columns, a text a member, left out when all of them are empty.
    """
    table = _list_table(title, "member", any(_member_text(item) for item in found))
    further = {name: texts for name, texts in (notes or {}).items() if any(texts)}
    for name in further:
        table.add_column(name, ratio=1, overflow="fold")
    for i, item in enumerate(found):
        more = [texts[i] for texts in further.values()]
        _add(table, item, item.member_id, _member_text(item), more)
    return table


def list_footer(info: ReplyInfo, count: int) -> str:
    """What the list says about itself, in a line; why it is short when it is."""
    parts = [
        f"{count} of {info.eligible_count:,} eligible",
        info.serving_mode.lower(),
        f"model {info.model_version}",
    ]
    if info.removed:
        removed = ", ".join(f"{reason} {n:,}" for reason, n in info.removed.items())
        parts.append(f"filtered out: {removed}")
    return " · ".join(parts)


def print_explanation(console: Console, found: Explanation) -> None:
    """Why, or why not; then the terms that the score is made of."""
    if found.shown:
        rank = f", rank {found.rank} of {found.eligible_count:,}" if found.rank else ""
        console.print(Text(f"offered{rank}", "green"))
    else:
        console.print(Text("not offered", "yellow"))
    for blocked in found.blocked_by:
        console.print(Text(f"  {blocked.reason}: {blocked.text}"))
    chance = percent(found.claim_probability)
    console.print(
        Text(
            f"score {found.score:.3f} = baseline {found.baseline:.3f} + terms; probability {chance}"
        )
    )
    for reason in found.reasons:
        console.print(Text(f"  {reason.text}  ({reason.code} {reason.weight:+.3f})"))
    table = Table("term", "feature", "value", "weight", title_justify="left")
    for term in found.terms:
        table.add_row(term.code, term.feature, number(term.value), f"{term.weight:+.3f}")
    console.print(table)
    console.print(
        Text(
            f"{found.serving_mode.lower()} · model {found.model_version} · "
            f"{moment(found.decision_time_us)}",
            "dim",
        )
    )


def percent(value: float | None) -> str:
    """A probability."""
    return _NONE if value is None or math.isnan(value) else f"{value:.1%}"


def number(value: float) -> str:
    """A feature's value; NaN is not known."""
    return _NONE if math.isnan(value) else f"{value:.4g}"


def moment(time_us: int) -> str:
    """A time in the local zone, to the second."""
    if not time_us:
        return _NONE
    return datetime.fromtimestamp(time_us / 1e6).astimezone().isoformat(" ", "seconds")


def _list_table(title: str, what: str, with_text: bool) -> Table:
    table = Table(title=Text(title), title_justify="left")
    table.add_column("#", justify="right")
    table.add_column(what, overflow="fold")
    if with_text:
        table.add_column(_TEXT, ratio=1, overflow="fold")
    table.add_column("score", justify="right", no_wrap=True)
    table.add_column("probability", justify="right", no_wrap=True)
    # Chinese has no spaces to break at: without folding, texts would be cut.
    table.add_column("reasons", ratio=1, overflow="fold")
    return table


def _add(
    table: Table,
    item: RankedLead | RankedMember,
    identifier: str,
    text: str,
    more: Sequence[str] = (),
) -> None:
    cells: list[str | Text] = [str(item.position + 1), Text(identifier)]
    if any(column.header == _TEXT for column in table.columns):
        cells.append(Text(text))
    reasons = "；".join(reason.text for reason in item.reasons)
    cells += [f"{item.score:.3f}", percent(item.claim_probability)]
    table.add_row(*cells, *map(Text, (reasons, *more)))


def _lead_text(item: RankedLead) -> str:
    return _short(item.lead.title or item.lead.body) if item.lead else ""


def _member_text(item: RankedMember) -> str:
    if item.member is None:
        return ""
    member = item.member
    parts = (member.name, member.sector, member.expertise)
    return _short(" ".join(part for part in parts if part))


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 1] + "…"
