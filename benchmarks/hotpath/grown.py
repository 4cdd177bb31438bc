"""A province grown to the size of a country: more rows of the same bundle, the same parameters.

Training on 3.4 million members would take a day; what serving costs depends on the columns. Row i
of the grown table is made from row i mod n of the trained one: the first n rows stay as they are, a
copy blends the vectors of its row with a fifth of those of another row drawn at random (so that it
lies where real rows lie, and nothing ties), moves a few kilometres and some days, and gets an id
and key of its own. Copies have no history: their masks are those of state, jurisdiction, authorship
and recusal. Ranker, calibration, organizations and conflicts stay.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from benchmarks.hotpath.worlds import SEED, TENANT, Step, World
from features.errors import RecsvcError
from features.vocabulary import Vocabulary
from recsvc.matching.prepare import make_lead_lists, prepared
from recsvc.model.arrays import F32, I64, LeadColumns, MemberColumns, stable_key
from recsvc.model.bundle import Bundle, Records, read_by_row
from recsvc.model.registry import ModelRegistry
from recsvc.model.snapshot import Snapshot, with_tables

LISTED_LEADS = 4_000
_OTHER_SHARE = 0.2
_MOVED_KM, _EARTH_KM = 3.0, 6371.0
_MOVED_US = 30 * 86_400_000_000
_BLENDED = ("vector", "text", "interest_text")
_PLACES = (
    "latitude_rad",
    "longitude_rad",
    "activity_latitude_rad",
    "activity_longitude_rad",
)
Array = NDArray[Any]


def grown_models(world: World, members: int, leads: int, step: Step = lambda _: None) -> Path:
    """A models folder with the world's bundle grown to so many rows, kept beside it."""
    folder = world.models / f"grown-{members}-{leads}"
    registry = ModelRegistry(folder, TENANT)
    try:
        registry.load(registry.published() or "")
    except RecsvcError:
        step(f"growing to {members:,} members and {leads:,} leads")
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder) as scratch:
            bundle = grow(world.bundle(), members, leads, SEED, Path(scratch))
            registry.publish(_prepared(bundle, many=members > world.size.members, step=step))
    return folder


def _prepared(bundle: Bundle, *, many: bool, step: Step) -> Bundle:
    """What training would publish. For millions of members, which take hours, only the leads that
    are asked about there are listed: the newest.
    """
    threads = os.cpu_count() or 1
    if not many:
        return prepared(bundle, threads)
    made = with_tables(bundle)
    step(f"listing members for {LISTED_LEADS:,} leads")
    made.tables.put("lead_lists", make_lead_lists(made, threads, most=LISTED_LEADS))
    return made


def listed_leads(bundle: Bundle) -> list[str]:
    """The ids of the leads whose members are listed, of all leads where none are."""
    lists = Snapshot(bundle).lead_lists
    ids = bundle.lead_ids.ids
    return list(ids) if lists is None else [ids[i] for i in np.flatnonzero(lists.row[:, 0] >= 0)]


def grow(
    bundle: Bundle, members: int, leads: int, seed: int, scratch: Path | None = None
) -> Bundle:
    """A bundle with so many rows, at least as many as it has.

    Columns lie in files in `scratch`, for as long as the bundle is used, so that they may be larger
    than the memory; in memory without one.
    """
    rng = np.random.default_rng(seed)
    member_ids = _ids(bundle.member_ids, members)
    lead_ids = _ids(bundle.lead_ids, leads)
    history = bundle.history._replace(
        member_start=_extended(bundle.history.member_start, members + 1),
        lead_start=_extended(bundle.history.lead_start, leads + 1),
    )
    neighbours = bundle.neighbours._replace(start=_extended(bundle.neighbours.start, leads + 1))
    manifest = structs.replace(
        bundle.manifest, model_id="grown", member_count=members, lead_count=leads
    )
    return replace(
        bundle,
        manifest=manifest,
        member_ids=member_ids,
        members=_grown(bundle.members, member_ids, rng, scratch),
        member_records=_repeated(bundle.member_records, members),
        lead_ids=lead_ids,
        leads=_grown(bundle.leads, lead_ids, rng, scratch),
        lead_records=_repeated(bundle.lead_records, leads),
        history=history,
        neighbours=neighbours,
    )


def _ids(ids: Vocabulary, count: int) -> Vocabulary:
    base = ids.ids
    copies = (f"{base[row % len(base)]}-{row // len(base)}" for row in range(len(base), count))
    return Vocabulary([*base, *copies])


def _grown(columns: Any, ids: Vocabulary, rng: np.random.Generator, scratch: Path | None) -> Any:
    """Columns (members or leads) of as many rows as there are ids."""
    base_count, count = len(columns.alive), len(ids)
    grown: dict[str, Array] = {}
    for name, column in columns._asdict().items():
        path = None if scratch is None else scratch / f"{type(columns).__name__}-{name}.npy"
        wide = _empty(path, column.dtype, (count, *column.shape[1:]))
        for start in range(0, count, base_count):
            part = wide[start : start + base_count]
            part[:] = column[: len(part)]
            if start:
                _move(name, part, rng)
        if name in _BLENDED:
            _blend(wide, base_count, rng)
        elif name == "key":
            wide[base_count:] = [stable_key(i) for i in ids.ids[base_count:]]
        grown[name] = wide
    kind: Callable[..., LeadColumns | MemberColumns] = type(columns)
    return kind(**grown)


def _empty(path: Path | None, dtype: Any, shape: tuple[int, ...]) -> Array:
    """An array in a file, or in memory: without a path, and where there is nothing to write."""
    if path is None or 0 in shape:
        return np.empty(shape, dtype)
    array = np.lib.format.open_memmap(path, "w+", dtype, shape)
    read_by_row(array)
    return np.asarray(array)


def _move(name: str, part: Array, rng: np.random.Generator) -> None:
    """Some kilometres or days, in place."""
    if name in _PLACES:
        part += rng.normal(0.0, _MOVED_KM / _EARTH_KM, part.shape).astype(np.float32)
    elif name == "create_time_us":
        part -= rng.integers(0, _MOVED_US, len(part)) * (part > 0)


def _blend(rows: F32, base_count: int, rng: np.random.Generator) -> None:
    """Each copy turns a little towards another row and keeps its length; a piece at a time."""
    for start in range(base_count, len(rows), base_count):
        part = rows[start : start + base_count]
        length = np.linalg.norm(part, axis=1, keepdims=True)
        other = rows[rng.integers(0, base_count, len(part))]
        part *= 1 - _OTHER_SHARE
        part += _OTHER_SHARE * other
        now = np.linalg.norm(part, axis=1, keepdims=True)
        part *= np.divide(length, now, out=np.zeros_like(now), where=now > 0)


def _repeated(records: Records, count: int) -> Records:
    """The records of n rows again and again, until there are so many."""
    base_count = len(records.offsets) - 1
    whole, rest = divmod(count, base_count)
    end = int(records.offsets[rest])
    data = np.concatenate([*[records.data] * whole, records.data[:end]])
    size = int(records.offsets[-1])
    starts = [records.offsets[:-1] + size * turn for turn in range(whole)]
    offsets = np.concatenate([*starts, records.offsets[: rest + 1] + size * whole])
    return Records(data, offsets.astype(np.int64))


def _extended(starts: I64, count: int) -> I64:
    """Rows that were added have nothing."""
    return np.concatenate([starts, np.full(count - len(starts), starts[-1], np.int64)])
