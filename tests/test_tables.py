"""Tables beside a bundle: what is read is what would be built, and anything else is built."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from msgspec import structs
from numpy.typing import NDArray
from support.worlds import shared_bundle

from recsvc.errors import BundleCorruptError
from recsvc.matching.pipeline import Pipeline
from recsvc.matching.queries import ListQuery
from recsvc.model.bundle import read_bundle, write_bundle
from recsvc.model.snapshot import WRITTEN, Snapshot, with_tables
from recsvc.model.tables import TABLES_VERSION, Tables


class Squares(NamedTuple):
    """Some table."""

    square: NDArray[np.int64]
    size: int


def squares() -> Squares:
    return Squares(np.arange(3) ** 2, 3)


class Halved(NamedTuple):
    """A table that says itself what is written of it."""

    whole: NDArray[np.int32]
    half: NDArray[np.int16]

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        return {"whole": self.whole}

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> Halved:
        return cls(arrays["whole"], arrays["whole"].view(np.int16))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small world's bundle with its tables."""
    folder = tmp_path_factory.mktemp("models") / "tables"
    write_bundle(with_tables(shared_bundle()), folder)
    return folder


def refuse() -> Any:
    raise AssertionError("built although it was written")


def test_what_was_remembered_is_found_again() -> None:
    tables = Tables()
    tables.get("squares", Squares, squares)
    assert tables.arrays == {}  # nobody asked to remember
    tables.remember()
    tables.get("squares", Squares, squares)
    found = Tables(tables.arrays).get("squares", Squares, refuse)
    assert found.square.tolist() == [0, 1, 4]
    assert found.size == 3
    assert type(found.size) is int


def test_a_table_of_other_fields_is_built() -> None:
    tables = Tables({"squares.square": np.arange(3), "squares.cube": np.arange(3)})
    assert tables.get("squares", Squares, squares).size == 3


def test_a_kind_may_say_what_is_written() -> None:
    tables = Tables()
    tables.remember()
    whole = np.array([1, 65537], np.int32)
    tables.get("halved", Halved, lambda: Halved(whole, whole.view(np.int16)))
    assert list(tables.arrays) == ["halved.whole"]
    assert Tables(tables.arrays).get("halved", Halved, refuse).half.tolist() == [1, 0, 1, 1]


@pytest.mark.parametrize("name", WRITTEN)
def test_written_tables_are_those_that_would_be_built(folder: Path, name: str) -> None:
    read = read_bundle(folder)
    assert any(key.startswith(f"{name}.") for key in read.tables.arrays)
    found, built = (getattr(Snapshot(b), name) for b in (read, shared_bundle()))
    assert type(found) is type(built)
    for field, ours, theirs in zip(built._fields, found, built, strict=True):
        np.testing.assert_array_equal(ours, theirs, err_msg=field)
        if isinstance(theirs, np.ndarray):
            assert (ours.dtype, ours.flags.c_contiguous) == (theirs.dtype, True), field


def test_lists_are_the_same_with_and_without(folder: Path) -> None:
    read, query = read_bundle(folder), ListQuery(count=20)
    member = read.member_ids.ids[0]
    when = read.manifest.interest.reference_time_us
    query = structs.replace(query, as_of_us=when)
    lists = [Pipeline(Snapshot(b)).recommend(member, query) for b in (read, shared_bundle())]
    assert lists[0] == lists[1]
    assert lists[0].items


def test_a_changed_bundle_has_no_tables(folder: Path) -> None:
    read = read_bundle(folder)
    assert read.tables.arrays
    assert not replace(read, conflicts=()).tables.arrays


def test_tables_of_another_version_are_not_read(folder: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    write_bundle(shared_bundle(), plain)
    assert not read_bundle(plain).tables.arrays
    assert read_bundle(folder).tables.arrays
    assert (folder / f"tables-{TABLES_VERSION}").is_dir()


def test_damaged_tables_are_noticed(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    path = next((copy / f"tables-{TABLES_VERSION}").glob("*.npy"))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(BundleCorruptError, match=path.name):
        read_bundle(copy)
