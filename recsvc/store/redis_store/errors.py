"""Foreign errors become the store's own here, once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from redis import exceptions as foreign

from features.errors import RecsvcError
from recsvc.store.types import StoreError, StoreUnavailable

_PASSING = (
    "LOADING", "READONLY", "MISCONF", "NOREPLICAS", "OOM", "CLUSTERDOWN", "MASTERDOWN", "TRYAGAIN",
    "BUSY", "UNBLOCKED",
)  # fmt: skip
_ADVICE = {
    "LOADING": "it is loading its data",
    "READONLY": "it is a read-only replica, a failover may be under way",
    "MISCONF": "it cannot write to its disk, see its log",
    "NOREPLICAS": "it has too few replicas in reach",
    "OOM": "its memory limit is reached: raise maxmemory",
}
FOREIGN = (foreign.RedisError, foreign.RedisClusterException, OSError, TimeoutError)
"""Everything the client library raises on the way to an answer."""


@contextmanager
def translated() -> Iterator[None]:
    """Within, foreign errors come out as StoreUnavailable or StoreError."""
    try:
        yield
    except FOREIGN as error:
        raise translate(error) from error


def translate(error: BaseException) -> RecsvcError:
    """The store's error for a foreign one."""
    if isinstance(error, foreign.AuthenticationError | foreign.NoPermissionError):
        return StoreError(f"the store refuses recsvc: {error}; check user and password of its URL")
    code = _code(error)
    if code in _PASSING:
        return StoreUnavailable(f"the store takes no request now: {_ADVICE.get(code, error)}")
    if isinstance(error, foreign.ResponseError | foreign.DataError):
        return StoreError(f"the store refused a command: {error}")
    if isinstance(error, TimeoutError):
        return StoreUnavailable("the store does not answer in time")
    return StoreUnavailable(f"the store cannot be reached: {str(error) or type(error).__name__}")


def _code(error: BaseException) -> str:
    """The server's error code, also where the library turned it into a class."""
    match error:
        case foreign.BusyLoadingError():
            return "LOADING"
        case foreign.ReadOnlyError():
            return "READONLY"
        case foreign.OutOfMemoryError():
            return "OOM"
        case foreign.MasterDownError():
            return "MASTERDOWN"
        case foreign.ClusterDownError():
            return "CLUSTERDOWN"
        case foreign.TryAgainError():
            return "TRYAGAIN"
        case foreign.ResponseError():
            return str(error).partition(" ")[0]
    return ""
