"""Examples of who writes what, where the log only says who wrote what.

Such logs are short, and most authors wrote once: the end of the log alone would teach with a
handful of leads. So the log is dealt into folds; each lead is asked about with a state that lacks
its fold.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from features.entities import EventKind
from features.events import EventLog
from recsvc.model.arrays import F32
from recsvc.model.terms import INDEX
from training.config import TrainingConfig
from training.examples import chosen_pairs, features_of, with_other_members
from training.exposures import Pairs, joined
from training.split import pair_hash
from training.state import Catalog, Fit, State, learn_state

SHARED = ("embedding", "embedding_level", "interest_text")
"""What most authors of two leads or more cannot teach: see `without_shared`."""
OWN = ("own_text", "interest_topics")


def authored_examples(
    catalog: Catalog, events: EventLog, fit: Fit, config: TrainingConfig
) -> tuple[Pairs, F32]:
    """Labelled pairs and their features (float32[n, F]), each lead with its author and others."""
    count = config.examples.authored_folds
    fold = pair_hash(np.zeros_like(events.lead), events.lead, config.seed + 4) * count
    parts = [
        _examples_of(catalog, events, fold.astype(int) == k, fit, config) for k in range(count)
    ]
    pairs = joined([pairs for pairs, _ in parts])
    return replace(pairs, weight=_once_an_author(pairs)), np.concatenate([f for _, f in parts])


def _examples_of(
    catalog: Catalog, events: EventLog, held: NDArray[np.bool_], fit: Fit, config: TrainingConfig
) -> tuple[Pairs, F32]:
    state = learn_state(catalog, events.select(~held), fit, config)
    authored = chosen_pairs(state, events.select(held), (EventKind.AUTHORED,))
    return with_features(state, authored, config)


def with_features(state: State, authored: Pairs, config: TrainingConfig) -> tuple[Pairs, F32]:
    """Authored pairs, what others might have written, and the features (float32[n, F]) of both.

    Of whom nothing is known is left out: that the held-out lead was somebody's only one would
    speak for those who wrote nothing.
    """
    pairs = with_other_members(state, authored, config.examples, config.seed)
    pairs = pairs.select(_is_known(state)[pairs.member])
    features = features_of(state, pairs)
    for name in OWN:
        column = features[:, INDEX[name]]
        unknown = np.isnan(column)
        if unknown.any() and not unknown.all():
            column[unknown] = column[~unknown].mean()
    # A lead has one author: nobody is like anybody by what they share, only by their words; and
    # most authors of two leads or more wrote many, whom the mean of their words fits better than it
    # fits others. The nearest lead is as good for all (cppcc_proposals, one lead of each author
    # held out: MRR of the mean .133, of the nearest .169).
    features[:, [INDEX[name] for name in SHARED]] = 0.0
    return pairs, features


def _once_an_author(pairs: Pairs) -> F32:
    """Weights (float32[n]) with which every author counts the same, however much they wrote.

    A lead's other pairs weigh what its author's does.
    """
    positive = pairs.label > 0
    author = np.full(int(pairs.lead.max(initial=-1)) + 1, -1, np.int32)
    author[pairs.lead[positive]] = pairs.member[positive]
    count = np.bincount(pairs.member[positive], minlength=1)
    of_pair = author[pairs.lead]
    weight = np.where(of_pair >= 0, 1.0 / np.maximum(count[of_pair], 1), 0.0)
    total = max(float(weight.sum()), 1e-9)
    return (weight * len(weight) / total).astype(np.float32)


def _is_known(state: State) -> NDArray[np.bool_]:
    """Members (bool[m]) who wrote something, or said what they know of."""
    members = state.members
    found: NDArray[np.bool_] = members.own_text_scale[:, 0] > 0.0
    found |= (members.topics[:, 0] >= 0) | members.text.any(axis=1)
    return found
