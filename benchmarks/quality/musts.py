"""Rows against the table of musts (`musts.toml`): what holds, what fails, and by how much."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.quality.rows import SERVED, Row
from features.errors import DataError

TABLE = Path(__file__).with_name("musts.toml")


@dataclass(frozen=True)
class Must:
    """One condition; see the head of the table.

    `quick`: what the short form found when it was recorded. There, a change fails when its whole
    interval is worse than that.
    """

    data: str
    split: str
    measure: str
    must: float | None = None
    aim: float | None = None
    lower: bool = False
    above_best_peer: bool = False
    aim_over_peer: float | None = None
    aim_times_peer: float | None = None
    above: str = ""
    quick: float | None = None
    system: str = SERVED

    def covers(self, row: Row) -> bool:
        """Whether this row is what the condition speaks of."""
        return (
            row.data == self.data
            and self.split in ("*", row.split)
            and row.measure == self.measure
            and row.system == self.system
            and row.part == "all"
        )


@dataclass(frozen=True)
class Verdict:
    """A condition and what was found: `holds` None when nothing was measured."""

    must: Must
    split: str
    holds: bool | None
    reached_aim: bool
    words: str

    @property
    def name(self) -> str:
        """data, split: measure."""
        return f"{self.must.data}, {self.split}: {self.must.measure} {self.words}"


def read_musts(path: Path = TABLE) -> tuple[Must, ...]:
    """The table; raises DataError for an unknown key."""
    try:
        return tuple(Must(**entry) for entry in tomllib.loads(path.read_text("utf-8"))["must"])
    except (TypeError, KeyError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"{path}: {error}") from error


def judge(rows: Sequence[Row], musts: Sequence[Must], *, quick: bool = False) -> list[Verdict]:
    """One verdict a condition and split; those of data sets that were not run are left out.

    The short form (`quick`) is judged by what it found before: the musts are for all of the data.
    """
    verdicts = []
    ran = {row.data for row in rows}
    for must in musts:
        if must.data not in ran or (quick and must.quick is None):
            continue
        found = [row for row in rows if must.covers(row)]
        if quick:
            verdicts += [_held(row, must) for row in found]
            continue
        if not found:
            verdicts.append(Verdict(must, must.split, None, False, "was not measured"))
        verdicts += [_judged(row, must, rows) for row in found]
    return verdicts


def _held(row: Row, must: Must) -> Verdict:
    """Whether the short form's interval still reaches what was recorded."""
    assert must.quick is not None
    low, high = (row.value, row.value) if row.low != row.low else (row.low, row.high)
    holds = low <= must.quick if must.lower else high >= must.quick
    words = f"{row.value:.4f} [{low:.4f}, {high:.4f}] (recorded {must.quick:g})"
    return Verdict(must, row.split, holds, False, words)


def _judged(row: Row, must: Must, rows: Sequence[Row]) -> Verdict:
    """All parts of one condition together."""
    holds, aims, words = [], [], []
    if must.must is not None:
        holds.append(row.value <= must.must if must.lower else row.value >= must.must)
        words.append(f"{row.value:.4f} (must {'≤' if must.lower else '≥'} {must.must:g})")
    if must.aim is not None:
        aims.append(row.value <= must.aim if must.lower else row.value >= must.aim)
    rival, low, high, apart = _rival(row, must, rows)
    if must.above_best_peer or must.above:
        holds.append(low > 0.0)
        words.append(f"{row.value:.4f} is {apart:+.4f} [{low:+.4f}, {high:+.4f}] from {rival}")
    if must.aim_over_peer is not None:
        aims.append(apart >= must.aim_over_peer)
    if must.aim_times_peer is not None:
        aims.append(row.value >= must.aim_times_peer * (row.value - apart))
    return Verdict(must, row.split, all(holds), bool(aims) and all(aims), "; ".join(words))


def _rival(row: Row, must: Must, rows: Sequence[Row]) -> tuple[str, float, float, float]:
    """Whom the row is compared with, and the interval and value of the difference."""
    if not must.above:
        return row.best_peer, row.difference_low, row.difference_high, row.difference
    for other in rows:
        same = (other.data, other.split, other.measure) == (row.data, row.split, row.measure)
        if same and other.system == f"{row.system} - {must.above}":
            return must.above, other.low, other.high, other.value
    nan = float("nan")
    return must.above, nan, nan, nan


def with_verdicts(rows: Sequence[Row], verdicts: Sequence[Verdict]) -> list[Row]:
    """The rows with what was asked of them written beside them."""
    told = []
    for row in rows:
        mine = [v for v in verdicts if v.must.covers(row) and v.split == row.split]
        if mine:
            row = replace(
                row,
                must=" and ".join(_asked(v.must) for v in mine),
                aim=" and ".join(filter(None, (_aimed(v.must) for v in mine))),
                verdict="aim" if all(v.reached_aim for v in mine) and all(v.holds for v in mine)
                else "holds" if all(v.holds for v in mine) else "FAILS",
            )  # fmt: skip
        told.append(row)
    return told


def _asked(must: Must) -> str:
    parts = []
    if must.must is not None:
        parts.append(f"{'≤' if must.lower else '≥'} {must.must:g}")
    if must.above_best_peer:
        parts.append("above the best peer")
    if must.above:
        parts.append(f"above {must.above}")
    return " and ".join(parts)


def _aimed(must: Must) -> str:
    if must.aim is not None:
        return f"{'≤' if must.lower else '≥'} {must.aim:g}"
    if must.aim_over_peer is not None:
        return f"best peer + {must.aim_over_peer:g}"
    return f"{must.aim_times_peer:g} × the best peer" if must.aim_times_peer else ""
