"""Examples from all of a log with exposures: each pair seen with a state that lacks its fold.

The later part of a small log teaches with few claims. So the log is dealt into folds as the service
will meet pairs: leads as a whole, who are untouched then; in a log without times only as many of
them as there are untouched leads, of the others pair by pair.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.events import EventLog
from recsvc.model.arrays import F32, I32
from training.config import TrainingConfig
from training.examples import features_of
from training.exposures import Pairs, exposed_pairs, joined
from training.split import MOST_COLD_SHARE, cold_share_of, pair_hash
from training.state import Catalog, Fit, learn_state


def crossed_examples(
    catalog: Catalog,
    events: EventLog,
    fit: Fit,
    capacity: I32,
    cut_time_us: int,
    config: TrainingConfig,
) -> tuple[Pairs, F32]:
    """Labelled pairs exposed before the cut (0: all) and their features (float32[n, F]).

    `capacity` int32[leads]: how many may take each, -1 unlimited.
    """
    count = config.examples.exposed_folds
    whole = 1.0
    if not events.has_times:
        whole = min(cold_share_of(events, catalog.shape[1]), MOST_COLD_SHARE)
    of_event = _folds(events.member, events.lead, whole, count, config.seed)
    pairs = exposed_pairs(events, capacity, config.split)
    if cut_time_us > 0:
        pairs = pairs.select(pairs.time_us < cut_time_us)
    of_pair = _folds(pairs.member, pairs.lead, whole, count, config.seed)
    parts, features = [], []
    for fold in range(count):
        parts.append(pairs.select(of_pair == fold))
        state = learn_state(catalog, events.select(of_event != fold), fit, config)
        features.append(features_of(state, parts[-1]))
    return joined(parts), np.concatenate(features)


def _folds(
    member: I32, lead: I32, whole: float, count: int, seed: int
) -> NDArray[np.signedinteger[Any]]:
    """The fold (int[n]) of each pair, -1 where there is no lead; a share `whole` of leads whole."""
    nobody = np.zeros_like(lead)
    by_lead = pair_hash(nobody, lead, seed + 6) < whole
    of_lead, of_pair = pair_hash(nobody, lead, seed + 7), pair_hash(member, lead, seed + 8)
    fold = (np.where(by_lead, of_lead, of_pair) * count).astype(np.int32)
    return np.where(lead >= 0, fold, -1)
