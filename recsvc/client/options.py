"""How a client connects, how long it waits and how often it tries."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from recsvc.errors import ConfigError

DEFAULT_ADDRESS = "127.0.0.1:50051"
_MAX_MESSAGE_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Tls:
    """Encrypted connections; without files the system's authorities vouch for the server.

    `certificate` and `key` (PEM) identify this client where the server asks for it (mTLS).
    `server_name` is the name in the server's certificate when it is not that of the address.
    """

    authority: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    server_name: str = ""

    def credentials(self) -> grpc.ChannelCredentials:
        """Reads the files; raises ConfigError."""
        if (self.certificate is None) != (self.key is None):
            raise ConfigError("TLS: certificate and key go together, give both or none")
        return grpc.ssl_channel_credentials(
            _pem(self.authority), _pem(self.key), _pem(self.certificate)
        )


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Longest time of a call in seconds, all tries together."""

    read_seconds: float = 5.0
    """Get, a page of a list, recommend, match, score, explain."""
    write_seconds: float = 15.0
    """A single change, a batch of events: long enough for a store that restarts."""
    bulk_seconds: float = 120.0
    """A part of an import, a part (1,000 members) of a batch of recommendations."""
    switch_seconds: float = 60.0
    """Activating a model, going back to one: its bundle is checked first."""

    @classmethod
    def all(cls, seconds: float) -> Timeouts:
        """The same for every call."""
        return cls(seconds, seconds, seconds, seconds)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a call is tried again, which every method but `rollback_model` may be.

    It is tried again after what the service asks for (RetryInfo), or, when the connection failed,
    after `first_seconds`, doubled each time up to `longest_seconds`, shortened at random by up to
    half; on the next connection, which often leads to another worker; as long as the call's time
    lasts, `attempts` times at most (1: never again).
    """

    attempts: int = 20
    first_seconds: float = 0.05
    longest_seconds: float = 2.0


def channel_options(tls: Tls | None) -> list[tuple[str, Any]]:
    """Options that every channel has.

    The local pool keeps channels to one address from sharing a connection: each has its own, and
    with several workers on one port the kernel spreads connections over them.
    """
    options: list[tuple[str, Any]] = [
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
        ("grpc.enable_retries", 0),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 2_000),
    ]
    if tls is not None and tls.server_name:
        options.append(("grpc.ssl_target_name_override", tls.server_name))
    return options


def _pem(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"TLS: {path} cannot be read: {error.strerror}") from None
