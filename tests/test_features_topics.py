"""Topic weights and inferred topics."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from features.config import FeatureConfig
from features.entities import Lead
from features.extract import FeatureSpace
from features.topic_learning import cross_validate_topics
from features.topic_model import TopicModel
from features.topics import TopicTable, distinct

SUBJECTS = {
    "教育": "学校老师学生幼儿园招生补课教材",
    "交通": "公交地铁堵车红绿灯道路出租车站台",
    "医疗": "医院医生看病药品挂号门诊住院",
}


def labelled(count: int, seed: int) -> list[Lead]:
    """Leads whose words come from their topic's, with some of everybody's."""
    rng = np.random.default_rng(seed)
    leads = []
    for i in range(count):
        topic = list(SUBJECTS)[i % 3]
        own = SUBJECTS[topic]
        parts = [own[k : k + 2] for k in rng.integers(0, len(own) - 1, 6)]
        leads.append(Lead(f"l{i}", title="，".join(parts), body="请领导解决", topics=(topic,)))
    return leads


@pytest.fixture(scope="module")
def space() -> FeatureSpace:
    return FeatureSpace.fit((), labelled(300, 0), FeatureConfig(), seed=0)


def test_rarer_topics_come_first_and_weigh_more() -> None:
    table = TopicTable.fit([("a", "b"), ("a",), ("a", "c"), ()])
    topics, weights = table.arrays([("a", "b", "a", "zz"), (), ("c", "b", "a")], 2)
    assert [table.names.ids[t] for t in topics[0]] == ["b", "a"]
    assert weights[0, 0] > weights[0, 1] > 0
    np.testing.assert_allclose(np.square(weights).sum(axis=1), [1, 0, 1], atol=1e-6)
    assert topics[1].tolist() == [-1, -1]
    assert [table.names.ids[t] for t in topics[2]] == ["b", "c"]


def test_topics_are_compared_without_case_space_and_repetition() -> None:
    assert distinct([" 停车", "停车", "", "ＡBC", "abc"]) == ["停车", "abc"]


def test_a_lead_without_topics_gets_the_likely_one(space: FeatureSpace) -> None:
    fresh = [Lead("a", title="医院挂号太难，医生太少"), Lead("b", title="公交站台和红绿灯")]
    known = Lead("c", title="医院门诊", topics=("交通",))
    f = space.leads([*fresh, known, Lead("d"), Lead("e", title="zz9")])
    assert f.topics_inferred.tolist() == [1, 1, 0, 0, 0]
    named = [space.topics.names.ids[t] if t >= 0 else "" for t in f.topics[:, 0]]
    assert named == ["医疗", "交通", "交通", "", ""]
    assert 0.5 <= f.topic_weights[0, 0] < 1.0
    assert f.topic_weights[2, 0] == 1.0


def test_probabilities_are_calibrated_on_leads_not_seen(space: FeatureSpace) -> None:
    model = space.topic_model
    assert model is not None
    fresh = labelled(90, seed=9)
    documents = space.text.documents([lead.title for lead in fresh])
    chances = model.probabilities(space.text.rows(documents), space.text.rows(documents, 20))
    truth = np.array([space.topics.names.row(lead.topics[0]) for lead in fresh])
    assert (model.topics[chances.argmax(axis=1)] == truth).mean() > 0.95
    assert chances.max(axis=1).mean() == pytest.approx(1.0, abs=0.1)
    assert chances.min() >= 0.0


def test_saved_and_loaded_model_infers_the_same(space: FeatureSpace, tmp_path: Path) -> None:
    space.save(tmp_path)
    loaded = FeatureSpace.load(tmp_path)
    fresh = [replace(lead, topics=()) for lead in labelled(30, 5)]
    assert space.leads(fresh).topics_inferred.sum() > 20
    for mine, theirs in zip(space.leads(fresh), loaded.leads(fresh), strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize(
    "config",
    [
        FeatureConfig(infer_topics=False),
        FeatureConfig(min_labelled_leads=61),
        FeatureConfig(min_labelled_leads=30, min_topic_leads=21),
    ],
)
def test_too_few_examples_give_no_model(config: FeatureConfig) -> None:
    space = FeatureSpace.fit((), labelled(60, 0), config, seed=0)
    assert space.topic_model is None
    assert not space.leads([Lead("a", title="医院挂号")]).topics_inferred.any()


def test_larger_sets_are_sampled_and_topics_capped() -> None:
    config = FeatureConfig(max_topic_leads=120, min_labelled_leads=100, max_inferable_topics=2)
    space = FeatureSpace.fit((), labelled(300, 0), config, seed=0)
    assert space.topic_model is not None
    assert len(space.topic_model.topics) == 2


def test_a_topic_that_every_lead_has_is_certain_for_any_text() -> None:
    leads = [Lead(str(i), title=f"医院挂号 w{i % 7}", topics=("医疗",)) for i in range(40)]
    config = FeatureConfig(min_labelled_leads=20)
    space = FeatureSpace.fit((), leads, config, seed=0)
    f = space.leads([Lead("x", title="挂号")])
    assert f.topics_inferred.tolist() == [1]


def test_stored_weights_stay_within_their_budget(space: FeatureSpace) -> None:
    documents = space.text.documents([lead.title for lead in labelled(90, 1)])
    rows = space.text.rows(documents)
    labels = np.arange(90)[:, None] % 3 == np.arange(3)
    topics = np.arange(3, dtype=np.int32)
    small = TopicModel.fit(rows, rows, labels, topics, seed=0, max_weights=60)
    assert small.weights.shape == (10, 3)
    assert (small.slots >= 0).sum() == 10


def test_cross_validation_finds_what_is_there_and_not_what_is_not() -> None:
    leads = labelled(150, 3)
    texts = [lead.title for lead in leads]
    scores = cross_validate_topics(texts, [lead.topics[0] for lead in leads], 3, seed=0)
    assert scores.macro_f1 > 0.9
    assert scores.confident_precision > 0.9
    shuffled = np.random.default_rng(0).permutation([lead.topics[0] for lead in leads]).tolist()
    noise = cross_validate_topics(texts, shuffled, 3, seed=0)
    assert noise.accuracy < 0.5
    assert noise.confident_share < 0.5
