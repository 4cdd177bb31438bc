"""Answers of all systems to one question → rows, each against the best peer."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.quality.questions import Answer, Matches, Question
from benchmarks.quality.rows import SERVED, Kind, Row
from benchmarks.quality.samples import Sample, count, difference, interval, value
from benchmarks.quality.slices import parts_of
from benchmarks.quality.tasks import Task

TOP = "pushes to top"
MEASURES_WITHOUT_PEER = ("ece", "brier skill", TOP)
"""No peer gives calibrated probabilities, and where pushes fall is shown, not won."""
MAIN_MEASURES = ("recall", "ndcg", "auc", "mrr", "oracle share@")
PAID = "the gain is paid for here"
COMMON = ("data", "split", "question", "system", "kind", "seconds")


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
            row = _row(common, measure, sample, best.get(measure), measured, one, seed)
            if isinstance(question, Matches) and measure.startswith(TOP):
                row = replace(row, note=question.bounds_note)
            rows.append(row)
        if one.kind == "served":
            answers = {each.system: each.answer for each in contenders}
            rows += _slices(question, one, answers, best, rows, seed)
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
    for measure in measured[SERVED]:
        if measure not in measured[rival] or not measure.startswith(MAIN_MEASURES):
            continue
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
        count=count(sample),
        note=one.answer.note,
        **told,
    )


def _slices(
    question: Question,
    one: Contender,
    answers: Mapping[str, Answer],
    best: Mapping[str, str],
    whole: Sequence[Row],
    seed: int,
) -> list[Row]:
    """The same measures over each part, beside the best peer of the whole; a loss is noted.

    `whole`: rows of the whole question, of which those of `one` stand for its parts, too.
    """
    wholes = {row.measure: row for row in whole if row.system == one.system}
    rows = []
    for part in parts_of(question):
        measured = {
            system: part.question.measure(part.of(answers[system]))
            for system in {one.system, *best.values()}
        }
        for measure, sample in measured[one.system].items():
            if measure.startswith(MAIN_MEASURES) and count(sample):
                told = wholes[measure]
                common = {name: getattr(told, name) for name in COMMON}
                row = _row(common, measure, sample, best.get(measure), measured, one, seed)
                paid = told.difference > 0.0 > row.difference_high
                rows.append(replace(row, part=part.name, note=PAID if paid else ""))
    return rows
