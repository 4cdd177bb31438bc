"""Examples from the whole of a log with exposures, each seen without its own fold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.worlds import CONFIG, NOW_US, spectral_fit, tiny_catalog, tiny_dataset

from features.events import EventLog
from recsvc.model.arrays import F32
from recsvc.model.terms import INDEX
from training.crossed import crossed_examples
from training.exposures import Pairs, exposed_pairs
from training.split import SHOWN

APPEAL = INDEX["lead_appeal"]


def crossed(events: EventLog, cut_time_us: int = 0) -> tuple[Pairs, F32]:
    catalog = tiny_catalog()
    unlimited = np.full(catalog.shape[1], -1, np.int32)
    fit = spectral_fit(catalog)
    return crossed_examples(catalog, events, fit, unlimited, cut_time_us, CONFIG)


def timeless(events: EventLog) -> EventLog:
    return EventLog.from_columns(
        events.to_arrays() | {"time_us": np.full(len(events), NOW_US, np.int64)}
    )


def pairs_of(pairs: Pairs) -> set[tuple[int, int]]:
    return set(zip(pairs.member.tolist(), pairs.lead.tolist(), strict=True))


@pytest.mark.parametrize("has_times", [True, False])
def test_each_exposed_pair_teaches_once(has_times: bool) -> None:
    events = tiny_dataset().events if has_times else timeless(tiny_dataset().events)
    pairs, features = crossed(events)
    unlimited = np.full(tiny_catalog().shape[1], -1, np.int32)
    every = exposed_pairs(events, unlimited, CONFIG.split)
    assert len(pairs) == len(features) == len(every) > 50
    assert pairs_of(pairs) == pairs_of(every)
    assert pairs.label.sum() == every.label.sum() > 0
    assert pairs.slot is not None
    assert pairs.weight is not None


def test_only_what_came_before_the_cut_teaches() -> None:
    events = tiny_dataset().events
    cut_us = int(np.median(events.time_us))
    pairs, _ = crossed(events, cut_us)
    assert len(pairs) > 20
    assert (pairs.time_us < cut_us).all()


def test_with_times_as_many_leads_are_untouched_as_were_when_they_were_shown() -> None:
    events = tiny_dataset().events
    _, features = crossed(events)
    known = ~np.isnan(features[:, APPEAL])
    assert 0 < known.sum() < len(known)
    # Nobody looked at a lead or took it on before all were shown.
    shown = np.isin(events.kind, SHOWN)
    last = int(events.time_us[shown].max()) + 1
    later = np.where(shown, events.time_us, np.maximum(events.time_us, last))
    order = np.argsort(later, kind="stable")
    moved = EventLog.from_columns(
        {k: v[order] for k, v in (events.to_arrays() | {"time_us": later}).items()}
    )
    _, features = crossed(moved)
    assert np.isnan(features[:, APPEAL]).all()


def test_without_times_some_leads_are_known_and_a_pair_never_sees_its_own_answer() -> None:
    events = timeless(tiny_dataset().events)
    # Of a tenth of the leads, everybody but one member is forgotten.
    first = np.full(tiny_catalog().shape[1], -1, np.int32)
    first[events.lead[::-1]] = events.member[::-1]
    events = events.select((events.lead % 10 != 0) | (events.member == first[events.lead]))
    pairs, features = crossed(events)
    known = ~np.isnan(features[:, APPEAL])
    assert 0 < known.sum() < len(known)
    asked = np.bincount(pairs.lead, minlength=len(first))
    alone = asked[pairs.lead] == 1
    assert alone.any()
    assert not known[alone].any()


def test_another_seed_deals_other_folds() -> None:
    events = tiny_dataset().events
    catalog, fit = tiny_catalog(), spectral_fit(tiny_catalog())
    unlimited = np.full(catalog.shape[1], -1, np.int32)
    other = replace(CONFIG, seed=CONFIG.seed + 1)
    first = crossed_examples(catalog, events, fit, unlimited, 0, CONFIG)[0]
    again = crossed_examples(catalog, events, fit, unlimited, 0, CONFIG)[0]
    second = crossed_examples(catalog, events, fit, unlimited, 0, other)[0]
    assert np.array_equal(first.lead, again.lead)
    assert not np.array_equal(first.lead, second.lead)
