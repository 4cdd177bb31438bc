"""Records that only compiled code looks inside: many arrays, handed over as one.

A compiled function takes 0.2 µs to unpack each array it is given, and a scan or a ranking reads
eighty or ninety: a record is unpacked once, when it is made, and costs 1 µs a call.

What compiled code reads of a record is borrowed: whoever calls holds the record, so that nobody
need count references to its arrays (see `borrowed`).
"""

from __future__ import annotations

from typing import Any

from numba import types
from numba.experimental import structref
from numba.extending import lower_getattr

from recsvc.model.borrowed import without_count


class RecordType(types.StructRef):
    """Base of the types of records."""

    def preprocess_fields(self, fields: Any) -> Any:
        """Fields are of general types."""
        return tuple((name, types.unliteral(kind)) for name, kind in fields)  # type: ignore[no-untyped-call]


class Record(structref.StructRefProxy):
    """Base of the records; the arrays they are made of stay where they are."""

    # The slot itself: the property over it is asked for twice a call.
    _numba_type_ = structref.StructRefProxy.__dict__["_type"]


def define(record: type[Record], kind: type[RecordType]) -> None:
    """Lets compiled code make a record out of its annotated fields, take it and read it."""
    fields = list(record.__annotations__)
    structref.register(kind)  # type: ignore[no-untyped-call]
    structref.define_boxing(kind, record)  # type: ignore[no-untyped-call]
    structref.define_constructor(record, kind, fields)  # type: ignore[no-untyped-call]
    for field in fields:
        _lend(kind, field)


def _lend(kind: type[RecordType], field: str) -> None:
    """Lets compiled code read a field without counting its arrays."""

    def read(context: Any, builder: Any, record: Any, value: Any) -> Any:
        utils = structref._Utils(context, builder, record)  # type: ignore[no-untyped-call]
        stored = getattr(utils.get_data_struct(value), field)  # type: ignore[no-untyped-call]
        return without_count(context, builder, record.field_dict[field], stored)

    lower_getattr(kind, field)(read)  # type: ignore[no-untyped-call]
