"""Examples from the whole of a log with exposures, each seen without its own fold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.worlds import CONFIG, NOW_US, spectral_fit, tiny_catalog, tiny_dataset

from features.events import EventLog
from recsvc.model.arrays import F32
from recsvc.model.terms import INDEX
from training.config import TrainingConfig
from training.crossed import crossed_examples
from training.exposures import Pairs, exposed_pairs, shares_of
from training.split import SHOWN

APPEAL = INDEX["lead_appeal"]
UNLIMITED = np.full(tiny_catalog().shape[1], -1, np.int32)


def crossed(
    events: EventLog, cut_time_us: int = 0, config: TrainingConfig = CONFIG
) -> tuple[Pairs, F32]:
    catalog = tiny_catalog()
    fit = spectral_fit(catalog)
    return crossed_examples(catalog, events, fit, UNLIMITED, cut_time_us, config)


def timeless(events: EventLog) -> EventLog:
    return EventLog.from_columns(
        events.to_arrays() | {"time_us": np.full(len(events), NOW_US, np.int64)}
    )


def pairs_of(pairs: Pairs) -> set[tuple[int, int]]:
    return set(zip(pairs.member.tolist(), pairs.lead.tolist(), strict=True))


def test_without_times_each_exposed_pair_teaches_once_a_round() -> None:
    events = timeless(tiny_dataset().events)
    pairs, features = crossed(events)
    every = exposed_pairs(events, UNLIMITED, CONFIG.split)
    rounds = CONFIG.examples.exposed_rounds
    assert len(pairs) == len(features) == rounds * len(every) > 50 * rounds
    assert pairs_of(pairs) == pairs_of(every)
    assert pairs.label.sum() == rounds * every.label.sum() > 0
    assert shares_of(pairs).sum() == pytest.approx(len(every))
    assert pairs.slot is not None
    assert pairs.weight is not None


def test_with_times_a_lead_teaches_from_an_instant_of_its_life_on() -> None:
    events = tiny_dataset().events
    pairs, _ = crossed(events)
    every = exposed_pairs(events, UNLIMITED, CONFIG.split)
    rounds = CONFIG.examples.exposed_rounds
    assert 0.4 * rounds * len(every) < len(pairs) < rounds * len(every)
    assert pairs_of(pairs) <= pairs_of(every)
    everything = replace(CONFIG, split=replace(CONFIG.split, whole_share=1.0))
    pairs, features = crossed(events, config=everything)
    assert len(pairs) == rounds * len(every)
    assert np.isnan(features[:, APPEAL]).all()


def test_only_what_came_before_the_cut_teaches() -> None:
    events = tiny_dataset().events
    cut_us = int(np.median(events.time_us))
    pairs, _ = crossed(events, cut_us)
    assert len(pairs) > 20
    assert (pairs.time_us < cut_us).all()


def test_with_times_some_leads_are_known_by_what_came_before_alone() -> None:
    events = tiny_dataset().events
    pairs, features = crossed(events)
    known = ~np.isnan(features[:, APPEAL])
    assert 0 < known.sum() < len(known)
    first_us = np.full(tiny_catalog().shape[1], np.iinfo(np.int64).max)
    shown = events.select(np.isin(events.kind, SHOWN) & (events.lead >= 0))
    np.minimum.at(first_us, shown.lead, shown.time_us)
    # The first whom a lead was shown to met an untouched lead, whatever came later.
    assert not known[pairs.time_us == first_us[pairs.lead]].any()


def test_without_times_some_leads_are_known_and_a_pair_never_sees_its_own_answer() -> None:
    events = timeless(tiny_dataset().events)
    # Of a tenth of the leads, everybody but one member is forgotten.
    first = np.full(tiny_catalog().shape[1], -1, np.int32)
    first[events.lead[::-1]] = events.member[::-1]
    events = events.select((events.lead % 10 != 0) | (events.member == first[events.lead]))
    pairs, features = crossed(events)
    known = ~np.isnan(features[:, APPEAL])
    assert 0 < known.sum() < len(known)
    asked = np.bincount(pairs.lead, weights=shares_of(pairs), minlength=len(first)).round()
    alone = asked[pairs.lead] == 1
    assert alone.any()
    assert not known[alone].any()


def test_another_seed_deals_other_folds() -> None:
    events = tiny_dataset().events
    first, again = crossed(events)[0], crossed(events)[0]
    second = crossed(events, config=replace(CONFIG, seed=CONFIG.seed + 1))[0]
    assert np.array_equal(first.lead, again.lead)
    assert not np.array_equal(first.lead, second.lead)
