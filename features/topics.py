"""Topics of members and leads as small weighted arrays."""

from __future__ import annotations

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
            known = [k for name in distinct(names) if (k := self.names.get(name)) >= 0]
            if known:
                known.sort(key=lambda topic: (-self.weights[topic], topic))
                topics[row, : len(known)] = known[:width]
        present = topics >= 0
        weights[present] = self.weights[topics[present]]
        length = np.sqrt(np.square(weights).sum(axis=1, keepdims=True))
        return topics, np.divide(weights, length, out=weights, where=length > 0)


def distinct(topics: Sequence[str]) -> list[str]:
    """Normalised topics in the order given, without empty ones and repetitions."""
    return list(dict.fromkeys(name for topic in topics if (name := normalise_topic(topic))))
