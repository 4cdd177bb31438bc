"""Checksums of a bundle's files: what a manifest promises and a reader verifies."""

from __future__ import annotations

import hashlib
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from recsvc.model.manifest import MANIFEST

_THREADS = 4
_LOW_PRIORITY = 10
_PIECE_BYTES = 8 << 20
"""Read and hashed at a time, without the interpreter's lock. The thread comes back for it between
two pieces only: one of low priority that holds it while others have the processor holds all up."""


def checksums(folder: Path, gently: bool = False) -> dict[str, str]:
    """SHA-256 of each file but the manifest, by its path in the folder.

    `gently`: by one thread that takes what time others leave, beside requests that are answered.
    """
    paths = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != MANIFEST)
    start = _give_way if gently else None
    with ThreadPoolExecutor(1 if gently else _THREADS, initializer=start) as pool:
        digests = pool.map(_sha256, paths)
    return {p.relative_to(folder).as_posix(): d for p, d in zip(paths, digests, strict=True)}


def _give_way() -> None:
    """Lowers the priority of this thread alone: hashing holds no lock that others wait for."""
    if sys.platform == "linux":  # elsewhere a priority is that of a whole process
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOW_PRIORITY)


def _sha256(path: Path) -> str:
    found, piece = hashlib.sha256(), memoryview(bytearray(_PIECE_BYTES))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(piece):
            found.update(piece[:count])
    return found.hexdigest()
