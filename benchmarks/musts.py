"""Measurements beside what they must reach and should aim at, and the verdict over all of them.

A benchmark keeps its limits in a `musts.toml`, one table a row:

    [recommend_throughput]
    title = "RecommendLeads: throughput / the floor's"
    must = 0.50
    aim = 0.70
    better = "higher"

A row without limits is shown and never fails; a limit that nothing was measured for is told.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

import msgspec


class Limit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one row must reach, and what would be good."""

    title: str
    must: float | None = None
    aim: float | None = None
    better: Literal["higher", "lower"] = "higher"
    scaled: bool = True
    """False: holds whatever the size of the world, so that a quick run is judged by it, too."""


class Verdict(StrEnum):
    """How a figure stands to its limit."""

    AIM = "aim"
    MUST = "must"
    FAILS = "FAILS"
    SHOWN = "shown"  # nothing is asked of it, or the world is too small to ask


@dataclass(frozen=True)
class Figure:
    """One measurement. `spread` is the smallest and the largest of its rounds.

    `quality` stands beside every figure of speed: recall, overlap, NDCG, …
    """

    row: str
    value: float
    unit: str = ""
    spread: tuple[float, float] | None = None
    quality: Mapping[str, float] = field(default_factory=dict)
    note: str = ""


def read_limits(path: Path) -> dict[str, Limit]:
    """The limits of a file by row; raises msgspec.ValidationError for an unknown word."""
    return msgspec.convert(tomllib.loads(path.read_text("utf-8")), dict[str, Limit])


def judge(figure: Figure, limit: Limit | None, *, full_size: bool = True) -> Verdict:
    """A figure that is no number fails what is asked of it."""
    if limit is None or limit.must is None or (limit.scaled and not full_size):
        return Verdict.SHOWN
    if not _reaches(figure.value, limit.must, limit.better):
        return Verdict.FAILS
    if limit.aim is not None and _reaches(figure.value, limit.aim, limit.better):
        return Verdict.AIM
    return Verdict.MUST


def failing(
    figures: Sequence[Figure], limits: Mapping[str, Limit], *, full_size: bool = True
) -> list[str]:
    """The rows that fail, in words."""
    return [
        f"{figure.row} {figure.value:.4g} (must be {_sign(limit)} {limit.must:g})"
        for figure in figures
        if (limit := limits.get(figure.row)) is not None
        and judge(figure, limit, full_size=full_size) is Verdict.FAILS
    ]


def as_json(
    figures: Sequence[Figure], limits: Mapping[str, Limit], *, full_size: bool = True
) -> list[dict[str, Any]]:
    """One entry a figure, with its limit and the verdict."""
    return [
        {
            "row": figure.row,
            "value": figure.value,
            "unit": figure.unit,
            "spread": figure.spread,
            "quality": dict(figure.quality),
            "note": figure.note,
            "must": limit.must if (limit := limits.get(figure.row)) else None,
            "aim": limit.aim if limit else None,
            "verdict": judge(figure, limit, full_size=full_size).value,
        }
        for figure in figures
    ]


def _reaches(value: float, wanted: float, better: str) -> bool:
    return value >= wanted if better == "higher" else value <= wanted


def _sign(limit: Limit) -> str:
    return "≥" if limit.better == "higher" else "≤"
