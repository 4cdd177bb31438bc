"""Tokens, terms and text vectors, against scikit-learn and against hand-made examples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer

from features.config import FeatureConfig
from features.errors import DataError
from features.reduction import fit_components, project
from features.terms import Terms
from features.text import TextModel
from features.tokens import Tokenizer, fold_text

CONFIG = FeatureConfig(min_document_count=1, text_dimensions=4)
TOKENIZER = Tokenizer.of(CONFIG)


def tokens_of(text: str, *topics: str, ngram_min: int = 2, ngram_max: int = 2) -> set[str]:
    tokenizer = Tokenizer.of(FeatureConfig(ngram_min=ngram_min, ngram_max=ngram_max))
    documents = tokenizer.documents([text], [topics])
    terms = Terms.fit(documents, tokenizer, min_count=1, max_terms=1000)
    return {
        ("#" if topic else "") + n for n, topic in zip(terms.names, terms.is_topic, strict=True)
    }


def test_words_bigrams_across_words_and_topics() -> None:
    assert tokens_of("停车费太贵", "停车") == {"停车", "车费", "费太", "太贵", "停车费", "#停车"}


def test_punctuation_and_space_end_an_ngram() -> None:
    assert tokens_of("停，车 费") == {"停", "车", "费"}  # words, if short ones
    assert "停车" in tokens_of("停车费")


def test_trigrams() -> None:
    assert tokens_of("天地人和", ngram_min=3, ngram_max=3) >= {"天地人", "地人和"}


def test_codes_latin_words_and_mixtures_are_words() -> None:
    assert tokens_of("w113 W8864 c++ 3.5 scale_free T恤") == {
        *("w113", "w8864", "c++", "3.5", "scale_free", "t恤")
    }


def test_full_width_is_folded_but_chinese_is_left_alone() -> None:
    assert fold_text("ＡＢＣ１２３Ｘ") == "ABC123X"
    assert fold_text("停车，收费（太贵）！") == "停车，收费（太贵）！"


def test_rare_characters_are_han_too() -> None:
    assert "𠮷野" in tokens_of("𠮷野")


def test_half_a_surrogate_pair_and_control_characters_do_no_harm() -> None:
    documents = TOKENIZER.documents(["停车\ud800收费", "物业\x1e停车", "\x1f\x00"], None)
    terms = Terms.fit(documents, TOKENIZER, min_count=1, max_terms=1000)
    assert documents.size == 3
    assert {"停车", "收费", "物业"} <= set(terms.names)


def test_what_is_beyond_the_maximum_is_not_read() -> None:
    tokenizer = Tokenizer(1, 2, True, maximum_characters=4)
    model = Terms.fit(tokenizer.documents(["停车收费物业"]), tokenizer, min_count=1, max_terms=99)
    assert "物" not in model.names
    assert "费" in model.names


def test_opening_reads_only_the_first_letters() -> None:
    documents = TOKENIZER.documents(["停车，收费 物业管理"])
    terms = Terms.fit(documents, TOKENIZER, min_count=1, max_terms=1000)
    row = terms.rows(documents, TOKENIZER, 4)
    assert {terms.names[i] for i in row.indices} == {"停车", "收费"}


latin = st.lists(st.sampled_from(["ab", "cd", "ef", "x1", "y2"]), min_size=0, max_size=12)


@settings(max_examples=40, deadline=None)
@given(st.lists(latin, min_size=2, max_size=8).filter(lambda d: any(d)))
def test_rows_are_those_of_scikit_learn(documents: list[list[str]]) -> None:
    texts = [" ".join(words) for words in documents]
    expected = TfidfVectorizer(sublinear_tf=True, token_pattern=r"\S+")
    wanted = expected.fit_transform(texts).toarray()
    split = TOKENIZER.documents(texts)
    terms = Terms.fit(split, TOKENIZER, min_count=1, max_terms=1000)
    order = [terms.names.index(name) for name in expected.get_feature_names_out()]
    got = terms.rows(split, TOKENIZER).toarray()[:, order]
    np.testing.assert_allclose(got, wanted, atol=1e-5)


def test_vocabulary_keeps_the_most_frequent_and_drops_the_rare() -> None:
    documents = TOKENIZER.documents(["aa bb cc", "aa bb", "aa"])
    assert Terms.fit(documents, TOKENIZER, min_count=2, max_terms=9).names == ("aa", "bb")
    assert Terms.fit(documents, TOKENIZER, min_count=1, max_terms=1).names == ("aa",)


def test_many_terms_survive_growth_of_the_table() -> None:
    texts = [" ".join(f"w{i}" for i in range(k, k + 2000)) for k in range(0, 100_000, 2000)]
    documents = TOKENIZER.documents(texts)
    terms = Terms.fit(documents, TOKENIZER, min_count=1, max_terms=200_000)
    assert len(set(terms.names)) == 100_000
    assert np.diff(terms.rows(documents, TOKENIZER).indptr).tolist() == [2000] * 50


def test_projection_is_the_matrix_product_normalised() -> None:
    rng = np.random.default_rng(0)
    rows = sparse.random(20, 50, 0.2, "csr", np.float32, rng)
    components = fit_components(rows, 5, seed=1)
    assert components.shape == (50, 5)
    product = rows @ components
    expected = product / np.linalg.norm(product, axis=1, keepdims=True)
    np.testing.assert_allclose(project(rows, components), expected, atol=1e-5)
    np.testing.assert_array_equal(components, fit_components(rows, 5, seed=1))


def test_vectors_are_unit_or_zero_for_unknown_text() -> None:
    texts = ["停车收费", "物业管理", "幼儿园 w1", "停车管理"]
    model = TextModel.fit(texts, [()] * 4, CONFIG, seed=0)
    all_texts = [*texts, "", "！？", "zz9"]
    vectors = model.vectors(model.rows(model.documents(all_texts)), all_texts)
    np.testing.assert_allclose(np.linalg.norm(vectors[:4], axis=1), 1.0, atol=1e-6)
    assert not vectors[4:].any()


def test_dimensions_follow_the_number_of_documents() -> None:
    rng = np.random.default_rng(0)
    texts = [" ".join(f"w{i}" for i in rng.integers(0, 600, 8)) for _ in range(900)]
    model = TextModel.fit(texts, [()] * 900, FeatureConfig(), seed=0)
    assert model.dimensions == 512
    model = TextModel.fit(texts * 2, [()] * 1_800, FeatureConfig(), seed=0)
    assert model.dimensions == 256
    sampled = TextModel.fit(
        texts, [()] * 900, FeatureConfig(max_fit_documents=500, max_svd_documents=100), seed=0
    )
    assert sampled.dimensions == 99


@pytest.mark.parametrize("bad", [{"ngram_min": 0}, {"ngram_max": 4}, {"encoder_share": 1.5}])
def test_settings_that_cannot_work_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(DataError, match="choose"):
        FeatureConfig(**bad)  # type: ignore[arg-type]
