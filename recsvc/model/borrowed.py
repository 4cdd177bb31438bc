"""Arrays that compiled code reads without counting references to them.

Numba counts a reference wherever an array is taken out of a tuple, sliced or named, with an atomic
instruction each: a list of leads took 1,200 of them up and down, a twentieth of its time. Where the
caller holds the arrays until the function returns, nobody need count.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeVar, cast

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

Arrays = TypeVar("Arrays")


class _Borrow(Protocol):
    def __call__(self, arrays: Arrays) -> Arrays: ...


@intrinsic
def _borrowed(_: Any, arrays: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return without_count(context, builder, signature.args[0], arguments[0])

    return arrays(arrays), generate


borrowed = cast(_Borrow, _borrowed)
"""Arrays that the function was given (one, or a tuple), uncounted: neither are views of them.

Such an array must not be returned.
"""


def without_count(context: Any, builder: Any, kind: Any, value: Any) -> Any:
    """The native value of a type with nothing to count in it."""
    if isinstance(kind, types.Array):
        array = make_array(kind)(context, builder, value=value)  # type: ignore[no-untyped-call]
        array.meminfo = cgutils.get_null_value(array.meminfo.type)  # type: ignore[no-untyped-call]
        return array._getvalue()
    if isinstance(kind, types.BaseTuple):
        kinds: tuple[Any, ...] = tuple(kind)  # type: ignore[arg-type]
        parts = [
            without_count(context, builder, part, builder.extract_value(value, i))
            for i, part in enumerate(kinds)
        ]
        return context.make_tuple(builder, kind, parts)
    return value
