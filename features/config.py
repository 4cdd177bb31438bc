"""What can be set about features; the choice is frozen into each bundle."""

from __future__ import annotations

from dataclasses import dataclass

from features.errors import DataError


@dataclass(frozen=True, slots=True)
class FeatureConfig:
    """Settings of `FeatureSpace.fit`.

    text_dimensions: width of text vectors; None = 512 below 1,000 documents, 256
    below 20,000, 128 above.
    min_document_count, max_terms: a term stands in at least so many documents, the most frequent
    are kept. ngram_min, ngram_max: lengths of Han character n-grams (1-3); single characters said
    less than nothing (who of 299 wrote a proposal: MRR .169 with, .178 without).
    guess_new_words: let rjieba guess words that its dictionary lacks. maximum_characters: what is
    read of one document.
    max_fit_documents, max_svd_documents: larger sets are sampled for the vocabulary and the SVD.
    infer_topics: learn to give topics to leads without any, when at least min_labelled_leads have
    some, and likewise which ones members left out; only topics with min_topic_leads examples, at
    most max_inferable_topics, learned from at most max_topic_leads leads.
    use_encoder: widen text vectors by encoder_dimensions out of the sentence encoder of the extra
    `encoder`, which reads encoder_characters of a text and gets encoder_share of the squared
    length; its centre is learned from encoder_fit_texts.
    """

    text_dimensions: int | None = None
    min_document_count: int = 2
    max_terms: int = 100_000
    ngram_min: int = 2
    ngram_max: int = 2
    guess_new_words: bool = True
    maximum_characters: int = 20_000
    max_fit_documents: int = 200_000
    max_svd_documents: int = 30_000
    infer_topics: bool = True
    min_labelled_leads: int = 200
    min_topic_leads: int = 10
    max_inferable_topics: int = 200
    max_topic_leads: int = 10_000
    use_encoder: bool = False
    encoder_share: float = 0.4
    encoder_characters: int = 60
    encoder_dimensions: int = 128
    encoder_fit_texts: int = 1_000

    def __post_init__(self) -> None:
        if not 1 <= self.ngram_min <= self.ngram_max <= 3:
            raise DataError(
                f"n-grams of {self.ngram_min} to {self.ngram_max} characters are not supported: "
                "choose 1 <= ngram_min <= ngram_max <= 3"
            )
        if not 0.0 <= self.encoder_share <= 1.0:
            raise DataError(f"encoder_share is {self.encoder_share}: choose a share from 0 to 1")
