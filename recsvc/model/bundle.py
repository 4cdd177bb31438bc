"""A model bundle: one folder of plain arrays, JSON and a manifest with checksums.

    <model>/manifest.json   format version, provenance, metrics, SHA-256 of every file and of itself
    <model>/members|leads/  columns, ids, records (as the store keeps them)
    <model>/history/        the training log, grouped
    <model>/neighbours/     which leads go together
    <model>/features/       the frozen feature space
    <model>/embedding/      fold-in rule and content map
    <model>/ranker/         additive tables, calibration, term context
    <model>/catalog.json    organizations and conflicts
    <model>/tables-1/       what searches read, worked out of all this; see `recsvc.model.tables`

Arrays are `.npy`, read with `allow_pickle=False` and memory-mapped copy-on-write, so that workers
share the pages they do not change. Publishing is one rename; see `recsvc.model.registry`.
"""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from features.entities import Conflict, Organization
from features.errors import DataError
from features.extract import FeatureSpace
from features.vocabulary import Vocabulary, pack_bytes
from recsvc.errors import BundleCorruptError, BundleError
from recsvc.model.additive import AdditiveModel, Calibration
from recsvc.model.arrays import LeadColumns, MemberColumns, Widths
from recsvc.model.checksums import checksums
from recsvc.model.content_map import ContentMap
from recsvc.model.foldin import FoldIn
from recsvc.model.history import BaseHistory
from recsvc.model.manifest import (
    FORMAT_VERSION,
    MANIFEST,
    InterestRule,
    Manifest,
    read_manifest,
    write_manifest,
)
from recsvc.model.neighbours import Neighbours
from recsvc.model.tables import TABLES_VERSION, Tables
from recsvc.model.terms import TermContext

__all__ = [
    "FORMAT_VERSION",
    "MANIFEST",
    "Bundle",
    "InterestRule",
    "Manifest",
    "Records",
    "read_bundle",
    "read_by_row",
    "read_manifest",
    "write_bundle",
]

_TABLES = f"tables-{TABLES_VERSION}"

Arrays = dict[str, NDArray[Any]]
Tuple = TypeVar("Tuple", bound=tuple[Any, ...])


@dataclass(frozen=True)
class Records:
    """JSON records by row, decoded only when somebody asks."""

    data: NDArray[np.uint8]
    offsets: NDArray[np.int64]

    @classmethod
    def pack(cls, blobs: list[bytes]) -> Records:
        """Records of n byte strings."""
        return cls(*pack_bytes(blobs))

    def __getitem__(self, row: int) -> bytes:
        return self.data[self.offsets[row] : self.offsets[row + 1]].tobytes()


