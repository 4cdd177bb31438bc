"""Checksums: the same whoever takes them, and gently without slowing its process."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import pytest

from recsvc.model import checksums as module
from recsvc.model.checksums import checksums
from recsvc.model.manifest import MANIFEST


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "deep").mkdir()
    (tmp_path / "a.npy").write_bytes(b"a" * 5_000_000)
    (tmp_path / "deep" / "b.json").write_bytes(b"{}")
    (tmp_path / MANIFEST).write_bytes(b"not part of it")
    return tmp_path


@pytest.mark.parametrize("gently", [False, True])
def test_each_file_but_the_manifest_has_its_sum(folder: Path, gently: bool) -> None:
    assert checksums(folder, gently) == {
        "a.npy": hashlib.sha256(b"a" * 5_000_000).hexdigest(),
        "deep/b.json": hashlib.sha256(b"{}").hexdigest(),
    }


def test_gently_is_in_this_thread_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    read = module._sha256

    def watched(path: Path) -> str:
        seen.append(threading.get_ident())
        return read(path)

    monkeypatch.setattr(module, "_sha256", watched)
    gentle = checksums(folder, gently=True)
    assert set(seen) == {threading.get_ident()}
    seen.clear()
    assert checksums(folder) == gentle
    assert threading.get_ident() not in seen
