"""What members know beyond the topics they name, and how likely each is."""

from __future__ import annotations

import numpy as np

from features.config import FeatureConfig
from features.entities import Lead, Member
from features.expertise import LEAST_CHANCE
from features.extract import FeatureSpace

_WORDS = {
    "医疗": ("儿科医生，熟悉基层卫生院和门诊挂号", "护士长，关注住院床位和药品采购"),
    "交通": ("道路工程师，研究公交线路和路口拥堵", "桥梁专家，参与过公路养护和停车规划"),
    "农业": ("农技推广员，熟悉水稻种植和灌溉水渠", "畜牧专家，关注养殖补贴和防疫"),
}
CONFIG = FeatureConfig(min_labelled_leads=30)


def _members(count: int) -> list[Member]:
    """A third for each topic; every fifth leaves out the topic that the text is about."""
    names = list(_WORDS)
    out = []
    for row in range(count):
        topic = names[row % 3]
        text = _WORDS[topic][(row // 3) % 2] + f"，从业{row}年"
        named = () if row % 5 == 0 else (topic,)
        out.append(Member(f"m{row}", sector=f"界别{row % 3}", expertise=text, topics=named))
    return out


def _space(members: list[Member], config: FeatureConfig = CONFIG) -> FeatureSpace:
    leads = [
        Lead(f"l{k}", 1, title=text, topics=(t,)) for k, (t, (text, _)) in enumerate(_WORDS.items())
    ]
    return FeatureSpace.fit(members, leads, config, seed=1)


def test_topics_that_a_profile_speaks_of_are_taken_up_with_their_chance() -> None:
    members = _members(150)
    space = _space(members)
    found = space.members(members)
    for row in range(0, 150, 5):
        expected = space.topics.names.row(list(_WORDS)[row % 3])
        assert found.topics[row, 0] == expected
        assert LEAST_CHANCE <= found.topic_weights[row, 0] <= 1.0
        assert found.topics_named[row] == 0


def test_named_topics_stay_and_weigh_by_chance() -> None:
    members = _members(150)
    space = _space(members)
    doctor = Member("x", sector="界别0", expertise=_WORDS["医疗"][0], topics=("医疗", "农业"))
    found = space.members([doctor])
    medicine, farming = (space.topics.names.row(name) for name in ("医疗", "农业"))
    assert found.topics[0, :2].tolist() == [medicine, farming]
    assert found.topic_weights[0, 0] > found.topic_weights[0, 1] >= LEAST_CHANCE
    assert found.topics_named.tolist() == [2]
    assert np.all(np.diff(found.topic_weights[0, :2]) <= 0.0)
    assert np.all(np.diff(found.topic_weights[0, 2:]) <= 0.0)


def test_who_says_nothing_knows_nothing() -> None:
    space = _space(_members(150))
    found = space.members([Member("x")])
    assert (found.topics == -1).all()
    assert not found.topic_weights.any()


def test_few_members_teach_nothing_and_topics_stay_as_they_are() -> None:
    members = _members(30)
    space = _space(members, FeatureConfig(min_labelled_leads=100))
    assert space.expertise is None
    assert (space.members(members[:1]).topics == -1).all()


def test_a_member_alone_gets_what_it_gets_among_others_also_after_loading(tmp_path) -> None:  # type: ignore[no-untyped-def]
    members = _members(150)
    space = _space(members)
    space.save(tmp_path)
    loaded = FeatureSpace.load(tmp_path)
    assert loaded.version == space.version
    together = space.members(members)
    for row in (0, 7, 149):
        alone = loaded.members([members[row]])
        np.testing.assert_array_equal(alone.topics[0], together.topics[row])
        np.testing.assert_array_equal(alone.topic_weights[0], together.topic_weights[row])