@dataclass(frozen=True)
class Bundle:
    """Everything a worker needs to serve a model; arrays may be memory-mapped."""

    manifest: Manifest
    space: FeatureSpace
    member_ids: Vocabulary
    members: MemberColumns
    member_records: Records
    lead_ids: Vocabulary
    leads: LeadColumns
    lead_records: Records
    history: BaseHistory
    neighbours: Neighbours
    fold_in: FoldIn
    content_map: ContentMap | None
    ranker: AdditiveModel
    calibration: Calibration
    context: TermContext
    organization_ids: tuple[str, ...] = ()  # by row of the columns, with those that are only named
    organizations: tuple[Organization, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    # Not carried over by `replace`: they are of these very columns.
    tables: Tables = field(init=False, default_factory=Tables, compare=False)

    @property
    def widths(self) -> Widths:
        """Embedding and text dimensions."""
        return Widths(self.members.vector.shape[1], self.members.text.shape[1])


class _Catalog(msgspec.Struct):
    organization_ids: list[str] = []
    organizations: list[Organization] = []
    conflicts: list[Conflict] = []


def write_bundle(bundle: Bundle, folder: Path) -> Manifest:
    """Writes all files into a new `folder`, the manifest last; returns the manifest as written."""
    folder.mkdir(parents=True)
    _write(folder / "members", bundle.members._asdict())
    _write(folder / "leads", bundle.leads._asdict())
    for part, ids, records in (
        ("members", bundle.member_ids, bundle.member_records),
        ("leads", bundle.lead_ids, bundle.lead_records),
    ):
        names, starts = ids.to_arrays()
        extra = {"records": records.data, "record_offsets": records.offsets}
        _write(folder / part, {"ids": names, "id_offsets": starts} | extra)
    _write(folder / "history", bundle.history._asdict())
    _write(folder / "neighbours", bundle.neighbours._asdict())
    _write(folder / "embedding", bundle.fold_in.to_arrays(), "fold_in.")
    if bundle.content_map is not None:
        _write(folder / "embedding", bundle.content_map.to_arrays(), "content_map.")
    _write(folder / "ranker", bundle.ranker._asdict(), "model.")
    _write(folder / "ranker", bundle.calibration._asdict(), "calibration.")
    _write(folder / "ranker", bundle.context._asdict(), "context.")
    bundle.space.save(folder / "features")
    if bundle.tables.arrays:
        _write(folder / _TABLES, bundle.tables.arrays)
    catalog = _Catalog(
        list(bundle.organization_ids), list(bundle.organizations), list(bundle.conflicts)
    )
    (folder / "catalog.json").write_bytes(msgspec.json.encode(catalog))
    manifest = msgspec.structs.replace(bundle.manifest, files=checksums(folder))
    return write_manifest(manifest, folder)


def read_bundle(folder: Path, *, gently: bool = False) -> Bundle:
    """Reads and verifies a bundle; `gently` in this thread alone, beside those that answer.

    Raises BundleMissingError, BundleVersionError (newer format or other features),
    BundleCorruptError (a file is missing, truncated or altered) or plain BundleError (features that
    this installation cannot read).
    """
    manifest = read_manifest(folder)
    if gently:
        _verify(folder, manifest, checksums(folder, gently))
        return _read_checked(folder, manifest)
    with ThreadPoolExecutor(2) as apart:
        # Reading is the interpreter's work, hashing is not: the two take as long as one.
        sums = apart.submit(checksums, folder)
        reading = apart.submit(_read_checked, folder, manifest)
        _verify(folder, manifest, sums.result())
    return reading.result()


def _verify(folder: Path, manifest: Manifest, found: dict[str, str]) -> None:
    if found != manifest.files:
        raise BundleCorruptError(folder, _difference(found, manifest.files))


def _read_checked(folder: Path, manifest: Manifest) -> Bundle:
    try:
        return _read(folder, manifest)
    except DataError as error:
        raise BundleError(folder, str(error)) from error
    except (OSError, ValueError, KeyError, TypeError, msgspec.MsgspecError) as error:
        raise BundleCorruptError(folder, str(error)) from error


def _read(folder: Path, manifest: Manifest) -> Bundle:
    members, leads = (_load(folder / part, by_row=True) for part in ("members", "leads"))
    embedding, ranker = _load(folder / "embedding"), _load(folder / "ranker")
    content = _select(embedding, "content_map.")
    catalog = msgspec.json.decode((folder / "catalog.json").read_bytes(), type=_Catalog)
    bundle = Bundle(
        manifest=manifest,
        space=FeatureSpace.load(folder / "features"),
        member_ids=Vocabulary.from_arrays(members["ids"], members["id_offsets"]),
        members=_named(MemberColumns, members),
        member_records=Records(members["records"], members["record_offsets"]),
        lead_ids=Vocabulary.from_arrays(leads["ids"], leads["id_offsets"]),
        leads=_named(LeadColumns, leads),
        lead_records=Records(leads["records"], leads["record_offsets"]),
        history=_named(BaseHistory, _load(folder / "history")),
        neighbours=_named(Neighbours, _load(folder / "neighbours")),
        fold_in=FoldIn.from_arrays(_select(embedding, "fold_in.")),
        content_map=ContentMap.from_arrays(content) if content else None,
        ranker=_named(AdditiveModel, _select(ranker, "model.")),
        calibration=_named(Calibration, _select(ranker, "calibration.")),
        context=_named(TermContext, _select(ranker, "context.")),
        organization_ids=tuple(catalog.organization_ids),
        organizations=tuple(catalog.organizations),
        conflicts=tuple(catalog.conflicts),
    )
    bundle.tables.arrays |= _load(folder / _TABLES)
    return bundle


def _write(folder: Path, arrays: Mapping[str, Any], prefix: str = "") -> None:
    folder.mkdir(exist_ok=True)
    for name, array in arrays.items():
        np.save(folder / f"{prefix}{name}.npy", np.asarray(array, order="C"), allow_pickle=False)


def _load(folder: Path, *, by_row: bool = False) -> Arrays:
    """All arrays of a folder, memory-mapped copy-on-write; `by_row`: see `read_by_row`."""
    return {
        path.name.removesuffix(".npy"): _mapped(path, by_row)
        for path in sorted(folder.glob("*.npy"))
    }


def _mapped(path: Path, by_row: bool) -> NDArray[Any]:
    array = np.load(path, mmap_mode="c", allow_pickle=False)
    if by_row:
        read_by_row(array)
    return np.asarray(array)


def read_by_row(mapped: Any) -> None:
    """Says of a `numpy.memmap` that its rows are read here and there.

    Then a page that is not in memory is read by itself, without the 31 after it: the columns of a
    country are larger than most memories.
    """
    if hasattr(mmap, "MADV_RANDOM"):
        mapped._mmap.madvise(mmap.MADV_RANDOM)


def _select(arrays: Arrays, prefix: str) -> Arrays:
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


def _named(kind: type[Tuple], arrays: Arrays) -> Tuple:
    """A NamedTuple from arrays by field name; a 0-d array becomes a number.

    What a bundle does not have is what the kind says of it.
    """
    fields = [f for f in kind._fields if f in arrays or f not in kind._field_defaults]  # type: ignore[attr-defined]
    return kind(**{f: arrays[f] if arrays[f].ndim else arrays[f].item() for f in fields})


def _difference(found: dict[str, str], expected: dict[str, str]) -> str:
    names = found.keys() | expected.keys()
    changed = sorted(name for name in names if found.get(name) != expected.get(name))
    return f"{', '.join(changed[:3])}: missing, truncated or altered since it was published"
