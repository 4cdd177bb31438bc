"""Bundles: what is written is read, and what is not what was written is refused with a reason."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from support.changes import apply_steps
from support.describe import assert_same
from support.worlds import NOW_US, shared_bundle, tiny_bundle, tiny_dataset

from recsvc.errors import (
    BundleCorruptError,
    BundleError,
    BundleMissingError,
    BundleVersionError,
)
from recsvc.matching.pipeline import Pipeline
from recsvc.matching.queries import ListQuery
from recsvc.model.bundle import (
    FORMAT_VERSION,
    MANIFEST,
    Bundle,
    Manifest,
    Records,
    read_bundle,
    read_manifest,
    write_bundle,
)
from recsvc.model.snapshot import Snapshot


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small world's bundle on disk; not to be changed."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    write_bundle(shared_bundle(), folder)
    return folder


@pytest.fixture
def folder(published: Path, tmp_path: Path) -> Path:
    """A copy of it, to be damaged."""
    return shutil.copytree(published, tmp_path / "copy")


def test_what_was_written_is_read(published: Path) -> None:
    found = read_bundle(published)
    assert found.manifest.files
    original = shared_bundle()
    for part in ("members", "leads", "history", "ranker", "calibration", "context"):
        ours, theirs = getattr(found, part), getattr(original, part)
        for name, a, b in zip(ours._fields, ours, theirs, strict=True):
            np.testing.assert_array_equal(a, b, err_msg=f"{part}.{name}")
    assert found.member_ids.ids == original.member_ids.ids
    assert found.lead_ids.ids == original.lead_ids.ids
    assert found.organizations == original.organizations
    assert found.organization_ids == original.organization_ids
    assert found.conflicts == original.conflicts
    assert found.space.version == original.space.version
    for row in (0, 7, 39):
        assert found.member_records[row] == original.member_records[row]
        assert found.lead_records[row] == original.lead_records[row]
    assert_same(Snapshot(found), Snapshot(original), atol=0.0)


def test_a_read_bundle_answers_as_the_one_in_memory(published: Path) -> None:
    ours, theirs = (
        Pipeline(Snapshot(b), clock=lambda: NOW_US) for b in (read_bundle(published), tiny_bundle())
    )
    query = ListQuery(count=20, with_terms=True)
    for member_id in tiny_dataset().member_ids:
        a, b = ours.recommend(member_id, query), theirs.recommend(member_id, query)
        assert [(i.id, i.score, i.reasons) for i in a.items] == [
            (i.id, i.score, i.reasons) for i in b.items
        ]
    draft = tiny_dataset().leads[3]
    a, b = (p.match(replace(draft, lead_id=""), query) for p in (ours, theirs))
    assert [(i.id, i.score) for i in a.items] == [(i.id, i.score) for i in b.items]


def test_changes_stay_in_memory(folder: Path) -> None:
    """Copy-on-write: what a worker changes is its own."""
    snapshot = Snapshot(read_bundle(folder))
    apply_steps(snapshot, tiny_dataset().leads[0], *tiny_dataset().members[:3])
    snapshot.leads.base.exposures[:] = 99.0
    snapshot.leads.base.alive[:] = 0
    again = read_bundle(folder)
    assert again.leads.exposures.max() < 99.0
    assert again.leads.alive.all()


def test_the_same_bundle_has_the_same_bytes(published: Path, tmp_path: Path) -> None:
    manifest = write_bundle(tiny_bundle(), tmp_path / "again")
    assert manifest == read_manifest(published)
    for name in (*manifest.files, MANIFEST):
        assert (tmp_path / "again" / name).read_bytes() == (published / name).read_bytes()


def test_a_bundle_is_never_written_over_another(published: Path) -> None:
    with pytest.raises(FileExistsError):
        write_bundle(shared_bundle(), published)


def files_of(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file())


def flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def test_every_byte_of_the_manifest_counts(folder: Path) -> None:
    """But for the blanks that only make it readable."""
    path = folder / MANIFEST
    whole = path.read_bytes()
    for at in range(0, len(whole), 23):
        if not whole[at : at + 1].isspace():
            path.write_bytes(flip(whole, at))
            with pytest.raises(BundleError):
                read_manifest(folder)


def test_a_missing_and_an_additional_file_are_named(folder: Path) -> None:
    (folder / "leads" / "vector.npy").rename(folder / "leads" / "other.npy")
    with pytest.raises(BundleCorruptError, match=r"leads/other.npy, leads/vector.npy"):
        read_bundle(folder)


def test_no_manifest_is_no_bundle(folder: Path, tmp_path: Path) -> None:
    (folder / MANIFEST).unlink()
    for path in (folder, tmp_path / "nowhere"):
        with pytest.raises(BundleMissingError, match="there is none; train one"):
            read_bundle(path)


def rewrite(folder: Path, **changed: Any) -> None:
    content = json.loads((folder / MANIFEST).read_bytes())
    (folder / MANIFEST).write_text(json.dumps(content | changed))


@pytest.mark.parametrize("version", [FORMAT_VERSION + 1, 0, None, "1"])
def test_another_format_is_told_from_damage(folder: Path, version: object) -> None:
    rewrite(folder, format_version=version)
    with pytest.raises(BundleVersionError, match="upgrade recsvc, or train again"):
        read_bundle(folder)


def test_other_pair_features_need_another_model(folder: Path) -> None:
    bundle = tiny_bundle()
    names = (*bundle.manifest.feature_names[:-1], "horoscope")
    other = msgspec.structs.replace(bundle.manifest, model_id="other", feature_names=names)
    write_bundle(replace(bundle, manifest=other), folder.parent / "other")
    with pytest.raises(BundleVersionError, match="other pair features"):
        read_bundle(folder.parent / "other")


@pytest.mark.parametrize("text", [b"", b"[]", b"{", b'"x"', b"{}", b"\xff\xfe", b"null"])
def test_what_is_no_manifest_is_refused(folder: Path, text: bytes) -> None:
    (folder / MANIFEST).write_bytes(text)
    with pytest.raises(BundleError):
        read_bundle(folder)


def resealed(folder: Path, change: Callable[[Path], None]) -> None:
    """A bundle whose checksums are right although what they seal is not."""
    change(folder)
    bundle_files = {p.relative_to(folder).as_posix() for p in files_of(folder)}
    content = json.loads((folder / MANIFEST).read_bytes())
    content["files"] = {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in sorted(bundle_files - {MANIFEST})
    }
    kept = {k: v for k, v in content.items() if k != "checksum"}
    sealed = msgspec.json.encode(kept, order="deterministic")
    content["checksum"] = hashlib.sha256(sealed).hexdigest()
    (folder / MANIFEST).write_text(json.dumps(content))


def test_a_bundle_with_a_file_too_few_is_refused_although_sealed(folder: Path) -> None:
    resealed(folder, lambda path: (path / "leads" / "vector.npy").unlink())
    with pytest.raises(BundleCorruptError, match="vector"):
        read_bundle(folder)


def test_features_of_another_release_are_refused_with_their_reason(folder: Path) -> None:
    def change(path: Path) -> None:
        settings = json.loads((path / "features" / "features.json").read_bytes())
        (path / "features" / "features.json").write_text(json.dumps(settings | {"format": 99}))

    resealed(folder, change)
    with pytest.raises(BundleError, match="format 99"):
        read_bundle(folder)


def test_a_manifest_may_say_more_than_this_release_knows(folder: Path) -> None:
    """A later release of the same format may add fields: they are sealed, and left alone."""
    content = json.loads((folder / MANIFEST).read_bytes())
    (folder / MANIFEST).write_text(json.dumps(content | {"mood": "sunny"}))
    with pytest.raises(BundleCorruptError, match="altered"):
        read_bundle(folder)
    resealed(folder, lambda _: None)
    assert read_manifest(folder).model_id == "tiny"


def test_records_are_byte_strings_by_row() -> None:
    records = Records.pack([b"one", b"", "三".encode()])
    assert [records[i] for i in range(3)] == [b"one", b"", "三".encode()]


def test_a_model_without_content_map_is_read_without_one(tmp_path: Path) -> None:
    bundle: Bundle = replace(tiny_bundle(), content_map=None)
    write_bundle(bundle, tmp_path / "bare")
    found = read_bundle(tmp_path / "bare")
    assert found.content_map is None
    vectors = Snapshot(found).read_leads([tiny_dataset().leads[0]]).vectors
    np.testing.assert_array_equal(vectors, -found.fold_in.lead_mean[None])


def test_metrics_of_any_shape_keep_the_manifest_whole(tmp_path: Path) -> None:
    metrics = {"a": [1, 2.5, None, True, {"中": 1e-9}], "nan": float("nan")}
    manifest = Manifest(model_id="x", metrics=metrics)
    write_bundle(replace(tiny_bundle(), manifest=manifest), tmp_path / "x")
    assert read_manifest(tmp_path / "x").metrics == {"a": metrics["a"], "nan": None}
