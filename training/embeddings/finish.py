"""From trained vectors to an Embedding: content maps, untouched leads, silent members."""

from __future__ import annotations

import numpy as np

from recsvc.model.arrays import F32
from recsvc.model.content_map import ContentMap
from recsvc.model.foldin import FoldIn, GramPart, LinearPart
from training.embeddings.base import Embedding, TrainingData, lead_counts, mean_vector, with_default
from training.embeddings.content import ContentConfig, fit_content_map


def finished(
    name: str,
    members: F32,
    leads: F32,
    part: LinearPart | GramPart,
    data: TrainingData,
    config: ContentConfig,
    *,
    threads: int,
) -> Embedding:
    """The Embedding around trained members float32[m, d] and leads float32[n, d].

    Leads without interactions get the content map's vector (zero without content), members without
    any get the member map's or else the mean member.
    """
    counts = lead_counts(data.interactions)
    leads = np.array(leads, np.float32, order="C")
    leads[counts == 0] = 0.0
    default = mean_vector(members, data.interactions)
    members = with_default(members, data.interactions, default)
    active = np.diff(data.interactions.indptr).astype(np.int64)
    content_map = member_map = None
    if data.content is not None:
        partners = members[active > 0]
        content_map = fit_content_map(
            data.content, leads, counts, partners, config, threads=threads
        )
        content_map = _with_input_scale(content_map, leads[counts > 0], part)
        leads[counts == 0] = content_map.vectors(data.content[counts == 0])
    if data.member_content is not None:
        partners = leads[counts > 0]
        member_map = fit_content_map(
            data.member_content, members, active, partners, config, threads=threads
        )
        members[active == 0] = member_map.vectors(data.member_content[active == 0])
    fold_in = FoldIn((part,), default, np.zeros_like(default))
    return Embedding(name, members, leads, fold_in, content_map, member_map)


def _with_input_scale(found: ContentMap, leads: F32, part: LinearPart | GramPart) -> ContentMap:
    """A new lead speaks for its takers as the rarest known lead does: its scale is the largest."""
    if isinstance(part, GramPart) or part.scale_column < 0:
        return found
    mix, bias = found.mix.copy(), found.bias.copy()
    mix[:, part.scale_column] = 0.0
    bias[part.scale_column] = leads[:, part.scale_column].max(initial=0.0)
    return ContentMap(found.terms, mix, bias, found.length)
