"""Coverage first: a lead whose candidates were all taken is planned over everybody eligible.

The plan over the best hundred members of each lead may leave a lead without anybody although a
member outside its hundred has a place left, or could be given one. So the leads that are left get
all eligible members with a place left as candidates; a lead that has none of them gets the members
whose places others hold, and these others get everybody with a place left. The plan is then made
again, until nobody is left or nothing can be added: what is unserved then is unserved because the
caps of all its eligible members are used up.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from recsvc.matching.filters import Eligibility
from recsvc.model.arrays import I64, U8
from recsvc.push.candidates import CandidateFinder, Pairs
from recsvc.push.log import pair_keys

MOST_ROUNDS = 4
_ADDED = 200
"""Members a lead that are added at most: the best ones with a place left."""

_EVERYBODY = Eligibility()


def widened(
    pairs: Pairs,
    left: I64,
    holding: tuple[I64, I64],
    places: U8,
    finder: CandidateFinder,
    wanted: Mapping[int, Eligibility],
) -> Pairs:
    """More candidate pairs for the leads that are `left` (global rows).

    `holding` are members and leads (global rows) of the plan's pushes, `places` uint8[members] says
    who has a place left.
    """
    added: list[Pairs] = []
    stuck: list[Pairs] = []
    for lead in left.tolist():
        found = finder.everybody(lead, wanted.get(lead, _EVERYBODY), places, _ADDED)
        if len(found.member) == 0:
            all_members = np.ones(len(places), np.uint8)
            found = finder.everybody(lead, wanted.get(lead, _EVERYBODY), all_members, _ADDED)
            stuck.append(found)
        added.append(found)
    if stuck:
        taken = np.unique(np.concatenate([found.member for found in stuck]))
        holders = np.unique(holding[1][np.isin(holding[0], taken)]).tolist()
        added += [
            finder.everybody(lead, wanted.get(lead, _EVERYBODY), places, _ADDED) for lead in holders
        ]
    return _joined(pairs, added)


def _joined(pairs: Pairs, added: list[Pairs]) -> Pairs:
    """All pairs once, by lead, from likely to unlikely."""
    every = Pairs._make(np.concatenate(columns) for columns in zip(pairs, *added, strict=True))
    first = np.unique(pair_keys(every.member, every.lead), return_index=True)[1]
    every = Pairs._make(column[first] for column in every)
    order = np.lexsort((every.member, -every.score, every.lead))
    return Pairs._make(column[order] for column in every)
