"""Writes the training part of a data set as a data set of its own."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.entities import DismissReason, EventKind
from features.events import EventLog
from training.logs import DataSet
from training.tables.files import find_files
from training.tables.schema import CONFLICTS, LEADS, MEMBERS, ORGANIZATIONS


def write_part(
    source: Path,
    target: Path,
    data: DataSet,
    kept: NDArray[np.bool_],
    *,
    without_leads: Collection[str] = (),
    without_columns: Collection[str] = (),
) -> None:
    """The tables of `source` with the `kept` events (bool[n]) of `data`, which was read from it.

    `without_leads`: ids that the part must not know; `without_columns`: of members and leads.
    """
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for table in (MEMBERS, LEADS, ORGANIZATIONS, CONFLICTS):
        for path in find_files(source, table):
            changed = without_columns or (without_leads and table is LEADS)
            if changed and path.name.endswith((".csv", ".csv.gz", ".parquet")):
                gone = without_leads if table is LEADS else ()
                _rewritten(path, target / f"{table.name}.parquet", gone, without_columns)
            else:
                _copied(path, source, target)
    events_table(data, data.events.select(kept)).write_parquet(target / "events.parquet")


def _copied(path: Path, source: Path, target: Path) -> None:
    copy = target / path.relative_to(source)
    copy.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, copy)


def _rewritten(path: Path, out: Path, gone: Collection[str], columns: Collection[str]) -> None:
    if path.name.endswith(".parquet"):
        frame = pl.read_parquet(path)
    else:
        frame = pl.read_csv(path, infer_schema=False)
    if gone:
        frame = frame.filter(~pl.col("lead_id").is_in(list(gone)))
    frame.drop([name for name in columns if name in frame.columns]).write_parquet(out)


def events_table(data: DataSet, events: EventLog) -> pl.DataFrame:
    """Events as the table of the data-set layout."""
    kinds = [None, *(kind.name for kind in EventKind)]
    reasons = [None, *(reason.name for reason in DismissReason if reason)]
    times = pl.Series(events.time_us).cast(pl.Datetime("us", "UTC"))
    frame = pl.DataFrame(
        {
            "kind": _named(kinds, events.kind),
            "time": times.dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ"),
            "member_id": _named(data.member_ids.ids, events.member),
            "lead_id": _named([None, *data.lead_ids.ids], events.lead + 1),
            "reason": _named(reasons, events.reason),
            "position": events.position,
            "propensity": events.propensity,
            "rating": events.rating,
            "wave": events.wave,
        }
    )
    return frame.with_columns(pl.col("propensity", "rating").fill_nan(None))


def _named(names: Sequence[str | None], rows: NDArray[np.integer]) -> pl.Series:
    return pl.Series(names, dtype=pl.String).gather(pl.Series(rows).cast(pl.UInt32))


def id_hash(identifier: str, seed: int) -> float:
    """A number in [0, 1) that depends on the id and the seed alone."""
    digest = hashlib.blake2b(identifier.encode(), digest_size=8, key=str(seed).encode()).digest()
    return int.from_bytes(digest, "big") / 2.0**64


def id_hashes(identifiers: Collection[str], seed: int) -> NDArray[np.float64]:
    """The hashes (float64[n]) of n ids."""
    return np.array([id_hash(identifier, seed) for identifier in identifiers])
