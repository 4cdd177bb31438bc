"""The models folder: one bundle a folder, and which of them was published last.

    <models>/<tenant>/<model_id>/     a bundle
    <models>/<tenant>/PUBLISHED       the id of the newest bundle that passed the gate

A bundle is written under a hidden name, flushed, and renamed; `PUBLISHED` is replaced by a rename,
too. A reader sees the old state or the new one, never half of either.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from recsvc.errors import BundleError, BundleMissingError
from recsvc.model.bundle import Bundle, Manifest, read_bundle, read_manifest, write_bundle

PUBLISHED = "PUBLISHED"


@dataclass(frozen=True)
class ModelInfo:
    """A bundle in the folder; `problem` says why it cannot be used ("" when it can)."""

    model_id: str
    manifest: Manifest | None
    problem: str = ""


class ModelRegistry:
    """The bundles of one tenant."""

    def __init__(self, root: Path, tenant: str = "default") -> None:
        self.folder = root / tenant

    def publish(self, bundle: Bundle) -> Manifest:
        """Writes a bundle and makes it the published one; raises FileExistsError for a known id."""
        target = self.folder / bundle.manifest.model_id
        if target.exists():
            raise FileExistsError(f"{target} exists: a model id is used once")
        self.folder.mkdir(parents=True, exist_ok=True)
        draft = self.folder / f".{bundle.manifest.model_id}.{os.getpid()}"
        try:
            manifest = write_bundle(bundle, draft)
            _flush(draft)
            draft.rename(target)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        self.mark_published(bundle.manifest.model_id)
        return manifest

    def mark_published(self, model_id: str) -> None:
        """Names the published bundle."""
        draft = self.folder / f".{PUBLISHED}.{os.getpid()}"
        with draft.open("w") as file:
            file.write(model_id + "\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.folder / PUBLISHED)
        _flush_folder(self.folder)

    def published(self) -> str | None:
        """The id of the published bundle, None before the first one."""
        try:
            return (self.folder / PUBLISHED).read_text().strip() or None
        except FileNotFoundError:
            return None

    def models(self) -> list[ModelInfo]:
        """All bundles, oldest first; unusable ones with their problem."""
        if not self.folder.is_dir():
            return []
        found = []
        for path in self.folder.iterdir():
            if path.is_dir() and not path.name.startswith("."):
                try:
                    found.append(ModelInfo(path.name, read_manifest(path)))
                except BundleError as error:
                    found.append(ModelInfo(path.name, None, str(error)))
        return sorted(
            found, key=lambda m: (m.manifest.create_time if m.manifest else "", m.model_id)
        )

    def load(self, model_id: str, *, gently: bool = False) -> Bundle:
        """Reads and verifies a bundle (`gently`: see `read_bundle`); raises BundleError."""
        path = self.folder / model_id
        if Path(model_id).name != model_id or model_id.startswith("."):
            raise BundleMissingError(path)
        return read_bundle(path, gently=gently)

    def prune(self, keep: int, protected: frozenset[str] = frozenset()) -> list[str]:
        """Deletes all but the newest `keep` bundles, the published and the protected ones."""
        spared = protected | {self.published() or ""}
        removable = [m.model_id for m in self.models() if m.model_id not in spared]
        surplus = max(0, len(self.models()) - max(keep, 1))
        for model_id in removable[:surplus]:
            shutil.rmtree(self.folder / model_id)
        return removable[:surplus]


def _flush(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    _flush_folder(folder)


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
