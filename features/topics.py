"""Topics of members and leads as small weighted arrays."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.tokens import normalise_topic
from features.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True)
class TopicTable:
    """All topics known when the features were frozen, and their inverse document frequency.

    names: row ↔ topic (normalised). weights: float32[t].
    """

    names: Vocabulary
    weights: NDArray[np.float32]

    @classmethod
    def fit(cls, topics_of_documents: Iterable[Sequence[str]]) -> TopicTable:
        """Every topic that any document has, in alphabetical order."""
        counts: Counter[str] = Counter()
        document_count = 0
        for topics in topics_of_documents:
            if own := distinct(topics):
                document_count += 1
                counts.update(own)
        names = sorted(counts)
        with_topic = np.array([counts[name] for name in names], np.float64)
        idf = np.log((1.0 + document_count) / (1.0 + with_topic)) + 1.0
        return cls(Vocabulary(names), idf.astype(np.float32))

    def arrays(
        self, topics_of_documents: Sequence[Sequence[str]], width: int
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """topics int32[n, width] and weights float32[n, width], heaviest first, padded (-1, 0).

        Weights have L2 length 1 over the topics kept; topics that the table lacks are left out.
        """
        topics = np.full((len(topics_of_documents), width), -1, np.int32)
        weights = np.zeros(topics.shape, np.float32)
        for row, names in enumerate(topics_of_documents):
            known = [(k, 1.0) for name in distinct(names) if (k := self.names.get(name)) >= 0]
            self.fill(topics[row], weights[row], known)
        return topics, weights

    def fill(
        self,
        topics: NDArray[np.int32],
        weights: NDArray[np.float32],
        known: Sequence[tuple[int, float]],
    ) -> None:
        """Writes one row of `arrays` from (topic, probability): weight = TF-IDF * probability."""
        weighted = [(topic, float(self.weights[topic]), chance) for topic, chance in known]
        weighted.sort(key=lambda entry: (-entry[1] * entry[2], entry[0]))
        del weighted[len(topics) :]
        length = math.sqrt(sum(weight * weight for _, weight, _ in weighted))
        for column, (topic, weight, chance) in enumerate(weighted):
            topics[column] = topic
            weights[column] = weight / length * chance


def distinct(topics: Sequence[str]) -> list[str]:
    """Normalised topics in the order given, without empty ones and repetitions."""
    return list(dict.fromkeys(name for topic in topics if (name := normalise_topic(topic))))
