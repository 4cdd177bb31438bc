"""A profile folded in online is the one that training would have made of the same log."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse
from support.changes import apply_steps
from support.describe import Description, assert_same, describe
from support.worlds import (
    CONFIG,
    NOW_US,
    bundle_of,
    log_of,
    make_event,
    own_arrays,
    shared_bundle,
    tiny_bundle,
    tiny_catalog,
    tiny_dataset,
    tiny_events,
    tiny_state,
)

from features.entities import EventKind
from recsvc.matching.event_updates import add_events
from recsvc.matching.profile import fold_profile, half_life, pair_strength
from recsvc.model.bundle import Bundle, InterestRule, Manifest
from recsvc.model.snapshot import Snapshot
from training.embeddings import Embedding
from training.state import learn_state


def test_folding_the_bundle_s_own_history_gives_the_bundle_s_own_profiles(
    snapshot: Snapshot,
) -> None:
    members = tiny_state().members
    assert (members.events > 0).sum() > 30
    for row, member_id in enumerate(tiny_dataset().member_ids):
        profile = fold_profile(snapshot, member_id)
        np.testing.assert_allclose(profile.vector, members.vector[row], atol=1e-4)
        assert profile.embedding_level == pytest.approx(members.embedding_level[row], abs=1e-4)
        np.testing.assert_allclose(profile.interest_text, members.interest_text[row], atol=1e-5)
        np.testing.assert_array_equal(profile.interest_topics, members.interest_topics[row])
        np.testing.assert_allclose(
            profile.interest_topic_weights, members.interest_topic_weights[row], atol=1e-5
        )
        for name in ("activity_latitude_rad", "activity_longitude_rad", "activity_share"):
            np.testing.assert_allclose(getattr(profile, name), getattr(members, name)[row])
        for name in ("own_text", "own_text_scale", "co_taken_leads"):
            np.testing.assert_array_equal(getattr(profile, name), getattr(members, name)[row])
        np.testing.assert_allclose(
            profile.co_taken_weights, members.co_taken_weights[row], atol=1e-6
        )


def early_bundle(share: float) -> Bundle:
    """The bundle after the first part of the log, in the same embedding as that of all of it."""
    data = tiny_dataset()
    early = tiny_events()[: int(share * len(tiny_events()))]
    log = log_of(early, data.member_ids, data.lead_ids)
    embedding: Embedding = tiny_state().embedding

    def fit(_: sparse.csr_matrix) -> Embedding:
        default = embedding.fold_in.default
        active = np.zeros(len(data.members), bool)
        active[np.unique(log.member)] = True
        members = np.where(active[:, None], embedding.members, default)
        return replace(embedding, members=members)

    state = learn_state(tiny_catalog(), log, fit, CONFIG)
    context = tiny_state().context
    manifest = Manifest(model_id="early", interest=state.interest)
    ranker = shared_bundle().ranker
    return own_arrays(bundle_of(tiny_catalog(), replace(state, context=context), ranker, manifest))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_what_came_since_the_bundle_counts_as_if_training_had_seen_it(share: float) -> None:
    """Vectors, interests, places and counters of both sides; one by one or all at once.

    What answers say is learned, not counted: `test_answers` has that.
    """
    later = tiny_events()[int(share * len(tiny_events())) :]
    ours, theirs = Snapshot(early_bundle(share)), Snapshot(tiny_bundle())
    for event in later[:20]:
        add_events(ours, [event])
    add_events(ours, later[20:])
    assert_same(without_answers(ours), without_answers(theirs), atol=2e-4)


LEARNED = {"audience_log", "content_appeal", "answers", "audience_met", "neighbour_row"}


def without_answers(snapshot: Snapshot) -> Description:
    """All that is counted or folded in."""
    learned = ("willingness", "appeal", "answer_", "co_taken")
    return {
        key: value
        for key, value in describe(snapshot).items()
        if key[2] not in LEARNED and not key[2].startswith(learned)
    }


def test_a_member_without_history_has_the_default_vector(snapshot: Snapshot) -> None:
    profile = fold_profile(snapshot, "nobody")
    np.testing.assert_array_equal(profile.vector, snapshot.bundle.fold_in.default)
    assert not profile.interest_text.any()
    assert (profile.interest_topics == -1).all()
    assert np.isnan(profile.activity_latitude_rad).all()


def test_interest_fades_with_time_where_there_are_times() -> None:
    assert half_life(InterestRule(90.0, 5, True)) == 90.0
    assert half_life(InterestRule(90.0, 5, False)) == float("inf")


def test_an_old_interest_gives_way_to_a_new_one(snapshot: Snapshot) -> None:
    """Two leads, the same events: the younger one shapes the profile more."""
    a, b = (int(i) for i in np.flatnonzero(tiny_state().leads.text.any(axis=1))[[3, -3]])
    year = 365 * 86_400_000_000
    apply_steps(snapshot, make_event(EventKind.CLAIMED, NOW_US, 38, a))
    apply_steps(snapshot, make_event(EventKind.CLAIMED, NOW_US + year, 38, b))
    text = tiny_state().leads.text
    own = fold_profile(snapshot, "m38").interest_text
    assert own @ text[b] > 0.99
    apply_steps(snapshot, make_event(EventKind.CLAIMED, NOW_US + year, 38, a))
    assert fold_profile(snapshot, "m38").interest_text @ text[a] > own @ text[a]


def test_a_repeat_adds_less_and_a_refusal_nothing() -> None:
    strength = pair_strength(np.array([-1.0, 0.0, 1.0, 2.0, 3.0], np.float32))
    np.testing.assert_allclose(strength, [0.0, 0.0, 1.0, np.log2(3.0), 2.0], rtol=1e-6)


def test_a_deleted_lead_still_shows_what_the_member_cares_for(snapshot: Snapshot) -> None:
    before = fold_profile(snapshot, "m1")
    for lead_id in tiny_dataset().lead_ids:
        snapshot.leads.delete(lead_id)
    after = fold_profile(snapshot, "m1")
    for ours, theirs in zip(before, after, strict=True):
        np.testing.assert_array_equal(ours, theirs)
