"""Examples from all of a log with exposures: each pair seen with a state that lacks its fold.

The later part of a small log teaches with few claims, so the log is dealt into folds as the service
will meet pairs. With times, each lead has a fold, and is held out from an instant of its life on
(`training.split.held_from_us`). Without times, as many leads as are untouched have a fold as a
whole, the others pair by pair.

How a log is dealt is chance, and a small one shows it: so it is dealt `exposed_rounds` times.
"""

from __future__ import annotations

import numpy as np

from features.events import EventLog
from recsvc.model.arrays import F32, I32, I64
from training.config import TrainingConfig
from training.examples import features_of
from training.exposures import Pairs, exposed_pairs, joined
from training.split import MOST_COLD_SHARE, begun_us, cold_share_of, held_from_us, pair_hash
from training.state import Catalog, Fit, learn_state

_APART = 100
"""Between the seeds of two rounds: hashes of one take the numbers just after its seed."""


def crossed_examples(
    catalog: Catalog,
    events: EventLog,
    fit: Fit,
    capacity: I32,
    cut_time_us: int,
    config: TrainingConfig,
) -> tuple[Pairs, F32]:
    """Labelled pairs exposed before the cut (0: all) and their features (float32[n, F]).

    `capacity` int32[leads]: how many may take each, -1 unlimited. Each pair is there once a round
    at most.
    """
    pairs = exposed_pairs(events, capacity, config.split)
    if cut_time_us > 0:
        pairs = pairs.select(pairs.time_us < cut_time_us)
    begun = begun_us(events)
    parts, features = [], []
    for number in range(config.examples.exposed_rounds):
        seed = config.seed + _APART * number
        of_event, of_pair = _deal(events, begun, pairs, catalog.shape[1], config, seed)
        for fold in range(config.examples.exposed_folds):
            parts.append(pairs.select(of_pair == fold))
            state = learn_state(catalog, events.select(of_event != fold), fit, config)
            features.append(features_of(state, parts[-1]))
    return joined(parts), np.concatenate(features)


def _deal(
    events: EventLog, begun: I64, pairs: Pairs, lead_count: int, config: TrainingConfig, seed: int
) -> tuple[I32, I32]:
    """The fold of each event and pair (int32[]); -1: what every fold knows.

    `begun` int64[events]: see `begun_us`.
    """
    if events.has_times:
        from_us = held_from_us(events, lead_count, config.split.whole_share, seed)
        whole = 1.0
    else:
        from_us = np.full(lead_count, np.iinfo(np.int64).min)
        whole = min(cold_share_of(events, lead_count), MOST_COLD_SHARE)
    of_event, of_pair = (
        np.where(
            (one.lead >= 0) & (since >= from_us[one.lead]),
            _folds(one.member, one.lead, whole, config.examples.exposed_folds, seed),
            -1,
        ).astype(np.int32)
        for one, since in ((events, begun), (pairs, pairs.time_us))
    )
    return of_event, of_pair


def _folds(member: I32, lead: I32, whole: float, count: int, seed: int) -> I32:
    """The fold (int32[n]) of each pair; a share `whole` of leads has one as a whole."""
    nobody = np.zeros_like(lead)
    by_lead = pair_hash(nobody, lead, seed + 6) < whole
    of_lead, of_pair = pair_hash(nobody, lead, seed + 7), pair_hash(member, lead, seed + 8)
    return (np.where(by_lead, of_lead, of_pair) * count).astype(np.int32)
