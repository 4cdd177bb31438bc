"""The blocking client, for threads; aio.py has its asynchronous twin."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import grpc

from recsvc.client import catalog, claims, imports, models, pushes, recommendation
from recsvc.client.base import BaseClient
from recsvc.client.calls import Bulk, Call, Caller, Endless, Pages, Streams
from recsvc.client.session import Attempts
from recsvc.errors import NotReadyError, ServiceError

P = ParamSpec("P")
T = TypeVar("T")
Row = TypeVar("Row")
Report = TypeVar("Report")


def _call(
    describe: Callable[Concatenate[Caller, P], Call[T]],
) -> Callable[Concatenate[Client, P], T]:
    @functools.wraps(describe)
    def run(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._run(describe(self._caller, *args, **kwargs))

    return run


def _pages(
    describe: Callable[Concatenate[Caller, P], Pages[T]],
) -> Callable[Concatenate[Client, P], Iterator[T]]:
    @functools.wraps(describe)
    def run(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        return self._run_pages(describe(self._caller, *args, **kwargs))

    return run


def _streams(
    describe: Callable[Concatenate[Caller, P], Streams[T]],
) -> Callable[Concatenate[Client, P], Iterator[T]]:
    @functools.wraps(describe)
    def run(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        return self._run_streams(describe(self._caller, *args, **kwargs))

    return run


def _endless(
    describe: Callable[Concatenate[Caller, P], Endless[T]],
) -> Callable[Concatenate[Client, P], Iterator[T]]:
    @functools.wraps(describe)
    def run(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        return self._run_endless(describe(self._caller, *args, **kwargs))

    return run


def _bulk(
    describe: Callable[Concatenate[Caller, P], Bulk[Row, Report]],
) -> Callable[Concatenate[Client, Iterable[Row], P], Report]:
    @functools.wraps(describe)
    def run(self: Client, rows: Iterable[Row], /, *args: P.args, **kwargs: P.kwargs) -> Report:
        return self._run_bulk(describe(self._caller, *args, **kwargs), rows)

    return run


class Client(BaseClient):
    """The service for code that waits for its answers; threads may share one.

    Every method raises the ServiceError of its reason (recsvc.errors).
    """

    recommend = _call(recommendation.recommend)
    recommend_many = _streams(recommendation.recommend_many)
    match = _call(recommendation.match)
    score_pairs = _call(recommendation.score_pairs)
    explain = _call(recommendation.explain)
    explain_reply = _call(recommendation.explain_reply)
    explain_push = _call(recommendation.explain_push)

    get_member = _call(catalog.get_member)
    get_lead = _call(catalog.get_lead)
    get_organization = _call(catalog.get_organization)
    list_members = _pages(catalog.list_members)
    list_leads = _pages(catalog.list_leads)
    list_organizations = _pages(catalog.list_organizations)
    list_conflicts = _pages(catalog.list_conflicts)
    update_member = _call(catalog.update_member)
    update_lead = _call(catalog.update_lead)
    update_organization = _call(catalog.update_organization)
    add_conflict = _call(catalog.add_conflict)
    delete_member = _call(catalog.delete_member)
    delete_lead = _call(catalog.delete_lead)
    delete_organization = _call(catalog.delete_organization)
    delete_conflict = _call(catalog.delete_conflict)

    import_members = _bulk(imports.import_members)
    import_leads = _bulk(imports.import_leads)
    import_organizations = _bulk(imports.import_organizations)
    import_conflicts = _bulk(imports.import_conflicts)
    record = _bulk(imports.record)

    claim = _call(claims.claim)
    release = _call(claims.release)
    transfer = _call(claims.transfer)
    resolve = _call(claims.resolve)
    get_claim = _call(claims.get_claim)
    list_claims = _pages(claims.list_claims)

    plan_pushes = _call(pushes.plan_pushes)
    stream_pushes = _endless(pushes.stream_pushes)
    list_pushes = _pages(pushes.list_pushes)
    ack_pushes = _call(pushes.ack_pushes)
    pause_pushes = _call(pushes.pause_pushes)
    resume_pushes = _call(pushes.resume_pushes)

    list_models = _pages(models.list_models)
    get_model = _call(models.get_model)
    activate_model = _call(models.activate_model)
    rollback_model = _call(models.rollback_model)
    list_workers = _call(models.list_workers)
    is_serving = _call(models.is_serving)

    _factories = (grpc.insecure_channel, grpc.secure_channel)

    def wait_until_serving(self, timeout_seconds: float = 60.0) -> None:
        """Returns once every connection leads to a worker that serves; raises NotReadyError."""
        end, probe, last = time.monotonic() + timeout_seconds, self.within(1.0), "no model yet"
        good = 0
        while good < self._connections.count:
            try:
                good = good + 1 if probe.is_serving() else 0
            except ServiceError as error:
                good, last = 0, error.message
            if good == 0:
                if time.monotonic() >= end:
                    raise NotReadyError(f"{self.address} does not serve: {last}")
                time.sleep(0.05)

    def close(self) -> None:
        """Closes the connections; calls that still run are cancelled."""
        for channel in self._connections.take():
            channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _run(self, call: Call[T]) -> T:
        attempts = Attempts(self._session, call.timeout_seconds, call.idempotent)
        while True:
            try:
                reply = self._invoke(call.method, call.request, attempts)
            except grpc.RpcError as failure:
                time.sleep(attempts.pause_seconds(failure))
            else:
                self._session.incoming(reply)
                return call.convert(reply)

    def _run_pages(self, pages: Pages[T]) -> Iterator[T]:
        request, more = pages.request, True
        while more:
            call = Call(pages.method, request, lambda reply: reply, pages.timeout_seconds)
            reply: Any = self._run(call)
            yield from pages.convert(reply)
            request.page_token = reply.next_page_token
            more = bool(reply.next_page_token)

    def _run_streams(self, streams: Streams[T]) -> Iterator[T]:
        for request in streams.requests:
            attempts, waiting = Attempts(self._session, streams.timeout_seconds), True
            while waiting:
                try:
                    for reply in self._invoke(streams.method, request, attempts):
                        attempts.begun()
                        self._session.incoming(reply)
                        yield from streams.convert(reply)
                    waiting = False
                except grpc.RpcError as failure:
                    time.sleep(attempts.pause_seconds(failure))

    def _run_endless(self, endless: Endless[T]) -> Iterator[T]:
        attempts: Attempts | None = None
        while True:
            call = self._connections.method(endless.method)(
                endless.request, metadata=self._session.metadata
            )
            try:
                for reply in call:
                    attempts = None
                    self._session.incoming(reply)
                    yield from endless.convert(reply)
            except grpc.RpcError as failure:
                attempts = attempts or Attempts(
                    self._session, endless.patience_seconds, unlimited=True
                )
                time.sleep(attempts.pause_seconds(failure))
            finally:
                call.cancel()

    def _run_bulk(self, bulk: Bulk[Row, Report], rows: Iterable[Row]) -> Report:
        report = bulk.empty
        for row in rows:
            if (part := bulk.parts.add(row)) is not None:
                report = bulk.after(report, self._run(bulk.call(part)))
        if (part := bulk.parts.rest()) is not None:
            report = bulk.after(report, self._run(bulk.call(part)))
        return report

    def _invoke(self, method: str, request: Any, attempts: Attempts) -> Any:
        """Starts a call on the next connection."""
        call = self._connections.method(method)
        sent = iter(request) if isinstance(request, tuple) else self._session.outgoing(request)
        return call(sent, timeout=attempts.remaining_seconds(), metadata=self._session.metadata)
