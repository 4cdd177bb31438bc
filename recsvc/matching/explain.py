"""Why, in one Chinese line: the score terms put into words.

A reason's weight is the sum of its group's terms, so the weights of all groups and the baseline sum
to the score. A reason's text only states facts that the pair's features show.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from features.extract import FeatureSpace
from recsvc.matching.queries import Reason, Term
from recsvc.matching.reason_facts import GROUPS, tell
from recsvc.matching.reason_record import Told
from recsvc.matching.reason_texts import ReasonTexts
from recsvc.matching.scored_pair import Pair
from recsvc.model.arrays import F32
from recsvc.model.terms import FEATURES
from recsvc.model.verdicts import Verdict

SAME_FOR_MEMBER = frozenset({"WILLINGNESS"})
"""Groups whose terms are the same for all leads of one member's list: no reason for this lead."""
SAME_FOR_LEAD = frozenset({"FRESHNESS", "URGENCY", "APPEAL"})
"""Groups whose terms are the same for all members of one lead's list."""

VERDICT_TEXTS: dict[Verdict, str] = {
    Verdict.KEPT: "",
    Verdict.DELETED: "委员或线索不存在，或已删除",
    Verdict.CLOSED: "线索已办结或已撤回",
    Verdict.CAPACITY: "线索已有人领办，名额已满",
    Verdict.AUTHOR: "线索由该委员本人提出",
    Verdict.CONFLICT: "按回避规定不予推荐",
    Verdict.JURISDICTION: "线索不在该委员所属组织的管辖范围内",
    Verdict.INACTIVE: "该委员目前不在履职状态",
    Verdict.DISMISSED: "该委员已表示不处理此线索",
    Verdict.ALREADY_TAKEN: "该委员已领办或曾领办此线索",
    Verdict.SEE_LESS: "该委员要求少看此类线索",
    Verdict.NOT_ELIGIBLE: "不符合本次请求限定的条件",
    Verdict.NOT_YET_CREATED: "在所问的时间，线索尚未提出",
}


def terms_of(features: F32, terms: F32) -> tuple[Term, ...]:
    """Every term (of float32[F]) that moved a pair's score, strongest first."""
    used = np.flatnonzero(terms)
    order = used[np.argsort(-np.abs(terms[used]), kind="stable")]
    return tuple(
        Term(FEATURES[i].group, FEATURES[i].name, float(features[i]), float(terms[i]))
        for i in order
    )


def reasons_of(
    pair: Pair,
    space: FeatureSpace,
    but: frozenset[str] = frozenset(),
) -> tuple[Reason, ...]:
    """At least one and at most three reasons, strongest first, out of all groups `but` some.

    Those that raised the score come first; when nothing did, the one that lowered it least (of the
    urgency there is always something to say).
    """
    told = Told.empty(1)
    tell(
        pair.members,
        np.array([pair.member_row], np.int32),
        pair.leads,
        np.array([pair.lead_row], np.int32),
        pair.features[None],
        pair.terms[None],
        np.zeros(1, np.int64),
        space.regions.middles,
        pair.kinds[None],
        silent_groups(but),
        told.record,
    )
    return next(in_words(told, ReasonTexts(space, pair.you)))


def silent_groups(but: frozenset[str]) -> NDArray[np.bool_]:
    """Which groups (bool[groups]) are reasons only when nothing else is."""
    return np.array([group in but for group in GROUPS])


def in_words(told: Told, texts: ReasonTexts) -> Iterator[tuple[Reason, ...]]:
    """The reasons of each pair."""
    numbers = told.counts.tolist(), told.fact.tolist(), told.weight.tolist()
    for count, facts, weights in zip(*numbers, strict=True):
        yield tuple(
            Reason(GROUPS[group], total, texts.text(kind, a, b))
            for (group, kind, a, b), total in zip(facts[:count], weights, strict=False)
        )


def group_weights(terms: F32) -> dict[str, float]:
    """The sum of the terms (float32[F]) of each group."""
    sums = dict.fromkeys(GROUPS, 0.0)
    for feature, term in zip(FEATURES, terms.tolist(), strict=True):
        sums[feature.group] += term
    return sums
