"""Examples from a log that only says who wrote what."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.worlds import (
    CONFIG,
    DAY_US,
    log_of,
    make_event,
    spectral_fit,
    tiny_catalog,
    tiny_dataset,
)

from features.entities import EventKind
from features.events import EventLog
from recsvc.model.terms import INDEX
from training.authored import authored_examples
from training.exposures import weights_of

SEVERAL, TWO, ONE = 3, 4, 5
"""Members who wrote five leads, two and one; all others wrote nothing."""


def authored_log() -> EventLog:
    data = tiny_dataset()
    wrote = [SEVERAL] * 5 + [TWO] * 2 + [ONE]
    events = [
        make_event(EventKind.AUTHORED, (at + 1) * DAY_US, member, at)
        for at, member in enumerate(wrote)
    ]
    return log_of(events, data.member_ids, data.lead_ids)


@pytest.fixture(scope="module")
def examples() -> tuple[np.ndarray, ...]:
    config = replace(CONFIG, examples=replace(CONFIG.examples, authored_folds=8))
    catalog = tiny_catalog()
    fit = spectral_fit(catalog)
    pairs, features = authored_examples(catalog, authored_log(), fit, config)
    return pairs.member, pairs.lead, pairs.label, weights_of(pairs), features


def test_each_lead_is_asked_about_once(examples: tuple[np.ndarray, ...]) -> None:
    _, lead, label, _, _ = examples
    positives = lead[label > 0]
    assert len(np.unique(positives)) == len(positives)
    assert set(positives.tolist()) >= {0, 1, 2, 3, 4}


def test_every_author_counts_the_same(examples: tuple[np.ndarray, ...]) -> None:
    member, _, label, weight, _ = examples
    sums = {m: weight[(label > 0) & (member == m)].sum() for m in np.unique(member[label > 0])}
    assert len(sums) >= 2
    assert np.allclose(list(sums.values()), sums[SEVERAL])


def test_others_weigh_what_the_author_of_the_lead_does(examples: tuple[np.ndarray, ...]) -> None:
    _, lead, label, weight, _ = examples
    for row in np.unique(lead[label > 0]):
        assert len(np.unique(weight[lead == row])) == 1


def test_having_written_nothing_speaks_neither_for_nor_against(
    examples: tuple[np.ndarray, ...],
) -> None:
    features = examples[-1]
    assert not np.isnan(features[:, INDEX["own_text"]]).any()
    assert not features[:, INDEX["interest_text"]].any()
