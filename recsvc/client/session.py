"""What all calls of one client share: where to, as whom, and what it has seen so far."""

from __future__ import annotations

import random
import threading
from time import monotonic
from typing import Any

import grpc

from recsvc.client.faults import fault_of
from recsvc.client.options import RetryPolicy
from recsvc.store.revision import NOTHING, Revision, RevisionError


class Session:
    """Safe to use from several threads."""

    def __init__(self, address: str, token: str, retry: RetryPolicy) -> None:
        self.address = address
        self.metadata = (("authorization", f"Bearer {token}"),) if token else ()
        self.retry = retry
        self._revision = NOTHING
        self._lock = threading.Lock()

    @property
    def revision(self) -> str:
        """Covers every reply so far."""
        return str(self._revision)

    def see(self, revision: str) -> None:
        """Takes in the revision of a reply, or of another client; raises RevisionError."""
        seen = Revision.parse(revision)
        with self._lock:
            self._revision = self._revision.merge(seen)

    def forget(self) -> None:
        """Starts afresh, for a service whose store was replaced."""
        with self._lock:
            self._revision = NOTHING

    def outgoing(self, request: Any) -> Any:
        """A copy of the request that asks for at least what this client has seen.

        Streams of messages, and messages that know no revision, pass as they are.
        """
        if not hasattr(request, "min_revision"):
            return request
        sent = type(request)()
        sent.CopyFrom(request)
        sent.min_revision = self.revision
        return sent

    def incoming(self, reply: Any) -> None:
        """Takes in a reply's revision, if it has one."""
        revision = getattr(reply, "revision", "")
        if revision:
            try:
                self.see(revision)
            except RevisionError:
                # A newer service may write revisions in another form; they only save a wait.
                return


class Attempts:
    """The tries of one call within its time."""

    def __init__(
        self,
        session: Session,
        timeout_seconds: float,
        repeatable: bool = True,
        unlimited: bool = False,
    ) -> None:
        self._session = session
        self._limit: float = session.retry.attempts if repeatable else 1
        if unlimited:
            self._limit = float("inf")
        self._end = monotonic() + timeout_seconds
        self._count = 0

    def remaining_seconds(self) -> float:
        """The deadline of the next try."""
        return max(0.001, self._end - monotonic())

    def pause_seconds(self, failure: grpc.RpcError) -> float:
        """How long to wait before the next try; raises what failed when there is to be none."""
        fault = fault_of(failure, self._session.address)
        self._count += 1
        retry = self._session.retry
        if fault.retry_after_seconds is None or self._count >= self._limit:
            raise fault.error from None
        backoff = min(retry.longest_seconds, retry.first_seconds * 2 ** (self._count - 1))
        # Spread at random, so that callers who failed together do not come back together.
        pause = fault.retry_after_seconds * random.uniform(1.0, 1.2)
        pause = pause or backoff * random.uniform(0.5, 1.0)
        if monotonic() + pause >= self._end:
            raise fault.error from None
        return pause

    def begun(self) -> None:
        """An answer has begun to come: from here on it cannot be asked for again."""
        self._limit = 0
