"""Checksums of a bundle's files: what a manifest promises and a reader verifies."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from recsvc.model.manifest import MANIFEST

_THREADS = 4
_PIECE_BYTES = 1 << 20
"""Read and hashed at a time, without the interpreter's lock: most of a millisecond."""


def checksums(folder: Path, gently: bool = False) -> dict[str, str]:
    """SHA-256 of each file but the manifest, by its path in the folder.

    `gently`: by this thread alone, whose pace somebody may have set, not by several.
    """
    paths = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != MANIFEST)
    if gently:
        digests = [_sha256(path) for path in paths]
    else:
        with ThreadPoolExecutor(_THREADS) as pool:
            digests = list(pool.map(_sha256, paths))
    return {p.relative_to(folder).as_posix(): d for p, d in zip(paths, digests, strict=True)}


def _sha256(path: Path) -> str:
    found, piece = hashlib.sha256(), memoryview(bytearray(_PIECE_BYTES))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(piece):
            found.update(piece[:count])
    return found.hexdigest()
