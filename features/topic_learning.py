"""Deciding which topics leads and members can teach, learning them, and measuring the result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.config import FeatureConfig
from features.entities import Member
from features.expertise import ExpertiseModel, profile_texts
from features.terms import Terms
from features.text import TextModel
from features.tokens import Tokenizer
from features.topic_model import OPENING_LETTERS, TopicModel
from features.topics import TopicTable, distinct
from features.vocabulary import Vocabulary

_MOST_MEMBERS = 20_000


def learn_topics(
    texts: Sequence[str],
    topics_of_texts: Sequence[Sequence[str]],
    text: TextModel,
    table: TopicTable,
    config: FeatureConfig,
    seed: int,
) -> TopicModel | None:
    """A model of the topics that enough of the labelled texts have; None when there are too few."""
    labelled = [row for row, topics in enumerate(topics_of_texts) if topics and texts[row]]
    lesson = _lesson(labelled, topics_of_texts, table, config, config.max_topic_leads, seed)
    if lesson is None:
        return None
    documents = text.documents([texts[row] for row in lesson.rows])
    whole, opening = text.rows(documents), text.rows(documents, OPENING_LETTERS)
    return TopicModel.fit(whole, opening, lesson.labels, lesson.topics, seed)


def learn_expertise(
    members: Sequence[Member],
    text: TextModel,
    table: TopicTable,
    sectors: Vocabulary,
    config: FeatureConfig,
    seed: int,
) -> ExpertiseModel | None:
    """A model of the topics that enough of the members name; None when too few name any."""
    named = [member.topics for member in members]
    labelled = [row for row, topics in enumerate(named) if distinct(topics)]
    lesson = _lesson(labelled, named, table, config, _MOST_MEMBERS, seed)
    if lesson is None:
        return None
    teachers = [members[row] for row in lesson.rows]
    return ExpertiseModel.fit(
        profile_texts(text, teachers),
        sectors.rows([member.sector for member in teachers], "minus_one"),
        len(sectors),
        lesson.labels,
        lesson.topics,
    )


class _Lesson(NamedTuple):
    """What n texts or members teach about t topics.

    rows: which they are, ascending. labels: bool[n, t], who has what. topics: int32[t], ascending
    rows of the topic table.
    """

    rows: list[int]
    labels: NDArray[np.bool_]
    topics: NDArray[np.int32]


def _lesson(
    rows: list[int],
    topics_of_all: Sequence[Sequence[str]],
    table: TopicTable,
    config: FeatureConfig,
    most: int,
    seed: int,
) -> _Lesson | None:
    """What labelled rows teach; of more than `most`, that many are drawn at random.

    None when they are too few, when no topic is frequent, and when nothing is to be inferred.
    """
    if not config.infer_topics or len(rows) < config.min_labelled_leads:
        return None
    if len(rows) > most:
        rng = np.random.default_rng(seed)
        rows = np.sort(rng.choice(rows, most, replace=False)).tolist()
    labels = np.zeros((len(rows), len(table.names)), np.bool_)
    for place, row in enumerate(rows):
        labels[place, [table.names.row(name) for name in distinct(topics_of_all[row])]] = True
    counts = labels.sum(axis=0)
    frequent = np.argsort(-counts, kind="stable")[: config.max_inferable_topics]
    topics = np.sort(frequent[counts[frequent] >= config.min_topic_leads]).astype(np.int32)
    return _Lesson(rows, labels[:, topics], topics) if len(topics) else None


@dataclass(frozen=True, slots=True)
class TopicScores:
    """How well topics are inferred for texts that the model had not seen.

    macro_f1: mean over topics of F1, each text given its likeliest topic. accuracy: share of texts
    whose likeliest topic is the true one. confident_share: share of texts with a topic above the
    threshold of inference; confident_precision: how often that topic is the true one.
    """

    macro_f1: float
    accuracy: float
    confident_share: float
    confident_precision: float


def cross_validate_topics(
    texts: Sequence[str], labels: Sequence[str], folds: int, seed: int
) -> TopicScores:
    """Stratified k-fold figures of the topic model; vocabulary, idf and model are fitted per fold.

    Each of n texts has one label, each label at least `folds` texts.
    """
    # Imported here as in topic_model: no worker needs it.
    from sklearn.metrics import f1_score
    from sklearn.model_selection import StratifiedKFold

    names, truth = np.unique(np.array(labels), return_inverse=True)
    chances = np.zeros((len(texts), len(names)), np.float32)
    splits = StratifiedKFold(folds, shuffle=True, random_state=seed).split(chances, truth)
    for train, test in splits:
        chances[test] = _fold_chances([texts[i] for i in train], truth[train], texts, test, seed)
    guess = chances.argmax(axis=1)
    confident = chances.max(axis=1) >= 0.5
    return TopicScores(
        macro_f1=float(f1_score(truth, guess, average="macro")),
        accuracy=float((truth == guess).mean()),
        confident_share=float(confident.mean()),
        confident_precision=float((truth == guess)[confident].mean()) if confident.any() else 0.0,
    )


def _fold_chances(
    train_texts: Sequence[str],
    train_labels: NDArray[np.int64],
    texts: Sequence[str],
    test: NDArray[np.int64],
    seed: int,
) -> NDArray[np.float32]:
    """Probabilities float32 [len(test), topics] from a model that saw only the training texts."""
    config = FeatureConfig()
    tokenizer = Tokenizer.of(config)
    documents = tokenizer.documents(train_texts)
    terms = Terms.fit(
        documents, tokenizer, min_count=config.min_document_count, max_terms=config.max_terms
    )
    topics = np.arange(train_labels.max() + 1, dtype=np.int32)
    model = TopicModel.fit(
        terms.rows(documents, tokenizer),
        terms.rows(documents, tokenizer, OPENING_LETTERS),
        train_labels[:, None] == topics,
        topics,
        seed,
    )
    held_out = tokenizer.documents([texts[i] for i in test])
    return model.probabilities(
        terms.rows(held_out, tokenizer), terms.rows(held_out, tokenizer, OPENING_LETTERS)
    )
