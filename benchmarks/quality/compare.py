"""Answers of all systems to one question → rows, each against the best peer."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.quality.questions import Answer, Question
from benchmarks.quality.rows import SERVED, Kind, Row
from benchmarks.quality.samples import Mean, Ratio, Sample, count, difference, interval, value
from benchmarks.quality.tasks import Task

MEASURES_WITHOUT_PEER = ("ece", "brier skill", "pushes to top")
"""No peer gives calibrated probabilities, and where pushes fall is shown, not won."""


@dataclass(frozen=True)
class Contender:
    """A system and its answer."""

    system: str
    kind: Kind
    answer: Answer


def compare(
    task: Task,
    question: Question,
    contenders: list[Contender],
    seed: int,
    rivals: Collection[str] = (),
) -> list[Row]:
    """The rows of one question; a system without an answer has a row that says why.

    `rivals`: systems that the served pipeline is also compared with, in rows of their own.
    """
    measured = {
        one.system: question.measure(one.answer)
        for one in contenders
        if one.answer.rows is not None or one.answer.scores is not None
    }
    kinds = {one.system: one.kind for one in contenders}
    best = _best_peers(measured, kinds)
    rows: list[Row] = []
    for one in contenders:
        common = _common(task, question, one)
        if one.system not in measured:
            rows.append(Row(**common, measure="none", value=float("nan"), note=one.answer.note))
            continue
        for measure, sample in measured[one.system].items():
            rows.append(_row(common, measure, sample, best.get(measure), measured, one, seed))
            if one.kind == "served" and isinstance(sample, Mean | Ratio):
                rows += _slices(
                    common, question, measure, sample, best.get(measure), measured, seed
                )
    for rival in rivals:
        if rival in measured and SERVED in measured:
            served = next(one for one in contenders if one.system == SERVED)
            rows += _apart(_common(task, question, served), measured, rival, seed)
    return rows


def _apart(
    common: dict[str, Any], measured: Mapping[str, Mapping[str, Sample]], rival: str, seed: int
) -> list[Row]:
    """The served pipeline minus a rival, a row a measure."""
    common |= {"system": f"{SERVED} - {rival}", "kind": "difference"}
    rows = []
    for measure in measured[SERVED].keys() & measured[rival].keys():
        apart = difference(measured[SERVED][measure], measured[rival][measure], seed)
        told: dict[str, Any] = {"value": apart.value, "low": apart.low, "high": apart.high}
        rows.append(Row(**common, measure=measure, **told))
    return rows


def _common(task: Task, question: Question, one: Contender) -> dict[str, Any]:
    return {
        "data": task.data,
        "split": task.split,
        "question": question.name,
        "system": one.system,
        "kind": one.kind,
        "seconds": one.answer.seconds,
    }


def _best_peers(
    measured: Mapping[str, Mapping[str, Sample]], kinds: Mapping[str, Kind]
) -> dict[str, str]:
    """The peer with the highest value of each measure."""
    best: dict[str, str] = {}
    for system, samples in measured.items():
        if kinds[system] != "peer":
            continue
        for measure, sample in samples.items():
            if measure.startswith(MEASURES_WITHOUT_PEER):
                continue
            held = best.get(measure)
            if held is None or value(sample) > value(measured[held][measure]):
                best[measure] = system
    return best


def _row(
    common: Mapping[str, Any],
    measure: str,
    sample: Sample,
    peer: str | None,
    measured: Mapping[str, Mapping[str, Sample]],
    one: Contender,
    seed: int,
    part: str = "all",
) -> Row:
    found = interval(sample, seed)
    told: dict[str, Any] = {"best_peer": peer or ""}
    if peer is not None and peer != one.system:
        apart = difference(sample, measured[peer][measure], seed)
        told |= {
            "difference": apart.value,
            "difference_low": apart.low,
            "difference_high": apart.high,
        }
    return Row(
        **common,
        measure=measure,
        value=found.value,
        low=found.low,
        high=found.high,
        part=part,
        count=count(sample),
        note=one.answer.note,
        **told,
    )


def _slices(
    common: Mapping[str, Any],
    question: Question,
    measure: str,
    sample: Mean | Ratio,
    peer: str | None,
    measured: Mapping[str, Mapping[str, Sample]],
    seed: int,
) -> list[Row]:
    """The same measure over each part of the members, and the best peer's there."""
    rows = []
    for name, mask in question.slices.items():
        own = sample.within(mask)
        found = interval(own, seed)
        told: dict[str, Any] = {}
        theirs = measured[peer][measure] if peer else None
        if isinstance(theirs, Mean | Ratio):
            apart = difference(own, theirs.within(mask), seed)
            told = {
                "best_peer": peer,
                "difference": apart.value,
                "difference_low": apart.low,
                "difference_high": apart.high,
            }
        rows.append(
            Row(
                **common,
                measure=measure,
                value=found.value,
                low=found.low,
                high=found.high,
                part=name,
                count=count(own),
                **told,
            )
        )
    return rows
