"""Asks the processor for rows that are read soon, so that it fetches many of them at once.

The rows of a list lie anywhere in tables of many megabytes. Read as they are needed, each waits for
a walk of the page tables and for memory, one after the other.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from recsvc.model.arrays import I32

_LINE_BYTES = 64
_TO_READ, _TO_KEEP, _DATA = 0, 3, 1
"""What `llvm.prefetch` is told besides the address."""


@intrinsic
def _prefetch(_: Any, array: Any, byte: Any) -> Any:
    """Asks for the line that holds a byte of an array; one that does not exist does no harm."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = make_array(signature.args[0])  # type: ignore[no-untyped-call]
        data = array(context, builder, arguments[0]).data
        pointer, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer, number, number, number])
        function = builder.module.declare_intrinsic("llvm.prefetch", [pointer], kind)
        line = builder.gep(builder.bitcast(data, pointer), [arguments[1]])
        builder.call(function, [line, number(_TO_READ), number(_TO_KEEP), number(_DATA)])

    return types.void(array, types.intp), generate


@njit(cache=True, forceinline=True)
def prefetch_rows(column: Any, rows: I32) -> None:
    """Asks for rows (int32[n]) of an array of any type and shape."""
    size = column.strides[0]
    for row in rows:
        for byte in range(0, size, _LINE_BYTES):
            _prefetch(column, row * size + byte)  # type: ignore[call-arg]
