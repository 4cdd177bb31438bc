"""The golden bundle of each format: today's code reads it, and answers what it answered then."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support.asking import golden_answers

from recsvc.errors import BundleCorruptError, BundleVersionError
from recsvc.model.bundle import FORMAT_VERSION, MANIFEST, read_bundle, read_manifest
from recsvc.model.snapshot import Snapshot

GOLDEN = Path(__file__).parent / "golden"
VERSIONS = sorted(int(p.name.removeprefix("bundle-")) for p in GOLDEN.glob("bundle-*"))


def test_every_format_up_to_this_one_has_its_golden_bundle() -> None:
    assert list(range(1, FORMAT_VERSION + 1)) == VERSIONS


@pytest.mark.parametrize("version", VERSIONS)
def test_a_golden_bundle_answers_what_it_answered_then(version: int) -> None:
    folder = GOLDEN / f"bundle-{version}"
    assert sum(p.stat().st_size for p in folder.rglob("*")) < 400_000
    found = golden_answers(read_bundle(folder))
    then = json.loads((GOLDEN / f"answers-{version}.json").read_text("utf-8"))
    assert found.keys() == then.keys()
    for question, items in then.items():
        assert len(items) == 8, question
        assert [i for i, _ in found[question]] == [i for i, _ in items], question
        scores = [score for _, score in items]
        assert [s for _, s in found[question]] == pytest.approx(scores, abs=1e-4)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy, to be damaged."""
    return shutil.copytree(GOLDEN / f"bundle-{VERSIONS[-1]}", tmp_path / "copy")


def files_of(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file())


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "one byte": lambda data: (
        data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :]
    ),
    "truncated": lambda data: data[:-1],
    "empty": lambda _: b"",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_to_any_file_is_found_and_the_file_named(folder: Path, damage: str) -> None:
    for path in files_of(folder):
        whole = path.read_bytes()
        path.write_bytes(DAMAGES[damage](whole))
        name = path.relative_to(folder).as_posix()
        with pytest.raises(BundleCorruptError) as caught:
            read_bundle(folder)
        assert name in str(caught.value)
        assert "roll back" in str(caught.value)
        path.write_bytes(whole)
    read_bundle(folder)


def test_a_newer_format_is_refused_for_what_it_is(folder: Path) -> None:
    content = json.loads((folder / MANIFEST).read_bytes())
    content["format_version"] = FORMAT_VERSION + 1
    (folder / MANIFEST).write_text(json.dumps(content))
    for read in (read_bundle, read_manifest):
        with pytest.raises(BundleVersionError) as caught:
            read(folder)
        assert f"made with format {FORMAT_VERSION + 1}" in str(caught.value)
        assert "upgrade recsvc, or train again with this release" in str(caught.value)


def test_a_server_that_runs_keeps_serving_what_it_read(folder: Path) -> None:
    """Its pages are mapped: a file replaced on disk is another file."""
    snapshot = Snapshot(read_bundle(folder))
    before = golden_answers(snapshot.bundle)
    for path in files_of(folder):
        path.with_suffix(".new").write_bytes(b"")
        path.with_suffix(".new").replace(path)
    assert golden_answers(snapshot.bundle) == before
