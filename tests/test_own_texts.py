"""Texts of a member's own leads: which are kept, in what order, how exactly."""

from __future__ import annotations

import numpy as np

from features.entities import EventKind
from features.own_texts import OWN_TEXTS, own_texts, own_weights

RNG = np.random.default_rng(5)
TEXT = RNG.normal(size=(20, 16)).astype(np.float32)
TEXT /= np.linalg.norm(TEXT, axis=1, keepdims=True)
TEXT[7] = 0.0


def kept(lead: list[int], weights: list[float]) -> list[int]:
    """The leads whose texts one member keeps, read back by what is nearest."""
    starts = np.array([0, len(lead)])
    codes, scales = own_texts(starts, np.array(lead, np.int32), np.array(weights, np.float32), TEXT)
    assert codes.shape == (1, OWN_TEXTS, 16)
    count = int((scales[0] > 0).sum())
    assert not codes[0, count:].any()
    read = codes[0, :count].astype(np.float32) * scales[0, :count, None]
    found = np.argmax(read @ TEXT.T, axis=1).tolist() if count else []
    np.testing.assert_allclose(read, TEXT[found], atol=0.004)
    return list(found)


def test_the_heaviest_come_first_and_the_later_of_equals() -> None:
    assert kept([1, 2, 3], [1.0, 3.0, 2.0]) == [2, 3, 1]
    assert kept([1, 2, 3], [1.0, 1.0, 1.0]) == [3, 2, 1]


def test_what_happened_to_one_lead_adds_up() -> None:
    assert kept([1, 2, 1], [1.0, 1.5, 1.0]) == [1, 2]


def test_leads_without_weight_or_text_are_left_out() -> None:
    assert kept([1, 7, 3], [0.0, 2.0, 1.0]) == [3]
    assert kept([4], [-1.0]) == []
    assert kept([], []) == []


def test_no_more_than_eight_are_kept() -> None:
    leads = [i for i in range(20) if i != 7]
    assert kept(leads, [1.0] * 19) == leads[::-1][:OWN_TEXTS]


def test_members_keep_their_own() -> None:
    starts, lead = np.array([0, 2, 2, 3]), np.array([1, 2, 3], np.int32)
    _, scales = own_texts(starts, lead, np.ones(3, np.float32), TEXT)
    assert (scales > 0).sum(axis=1).tolist() == [2, 0, 1]


def test_looking_at_a_lead_does_not_make_it_one_s_own() -> None:
    kinds = [EventKind.AUTHORED, EventKind.OPENED, EventKind.CLAIMED, EventKind.SUPPORTED]
    weights = np.array([1.0, 0.2, 0.5, 0.5], np.float32)
    found = own_weights(np.array(kinds, np.uint8), weights)
    np.testing.assert_array_equal(found, np.array([1.0, 0.0, 0.5, 0.0], np.float32))
