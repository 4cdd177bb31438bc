"""Why, in one Chinese line: the score terms put into words.

A reason's weight is the sum of its group's terms, so the weights of all groups and the baseline sum
to the score. A reason's text only states facts that the pair's features show.
"""

from __future__ import annotations

import numpy as np

from features.extract import FeatureSpace
from recsvc.matching.queries import Reason, Term
from recsvc.matching.reason_texts import text_of
from recsvc.matching.scored_pair import Pair
from recsvc.model.arrays import F32
from recsvc.model.terms import FEATURES
from recsvc.model.verdicts import Verdict

_GROUPS = tuple(dict.fromkeys(feature.group for feature in FEATURES))
_GROUP_OF = tuple(_GROUPS.index(feature.group) for feature in FEATURES)
MOST_REASONS = 3
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


def terms_of(pair: Pair) -> tuple[Term, ...]:
    """Every term that moved the score, strongest first."""
    terms = np.asarray(pair.terms, np.float32)
    used = np.flatnonzero(terms)
    order = used[np.argsort(-np.abs(terms[used]), kind="stable")]
    return tuple(
        Term(FEATURES[i].group, FEATURES[i].name, float(pair.features[i]), float(terms[i]))
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
    weights = group_weights(pair.terms)
    found: list[Reason] = []
    others = sorted([(-w, at, g) for at, (g, w) in enumerate(weights.items()) if g not in but])
    for weight, _, group in others:
        if found and (weight >= 0.0 or len(found) == MOST_REASONS):
            return tuple(found)
        text = text_of(group, pair, space)
        if text:
            found.append(Reason(group, -weight, text))
    if not found:
        for group in sorted(but, key=lambda g: (-weights[g], _GROUPS.index(g))):
            text = text_of(group, pair, space)
            if text:
                return (Reason(group, weights[group], text),)
    return tuple(found)


def group_weights(terms: F32 | list[float]) -> dict[str, float]:
    """The sum of the terms of each group."""
    sums = [0.0] * len(_GROUPS)
    for group, term in zip(
        _GROUP_OF, terms if isinstance(terms, list) else terms.tolist(), strict=True
    ):
        sums[group] += term
    return dict(zip(_GROUPS, sums, strict=True))
