"""Tables in two segments behave like one dict of rows, whatever was moved, deleted or revived."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from features.vocabulary import Vocabulary
from recsvc.model.arrays import LeadColumns, Widths, empty_leads
from recsvc.model.segments import Table

WIDTHS = Widths(vector=2, text=1)
BASE_IDS = tuple(f"b{i}" for i in range(5))
IDS = (*BASE_IDS, "n0", "n1", "n2")


def make_table(base_ids: tuple[str, ...] = BASE_IDS) -> Table[LeadColumns]:
    base = empty_leads(len(base_ids), WIDTHS)
    base.events[:] = np.arange(len(base_ids))
    base.vector[:, 0] = np.arange(len(base_ids))
    return Table(
        base,
        Vocabulary(base_ids),
        lambda row: f"record {base_ids[row]}".encode(),
        lambda count: empty_leads(count, WIDTHS),
    )


@dataclass
class Model:
    """What a row should hold."""

    record: bytes
    events: float
    vector: float
    alive: bool = True


def model_of_base() -> dict[str, Model]:
    return {i: Model(f"record {i}".encode(), n, n) for n, i in enumerate(BASE_IDS)}


identifiers = st.sampled_from(IDS)
operations = st.lists(
    st.one_of(
        st.tuples(st.just("upsert"), identifiers, st.integers(0, 99)),
        st.tuples(st.just("move"), identifiers, st.just(0)),
        st.tuples(st.just("delete"), identifiers, st.just(0)),
        st.tuples(st.just("count"), identifiers, st.integers(1, 9)),
        st.tuples(st.just("record"), identifiers, st.integers(0, 99)),
    ),
    max_size=40,
)


def apply(table: Table[LeadColumns], model: dict[str, Model], op: str, who: str, n: int) -> None:
    known = model.get(who)
    living = known is not None and known.alive
    if op == "upsert":
        record = f"{who} {n}".encode()
        row = table.move_to_tail(who, record)
        columns, local = table.locate(row)
        columns.vector[local, 0] = n
        model[who] = Model(record, known.events if known else 0.0, n)
    elif op == "move" and known is not None:
        table.move_to_tail(who)
        known.alive = True
    elif op == "delete":
        table.delete(who)
        if known is not None:
            known.alive = False
    elif op == "count" and known is not None:
        columns, local = table.locate(table.last_row(who))
        columns.events[local] += n
        known.events += n
    elif op == "record" and known is not None and living:
        known.record = f"{who} replaced {n}".encode()
        table.replace_record(table.row(who), known.record)


def check(table: Table[LeadColumns], model: dict[str, Model]) -> None:
    for who in IDS:
        expected = model.get(who)
        row = table.last_row(who)
        assert (row >= 0) == (expected is not None)
        if expected is None:
            assert table.row(who) == -1
            continue
        assert table.row(who) == (row if expected.alive else -1)
        assert table.identifier(row) == who
        assert table.record(row) == expected.record
        columns, local = table.locate(row)
        assert columns.events[local] == expected.events
        assert columns.vector[local, 0] == expected.vector
    assert set(table.identifiers()) == {i for i, m in model.items() if m.alive}
    for base_row, who in enumerate(BASE_IDS):
        assert table.current(base_row) == table.last_row(who)


@given(operations)
def test_a_table_is_a_dict_of_rows(steps: list[tuple[str, str, int]]) -> None:
    table, model = make_table(), model_of_base()
    for op, who, n in steps:
        apply(table, model, op, who, n)
        check(table, model)
    starts = [start for start, _ in table.segments()]
    assert sum(len(columns.alive) for _, columns in table.segments()) == len(table)
    assert starts == ([0, 5] if table.tail_count else [0])


def test_a_moved_base_row_is_dead_and_alive_in_one_place_only() -> None:
    table = make_table()
    row = table.move_to_tail("b3")
    assert row == 5
    assert table.base.alive.tolist() == [1, 1, 1, 0, 1]
    assert table.tail.alive.tolist() == [1]


def test_a_tail_grows_beyond_its_first_storage_and_keeps_its_rows() -> None:
    table = make_table(())
    assert list(table.segments()) == []
    for i in range(200):
        row = table.move_to_tail(f"x{i}", str(i).encode())
        table.tail.events[row] = i
    assert len(table) == 200
    assert table.tail.events.tolist() == list(range(200))
    assert [table.record(table.row(f"x{i}")) for i in (0, 63, 64, 199)] == [
        b"0",
        b"63",
        b"64",
        b"199",
    ]


def test_an_unknown_id_is_deleted_in_silence() -> None:
    table = make_table()
    table.delete("nobody")
    assert len(list(table.identifiers())) == 5
