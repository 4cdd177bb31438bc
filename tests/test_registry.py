"""The models folder: a bundle is there whole or not at all, and one of them is published."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from support.worlds import tiny_bundle

from recsvc.errors import BundleCorruptError, BundleMissingError
from recsvc.model import registry as module
from recsvc.model.bundle import MANIFEST, Bundle
from recsvc.model.registry import PUBLISHED, ModelRegistry


def named(model_id: str, create_time: str = "") -> Bundle:
    bundle = tiny_bundle()
    manifest = msgspec.structs.replace(bundle.manifest, model_id=model_id, create_time=create_time)
    return replace(bundle, manifest=manifest)


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    return ModelRegistry(tmp_path, "hunan")


def test_an_empty_folder_has_no_models(registry: ModelRegistry) -> None:
    assert registry.published() is None
    assert registry.models() == []
    assert registry.prune(1) == []


def test_the_last_published_bundle_is_the_published_one(registry: ModelRegistry) -> None:
    first = registry.publish(named("a", "2025-01-01"))
    assert registry.published() == "a"
    registry.publish(named("b", "2025-01-02"))
    assert registry.published() == "b"
    assert registry.load("a").manifest == first
    assert [m.model_id for m in registry.models()] == ["a", "b"]
    assert all(m.manifest is not None and not m.problem for m in registry.models())
    registry.mark_published("a")
    assert registry.published() == "a"


def test_tenants_do_not_see_each_other(registry: ModelRegistry, tmp_path: Path) -> None:
    registry.publish(named("a"))
    other = ModelRegistry(tmp_path)
    assert other.published() is None
    assert other.models() == []
    with pytest.raises(BundleMissingError):
        other.load("a")


def test_a_model_id_is_used_once(registry: ModelRegistry) -> None:
    registry.publish(named("a"))
    with pytest.raises(FileExistsError, match="a model id is used once"):
        registry.publish(named("a"))
    assert registry.load("a")


def test_nothing_is_left_of_a_publish_that_failed(
    registry: ModelRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.publish(named("a"))

    def full_disk(_: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "_flush", full_disk)
    with pytest.raises(OSError, match="No space left"):
        registry.publish(named("b"))
    assert registry.published() == "a"
    assert sorted(p.name for p in registry.folder.iterdir()) == [PUBLISHED, "a"]


def test_a_damaged_bundle_is_listed_with_its_problem(registry: ModelRegistry) -> None:
    registry.publish(named("a", "2025-01-01"))
    registry.publish(named("b", "2025-01-02"))
    (registry.folder / "a" / MANIFEST).write_text("{")
    (registry.folder / "stray").mkdir()
    found = {m.model_id: m for m in registry.models()}
    assert list(found) == ["a", "stray", "b"]
    assert "damaged" in found["a"].problem
    assert "there is none" in found["stray"].problem
    assert found["a"].manifest is None
    assert found["b"].problem == ""
    with pytest.raises(BundleCorruptError):
        registry.load("a")


@pytest.mark.parametrize("name", ["", ".", "..", "../hunan", "a/../a", ".a.1", "a/", "/etc", "a\0"])
def test_only_names_of_models_are_loaded(registry: ModelRegistry, name: str) -> None:
    registry.publish(named("a"))
    with pytest.raises(BundleMissingError):
        registry.load(name)


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models a, b, c, d, the published one being b; not to be changed."""
    root = tmp_path_factory.mktemp("four")
    registry = ModelRegistry(root, "hunan")
    for at, model_id in enumerate("abcd"):
        registry.publish(named(model_id, f"2025-01-0{at + 1}"))
    registry.mark_published("b")
    return root


@pytest.mark.parametrize(
    ("keep", "protected", "gone"),
    [
        (4, frozenset(), []),
        (2, frozenset(), ["a", "c"]),
        (2, frozenset({"a"}), ["c", "d"]),
        (1, frozenset({"a", "c"}), ["d"]),
        (0, frozenset(), ["a", "c", "d"]),
    ],
)
def test_the_oldest_go_but_never_the_published_or_protected(
    four: Path, tmp_path: Path, keep: int, protected: frozenset[str], gone: list[str]
) -> None:
    registry = ModelRegistry(shutil.copytree(four, tmp_path / "copy"), "hunan")
    assert registry.prune(keep, protected) == gone
    assert [m.model_id for m in registry.models()] == sorted(set("abcd") - set(gone))
    assert registry.load("b")


def test_an_empty_mark_is_no_model(registry: ModelRegistry) -> None:
    registry.publish(named("a"))
    (registry.folder / PUBLISHED).write_text("\n")
    assert registry.published() is None
