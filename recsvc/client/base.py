"""What the two clients have in common: their settings, and what they have seen."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, ClassVar, Self

from recsvc.client.calls import Caller
from recsvc.client.connections import Connections
from recsvc.client.options import DEFAULT_ADDRESS, RetryPolicy, Timeouts, Tls
from recsvc.client.session import Session
from recsvc.errors import ConfigError

DEFAULT_CONNECTIONS = 4


class BaseClient:
    """Speaks for one tenant with one service.

    `address` is `host:port` (or what gRPC resolves: `dns:///recsvc:50051`), `token` the caller's
    bearer token, `tls` None for plain text, `connections` how many to hold open: with several
    workers on one port each connection stays with one worker. Raises ConfigError.
    """

    _factories: ClassVar[tuple[Callable[..., Any], Callable[..., Any]]]
    """What makes a channel: plain, encrypted."""

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        *,
        tenant: str = "default",
        token: str = "",
        tls: Tls | None = None,
        connections: int = DEFAULT_CONNECTIONS,
        timeouts: Timeouts | None = None,
        retry: RetryPolicy | None = None,
    ) -> None:
        if connections < 1:
            raise ConfigError(f"connections is {connections}, a client needs at least one")
        self._connections = Connections(address, tls, connections, *self._factories)
        self._session = Session(address, token, retry or RetryPolicy())
        self._caller = Caller(tenant, timeouts or Timeouts())

    @property
    def tenant(self) -> str:
        """Whom this client speaks for."""
        return self._caller.tenant

    @property
    def address(self) -> str:
        """Where the service is."""
        return self._session.address

    @property
    def revision(self) -> str:
        """Covers every write and read of this client; every read asks for at least this.

        Pass it to `see` of another client, in another process, say, that has to read what this one
        wrote.
        """
        return self._session.revision

    def see(self, revision: str) -> None:
        """Makes every later read reflect at least this revision; raises DataError."""
        self._session.see(revision)

    def forget(self) -> None:
        """Forgets what was seen, after the service's store was replaced."""
        self._session.forget()

    def within(self, seconds: float) -> Self:
        """The same client, on the same connections, whose calls may take that long each."""
        other = copy.copy(self)
        other._caller = Caller(self.tenant, Timeouts.all(seconds))
        return other
