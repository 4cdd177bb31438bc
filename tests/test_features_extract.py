"""The feature space: one result offline and online, everything optional, frozen on disk."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from features.config import FeatureConfig
from features.entities import Lead, Member, Place
from features.errors import DataError
from features.extract import FeatureSpace, LeadFeatures, MemberFeatures

MEMBERS = (
    Member(
        "m0",
        sector="教育界",
        expertise="学前教育与幼儿园收费政策研究，关注校车安全",
        topics=("教育", "校车"),
        region_code="430104",
        places=(Place("WORK", 28.2, 112.9), Place("STUDIO", region_code="430102")),
    ),
    Member("m1", sector="经济界", expertise="停车收费、物业管理与业主委员会", topics=("物业",)),
    Member("m2"),
)
LEADS = (
    Lead("l0", 1, title="幼儿园收费太高", body="小区幼儿园收费比校车还贵", topics=("教育",)),
    Lead("l1", 2, title="小区物业乱收停车费", topics=("物业", "停车"), region_code="430104001"),
    Lead("l2", 3, body="w113 w8864 c++", latitude=40.0, longitude=-73.9, urgency=3),
    Lead("l3"),
    Lead("l4", 5, title="业主委员会与停车收费", topics=("新话题",), region_code="43"),
)


@pytest.fixture(scope="module")
def space() -> FeatureSpace:
    return FeatureSpace.fit(MEMBERS, LEADS[:4], FeatureConfig(min_document_count=1), seed=1)


def columns(features: LeadFeatures | MemberFeatures) -> dict[str, NDArray[Any]]:
    return dict(zip(features._fields, map(np.asarray, features), strict=True))


def assert_same(a: dict[str, NDArray[Any]], b: dict[str, NDArray[Any]]) -> None:
    assert a.keys() == b.keys()
    for name, column in a.items():
        np.testing.assert_array_equal(column, b[name], err_msg=name)
        assert column.dtype == b[name].dtype


def test_lead_columns_have_the_promised_shapes_and_values(space: FeatureSpace) -> None:
    f = space.leads(LEADS)
    assert f.text.shape == (5, space.text.dimensions)
    lengths = np.linalg.norm(f.text, axis=1)
    np.testing.assert_allclose(lengths, [1, 1, 1, 0, 1], atol=1e-6)
    assert [space.topics.names.ids[t] for t in f.topics[1] if t >= 0] == ["停车", "物业"]
    np.testing.assert_allclose(np.linalg.norm(f.topic_weights[1]), 1, atol=1e-6)
    assert f.topics[4].tolist() == [-1] * 8  # 新话题 came after the vocabulary was frozen
    assert f.region[1].tolist() == [43, 4301, 430104, 430104001]
    assert f.region[3].tolist() == [-1] * 4
    assert math.degrees(f.latitude_rad[2]) == pytest.approx(40.0, abs=1e-4)
    assert 27 < math.degrees(f.latitude_rad[1]) < 29  # the county's middle
    assert np.isnan(f.latitude_rad[3])
    assert np.isnan(f.longitude_rad[3])
    assert f.urgency.tolist() == [0, 0, 3, 0, 0]
    assert f.create_time_us.tolist() == [1, 2, 3, 0, 5]


def test_member_columns_have_the_promised_shapes_and_values(space: FeatureSpace) -> None:
    f = space.members(MEMBERS)
    np.testing.assert_allclose(np.linalg.norm(f.text, axis=1), [1, 1, 0], atol=1e-6)
    assert [space.sectors.ids[s] if s >= 0 else "" for s in f.sector] == ["教育界", "经济界", ""]
    assert f.place_region[0, :, 2].tolist() == [430104, -1, 430102, -1]
    assert np.isfinite(f.place_latitude_rad[0]).tolist() == [True, True, True, False]
    assert not np.isfinite(f.place_longitude_rad[1:]).any()


def test_the_text_of_a_lead_is_nearest_to_the_member_who_knows_about_it(
    space: FeatureSpace,
) -> None:
    similarity = space.leads(LEADS).text @ space.members(MEMBERS).text.T
    assert similarity[0].argmax() == 0
    assert similarity[1].argmax() == 1
    assert similarity[4].argmax() == 1


def test_content_keeps_every_topic() -> None:
    many = tuple(f"tag{i}" for i in range(40))
    leads = [Lead("a", topics=many), Lead("b", topics=many[:20])]
    space = FeatureSpace.fit((), leads, FeatureConfig(min_document_count=1), seed=0)
    content = space.content(leads)
    assert content.dtype == np.float32
    assert np.diff(content.indptr).tolist() == [40, 20]
    assert space.leads(leads).topics.shape == (2, 8)


words = st.text(alphabet="收费停车教育物业abcw019 ，\x1f#", max_size=30)
some_leads = st.builds(
    Lead,
    st.just("x"),
    title=words,
    body=words,
    topics=st.lists(words, max_size=12).map(tuple),
    region_code=st.sampled_from(["", "43", "430104", "999999", "letters", "430104001002"]),
    latitude=st.none() | st.floats(-90, 90),
    longitude=st.none() | st.floats(-180, 180),
    urgency=st.integers(-1, 9),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(some_leads, max_size=6))
def test_a_batch_gives_each_lead_what_it_gets_alone(space: FeatureSpace, leads: list[Lead]) -> None:
    batch = columns(space.leads(leads))
    for row, lead in enumerate(leads):
        alone = columns(space.leads([lead]))
        assert_same(alone, {name: column[row : row + 1] for name, column in batch.items()})


def test_saved_and_loaded_space_is_equal(space: FeatureSpace, tmp_path: Path) -> None:
    space.save(tmp_path / "features")
    loaded = FeatureSpace.load(tmp_path / "features")
    assert loaded.version == space.version
    assert loaded.config == space.config
    assert_same(columns(loaded.leads(LEADS)), columns(space.leads(LEADS)))
    assert_same(columns(loaded.members(MEMBERS)), columns(space.members(MEMBERS)))
    assert (loaded.content(LEADS) != space.content(LEADS)).nnz == 0


def test_same_seed_gives_the_same_version_and_other_data_another() -> None:
    config = FeatureConfig(min_document_count=1)
    first = FeatureSpace.fit(MEMBERS, LEADS, config, seed=3)
    assert FeatureSpace.fit(MEMBERS, LEADS, config, seed=3).version == first.version
    changed = [replace(LEADS[0], title="幼儿园没有收费"), *LEADS[1:]]
    assert FeatureSpace.fit(MEMBERS, changed, config, seed=3).version != first.version


def test_nothing_at_all_works() -> None:
    space = FeatureSpace.fit((), (), FeatureConfig(), seed=0)
    assert len(space.leads([]).text) == 0
    assert not space.leads([Lead("a", title="收费")]).text.any()
    assert space.members([Member("m", sector="教育界")]).sector.tolist() == [-1]


def test_a_newer_format_is_refused(space: FeatureSpace, tmp_path: Path) -> None:
    space.save(tmp_path)
    manifest = json.loads((tmp_path / "features.json").read_text())
    (tmp_path / "features.json").write_text(json.dumps(manifest | {"format": 99}))
    with pytest.raises(DataError, match="format 99"):
        FeatureSpace.load(tmp_path)


@pytest.mark.parametrize("name", ["features.json", "term_hashes.npy"])
def test_a_missing_file_is_refused(space: FeatureSpace, tmp_path: Path, name: str) -> None:
    space.save(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(DataError, match="features in"):
        FeatureSpace.load(tmp_path)


def test_a_truncated_array_is_refused(space: FeatureSpace, tmp_path: Path) -> None:
    space.save(tmp_path)
    file = tmp_path / "text_components.npy"
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(DataError, match="features in"):
        FeatureSpace.load(tmp_path)


def test_a_manifest_that_is_no_object_is_refused(space: FeatureSpace, tmp_path: Path) -> None:
    space.save(tmp_path)
    (tmp_path / "features.json").write_text("[]")
    with pytest.raises(DataError, match="not an object"):
        FeatureSpace.load(tmp_path)
