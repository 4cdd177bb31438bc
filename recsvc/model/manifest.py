"""A bundle's manifest: what it is, where it comes from, and the checksums of its files."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from recsvc.errors import BundleCorruptError, BundleMissingError, BundleVersionError
from recsvc.model.terms import FEATURE_NAMES

FORMAT_VERSION = 1
MANIFEST = "manifest.json"


class InterestRule(NamedTuple):
    """How past events count toward interest: see `features.interest`."""

    half_life_days: float
    reference_time_us: int  # the time the training log ended; decay is measured from here
    has_times: bool


class Figure(msgspec.Struct, frozen=True):
    """A measured value; None where there was nothing to measure, or no interval."""

    name: str
    cohort: str = "all"
    count: int = 0
    value: float | None = None
    low: float | None = None
    high: float | None = None


class GateCheck(msgspec.Struct, frozen=True):
    """A condition of the gate, and the figures behind it."""

    name: str
    passed: bool
    detail: str = ""


class Quality(msgspec.Struct, frozen=True):
    """How good a bundle is, as training writes it; `primary` names the figure the gate compares."""

    primary: str | None = None
    figures: tuple[Figure, ...] = ()
    checks: tuple[GateCheck, ...] = ()
    calibrated: bool = False


class Manifest(msgspec.Struct, kw_only=True):
    """What a bundle is, as written to manifest.json."""

    format_version: int = FORMAT_VERSION
    model_id: str
    tenant: str = "default"
    create_time: str = ""
    training_window: tuple[str, str] = ("", "")
    revision: str = ""
    member_count: int = 0
    lead_count: int = 0
    event_count: int = 0
    vector_width: int = 0
    text_width: int = 0
    feature_names: tuple[str, ...] = FEATURE_NAMES
    feature_space_version: str = ""
    config_hash: str = ""
    embedding: str = ""  # names of the embedding models, joined by +
    interest: InterestRule = InterestRule(90.0, 0, False)
    metrics: dict[str, Any] = {}  # see `quality`; what a release does not know is kept
    files: dict[str, str] = {}  # relative path -> SHA-256
    checksum: str = ""  # SHA-256 of the manifest without this field

    @property
    def quality(self) -> Quality:
        """`metrics` as training writes them; nothing when they are of another shape."""
        try:
            return msgspec.convert(self.metrics, Quality)
        except msgspec.ValidationError:
            return Quality()


def write_manifest(manifest: Manifest, folder: Path) -> Manifest:
    """Writes the manifest, sealed; returns it as written."""
    content = msgspec.json.decode(msgspec.json.encode(manifest), type=dict[str, Any])
    manifest = msgspec.structs.replace(manifest, checksum=_own_checksum(content))
    (folder / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest)))
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a bundle's folder.

    Raises BundleMissingError, BundleVersionError or BundleCorruptError.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise BundleMissingError(folder)
    try:
        data = path.read_bytes()
        content = msgspec.json.decode(data, type=dict[str, Any])
        version = content.get("format_version")
        if version != FORMAT_VERSION:
            raise BundleVersionError(folder, version, FORMAT_VERSION)
        manifest = msgspec.json.decode(data, type=Manifest)
    except msgspec.MsgspecError as error:
        raise BundleCorruptError(folder, f"{MANIFEST}: {error}") from error
    if manifest.checksum != _own_checksum(content):
        raise BundleCorruptError(folder, f"{MANIFEST}: altered since it was published")
    if tuple(manifest.feature_names) != FEATURE_NAMES:
        raise BundleVersionError(folder, "other pair features", FORMAT_VERSION)
    return manifest


def _own_checksum(content: dict[str, Any]) -> str:
    """Of what the manifest's JSON says, so that fields added later do not change it."""
    kept = {key: value for key, value in content.items() if key != "checksum"}
    return hashlib.sha256(msgspec.json.encode(kept, order="deterministic")).hexdigest()
