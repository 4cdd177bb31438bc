"""Ranked lists as messages: filled in place, they are what constructors would have made."""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from features.entities import Lead, Member
from features.vocabulary import pack_strings
from recsvc.convert import names, replies
from recsvc.convert.leads import lead_to_proto
from recsvc.convert.members import member_to_proto
from recsvc.matching.kept_bytes import KeptBytes
from recsvc.matching.page import Page
from recsvc.matching.queries import Item, RankedList, Reason, ServingMode, Term
from recsvc.matching.reason_facts import GROUPS
from recsvc.matching.reason_record import Told
from recsvc.model.arrays import I64, U8
from recsvc.model.verdicts import Verdict
from recsvc.v1 import recommendation_pb2 as pb

numbers = st.floats(allow_nan=False)
reasons = st.builds(Reason, st.sampled_from(GROUPS), numbers, st.text(max_size=200))
terms = st.builds(Term, st.sampled_from(GROUPS), st.text(max_size=9), numbers, numbers)
items = st.builds(
    Item,
    st.text("ab1-._~:@委", min_size=1, max_size=90),
    st.integers(0, 9),
    numbers,
    st.none() | numbers,
    st.lists(reasons, max_size=3).map(tuple),
    st.none() | numbers,
    st.just(0.0) | st.floats(width=32, allow_nan=False, max_value=-0.125),
    st.lists(terms, max_size=2).map(tuple),
)


class Said:
    """Facts are numbered; each says what it was made from."""

    def __init__(self) -> None:
        self.encoded = KeptBytes()
        self._texts: list[str] = []

    def fact(self, text: str) -> tuple[int, int]:
        """The two numbers of a fact that says so."""
        self._texts.append(text)
        return len(self._texts) - 1, 7

    def text(self, fact: int, a: int, b: int) -> str:
        """What a fact says."""
        assert (fact, b) == (1, 7)
        return self._texts[a]


class Columns(list[Item]):
    """Items that somebody has, with the columns of a page that would show them."""

    def __init__(self, made: list[Item]) -> None:
        super().__init__(made)
        self.texts = Said()
        self.told = Told.empty(len(made))
        for i, item in enumerate(made):
            self.told.counts[i] = len(item.reasons)
            likely, km = item.claim_probability, item.distance_km
            known = [math.nan if x is None else x for x in (item.score, likely, km)]
            self.told.numbers[i] = *known, item.diversity_adjustment
            for k, reason in enumerate(item.reasons):
                fact = GROUPS.index(reason.group), 1, *self.texts.fact(reason.text)
                self.told.fact[i, k], self.told.weight[i, k] = fact, reason.weight

    def packed_ids(self) -> tuple[U8, I64, I64]:
        """As a page's."""
        return *pack_strings([item.id for item in self]), np.arange(len(self))


lists = st.builds(
    lambda *columns: RankedList(*columns),  # its types are for checkers alone
    st.lists(items, max_size=4).map(Columns),
    st.booleans(),
    st.sampled_from(ServingMode),
    numbers,
    st.integers(0, 2**40),
    st.dictionaries(st.sampled_from(Verdict), st.integers(0, 9)),
    st.integers(0, 3),
)


def constructed(item: Item, place: int) -> dict[str, Any]:
    """What an item's message holds beside whom it is about."""
    return {
        "position": place,
        "score": item.score,
        "claim_probability": item.claim_probability,
        "reasons": replies.reasons_to_proto(item.reasons),
        "distance_km": item.distance_km,
        "diversity_adjustment": item.diversity_adjustment,
        "terms": replies.terms_to_proto(item.terms),
    }


def counts(ranked: RankedList) -> dict[str, Any]:
    """What a reply says of the list as a whole."""
    removed = dict(ranked.removed)
    if ranked.unknown_candidates:
        removed[Verdict.DELETED] = removed.get(Verdict.DELETED, 0) + ranked.unknown_candidates
    return {
        "serving_mode": replies.MODES[ranked.mode],
        "baseline": ranked.baseline,
        "eligible_count": ranked.eligible_count,
        "removed": [
            pb.RemovedCount(reason=replies.filter_reason(verdict), count=removed[verdict])
            for verdict in Verdict
            if removed.get(verdict)
        ],
    }


@given(lists, st.integers(0, 900))
def test_lists_of_leads(ranked: RankedList, offset: int) -> None:
    stored = {item.id: Lead(item.id, title="某事") for item in ranked.items[::2]}
    holders = dict.fromkeys(stored, 2)
    expected = []
    for place, item in enumerate(ranked.items, offset):
        message = pb.RecommendedLead(lead=f"tenants/t/leads/{item.id}", **constructed(item, place))
        if item.id in stored:
            message.resource.CopyFrom(lead_to_proto(stored[item.id], "t", 2))
        expected.append(message)
    reply = pb.RecommendLeadsResponse()
    reply.MergeFromString(replies.fill_leads(reply, ranked, "t", offset, stored.get, holders))
    assert reply == pb.RecommendLeadsResponse(leads=expected, **counts(ranked))
    basic = pb.RecommendLeadsResponse()
    basic.MergeFromString(replies.fill_leads(basic, ranked, "t", offset, None, {}))
    for message in expected:
        message.ClearField("terms")
        message.ClearField("resource")
    assert basic == pb.RecommendLeadsResponse(leads=expected, **counts(ranked))


@given(lists, st.integers(0, 900))
def test_lists_of_members(ranked: RankedList, offset: int) -> None:
    stored = {item.id: Member(item.id, name="某人") for item in ranked.items[1::2]}
    expected = []
    for place, item in enumerate(ranked.items, offset):
        name = f"tenants/t/members/{item.id}"
        message = pb.MatchedMember(member=name, **constructed(item, place))
        if item.id in stored:
            message.resource.CopyFrom(member_to_proto(stored[item.id], "t"))
        expected.append(message)
    reply = pb.MatchMembersResponse()
    reply.MergeFromString(replies.fill_members(reply, ranked, "t", offset, stored.get))
    assert reply == pb.MatchMembersResponse(members=expected, **counts(ranked))


def test_without_the_full_view_nobody_is_looked_up() -> None:
    item = Item("l1", 0, 1.0, None, (), None)
    ranked = RankedList(cast(Page, Columns([item])), False, ServingMode.PERSONALIZED, 0.0, 1, {})
    reply = pb.RecommendLeadsResponse()
    reply.MergeFromString(replies.fill_leads(reply, ranked, "t", 0, None, {"l1": 3}))
    (found,) = reply.leads
    assert not found.HasField("resource")
    assert not found.HasField("claim_probability")
    assert not found.HasField("distance_km")


def test_a_name_may_be_long() -> None:
    """Ids of a data-set folder are as long as they are."""
    item = Item("l" * 5_000, 0, 1.0, 0.5, (), 2.0)
    ranked = RankedList(cast(Page, Columns([item])), False, ServingMode.PERSONALIZED, 0.0, 1, {})
    reply = pb.RecommendLeadsResponse()
    reply.MergeFromString(replies.fill_leads(reply, ranked, "t", 0, None, {}))
    assert [lead.lead for lead in reply.leads] == [f"tenants/t/leads/{item.id}"]


@given(st.text(max_size=140))
def test_ids_are_letters_digits_and_some_signs(text: str) -> None:
    allowed = all(c.isalnum() or c in "-_.~:@" for c in text)
    assert names.is_id(text) == (0 < len(text) <= 128 and text != "-" and allowed)
