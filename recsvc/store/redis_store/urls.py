"""Store URLs, and the clients they stand for.

    redis://[user:password@]host[:port][/db]          one server; rediss:// with TLS
    unix:///path/to.sock[?db=0]                       one server on a Unix socket
    redis+sentinel://host:port,host:port/service      the primary that Sentinel names
    redis+cluster://host:port,host:port               a cluster

`rediss+sentinel` and `rediss+cluster` use TLS; query parameters go to redis-py's connections.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlsplit

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import SSLConnection, parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff

from features.errors import DataError

SCHEMES = (
    "redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel", "redis+cluster",
    "rediss+cluster",
)  # fmt: skip
_DEFAULT_PORTS = {"sentinel": 26379, "cluster": 6379, "": 6379}
_CONNECT_SECONDS = 2.0
_READ_SIZE = 1 << 18


@dataclass(frozen=True, slots=True)
class Client:
    """A connected client, whether it is a cluster's, how to close it, and whose turn it is.

    Who asks a node waits for a turn of it ("" where there is one server): most pools of redis-py
    refuse instead of waiting when they have no connection left.
    """

    redis: Any
    is_cluster: bool
    close: Callable[[], Awaitable[None]]
    turns: defaultdict[str, asyncio.Semaphore]


def check_url(url: str) -> None:
    """Raise DataError when `open_client` could not use the URL."""
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES:
        known = ", ".join(f"{scheme}://" for scheme in SCHEMES)
        raise DataError(f"unknown kind of store URL {parts.scheme!r}: use {known}")
    if parts.scheme == "unix":
        if not parts.path:
            raise DataError("the store URL unix:// needs the path of a socket")
        return
    kind = parts.scheme.partition("+")[2]
    if kind == "sentinel" and not parts.path.strip("/"):
        raise DataError(
            "a redis+sentinel URL ends in the name of its service: redis+sentinel://host:port/name"
        )
    _hosts(parts, kind)


def open_client(url: str, max_connections: int) -> Client:
    """A client that connects when first used, to a node as often as its turns allow.

    They are `max_connections`, unless the URL has a parameter of that name.

    It never repeats a command by itself: whether that is right is for the caller to know. Nor does
    it limit the time of an answer: redis-py does so with asyncio.wait_for, which up to Python 3.11
    may swallow a cancellation.
    """
    check_url(url)
    parts = urlsplit(url)
    options: dict[str, Any] = {
        "socket_timeout": None,
        "socket_connect_timeout": _CONNECT_SECONDS,
        "socket_read_size": _READ_SIZE,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
    }
    limit = int(dict(parse_qsl(parts.query)).get("max_connections", max_connections))
    turns: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(limit))
    match parts.scheme.partition("+")[2]:
        case "cluster":
            client: Any = _open_cluster(parts, options)
            return Client(client, True, client.aclose, turns)
        case "sentinel":
            client, close = _open_sentinel(parts, options)
            return Client(client, False, close, turns)
    if parts.scheme == "unix":
        del options["socket_connect_timeout"]
    client = Redis.from_url(url, **options)
    return Client(client, False, client.aclose, turns)


def _open_cluster(parts: SplitResult, options: dict[str, Any]) -> RedisCluster:
    nodes = [ClusterNode(host, port) for host, port in _hosts(parts, "cluster")]
    # A redirection patches one slot; learning the whole layout anew would close all connections
    # under commands in flight.
    return RedisCluster(startup_nodes=nodes, reinitialize_steps=0, **options, **_common(parts))


def _open_sentinel(
    parts: SplitResult, options: dict[str, Any]
) -> tuple[Redis, Callable[[], Awaitable[None]]]:
    common = _common(parts)
    own = {key: value for key, value in common.items() if key.startswith("ssl")}
    # A sentinel that hangs must not keep us from asking the next one.
    own |= {"socket_timeout": 1.0, "socket_connect_timeout": 1.0}
    own |= {key: options[key] for key in ("retry", "protocol")}
    sentinel: Any = Sentinel(  # type: ignore[no-untyped-call]
        _hosts(parts, "sentinel"), sentinel_kwargs=own, **options, **common
    )
    client = sentinel.master_for(parts.path.strip("/"))

    async def close() -> None:
        await client.aclose()
        await sentinel.aclose()

    return client, close


def _common(parts: SplitResult) -> dict[str, Any]:
    """User, password, TLS and query parameters as redis-py's keyword arguments."""
    user_info = parts.netloc.rpartition("@")[0]
    scheme = parts.scheme.partition("+")[0]
    plain = f"{scheme}://{user_info}{'@' if user_info else ''}host/?{parts.query}"
    options: dict[str, Any] = dict(parse_url(plain))
    del options["host"]
    if options.pop("connection_class", None) is SSLConnection:
        options["ssl"] = True
    return options


def _hosts(parts: SplitResult, kind: str) -> list[tuple[str, int]]:
    hosts = []
    for item in parts.netloc.rpartition("@")[2].split(","):
        host, colon, port = item.rpartition(":")
        if not colon or "]" in port:
            host, port = item, str(_DEFAULT_PORTS[kind])
        if not host or not port.isdecimal():
            raise DataError(f"{item!r} in the store URL is no host:port")
        hosts.append((host.strip("[]"), int(port)))
    return hosts
