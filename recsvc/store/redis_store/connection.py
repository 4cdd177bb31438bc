"""Sends commands and scripts: in few round trips, and in order within a bucket."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from redis.exceptions import NoScriptError

from recsvc.store.redis_store.errors import FOREIGN, translate, translated
from recsvc.store.redis_store.scripts import Call, Command
from recsvc.store.redis_store.urls import Client, open_client
from recsvc.store.types import StoreUnavailable

CALLS_IN_FLIGHT = 10
"""Calls sent together on one server before their answers are read; on a cluster, lanes at once."""

BLOCK_SECONDS = 5.0
"""How long one blocking read of the change stream waits on the server."""

_READ_PAUSES_SECONDS = (0.05, 0.2, 0.5)
_MAX_CONNECTIONS = 64
"""To one node; commands wait for one of them."""


class Gateway:
    """One server or cluster. Connects when first used; close it when done."""

    def __init__(self, url: str, answer_seconds: float = 5.0) -> None:
        self._answer_seconds = answer_seconds
        self._client = open_client(url, _MAX_CONNECTIONS)
        self._tail = open_client(url, 8 * _MAX_CONNECTIONS)

    @property
    def is_cluster(self) -> bool:
        """Whether keys of different buckets may live on different servers."""
        return self._client.is_cluster

    async def write(self, calls: Sequence[Call]) -> list[Any]:
        """The answers of calls, each sent once.

        Raises StoreUnavailable (some may have happened) and StoreError.
        """
        answers = await self._attempt(calls)
        for answer in answers:
            if isinstance(answer, FOREIGN):
                raise translate(answer) from answer
        return answers

    async def read(self, calls: Sequence[Call]) -> list[Any]:
        """As `write`, for calls that change nothing: tried again a few times.

        Not when the server hangs: whoever waits has waited long enough for one answer.
        """
        latest = time.monotonic() + self._answer_seconds
        for pause_seconds in _READ_PAUSES_SECONDS:
            try:
                return await self.write(calls)
            except StoreUnavailable:
                if time.monotonic() >= latest:
                    raise
                await asyncio.sleep(pause_seconds)
        return await self.write(calls)

    async def read_stream(self, after: Sequence[tuple[str, str]], count: int) -> list[Any]:
        """XREAD of (key, id) pairs, at most `count` entries of each; waits up to BLOCK_SECONDS.

        Answers [[key, [(id, {field: value})]]], empty when nothing came.
        """
        keys, ids = zip(*after, strict=True)
        command = ("XREAD", "COUNT", count, "BLOCK", round(BLOCK_SECONDS * 1000), "STREAMS")
        async with self._asking(self._tail, BLOCK_SECONDS):
            return await _execute(self._tail, keys[0], (*command, *keys, *ids)) or []

    async def every_primary(self, *command: str) -> list[Any]:
        """The answers of all primaries to a command without keys."""
        redis = self._client.redis
        async with self._asking(self._client):
            if not self.is_cluster:
                return [await _execute(self._client, "", command)]
            await redis.initialize()
            nodes = redis.get_primaries()
            return [await redis.execute_command(*command, target_nodes=node) for node in nodes]

    async def aclose(self) -> None:
        """Close all connections."""
        with translated():
            await self._client.close()
            await self._tail.close()

    @asynccontextmanager
    async def _asking(self, client: Client, extra_seconds: float = 0.0) -> AsyncIterator[None]:
        """Within, an answer takes limited time and foreign errors are translated."""
        with translated():
            try:
                async with asyncio.timeout(self._answer_seconds + extra_seconds):
                    yield
            except TimeoutError:
                if client.is_cluster:
                    # The node hangs: have the next command learn who serves its slots now.
                    await client.redis.aclose()
                raise

    async def _attempt(self, calls: Sequence[Call]) -> list[Any]:
        """Answers in the calls' order; an error reply stays in its place."""
        answers = await self._send(calls, full=False)
        unknown = [i for i, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if unknown:
            again = await self._send([calls[i] for i in unknown], full=True)
            for i, answer in zip(unknown, again, strict=True):
                answers[i] = answer
        return answers

    async def _send(self, calls: Sequence[Call], full: bool) -> list[Any]:
        if self.is_cluster:
            return await self._send_by_lane(calls, full)
        answers: list[Any] = []
        for start in range(0, len(calls), CALLS_IN_FLIGHT):
            pipeline = self._client.redis.pipeline(transaction=False)
            for call in calls[start : start + CALLS_IN_FLIGHT]:
                pipeline.execute_command(*(call.full if full else call.short))
            async with self._asking(self._client), self._client.turns[""]:
                answers += await pipeline.execute(raise_on_error=False)
        return answers

    async def _send_by_lane(self, calls: Sequence[Call], full: bool) -> list[Any]:
        """On a cluster: lanes at once, the calls of a lane one after the other."""
        lanes: dict[int, list[int]] = defaultdict(list)
        for i, call in enumerate(calls):
            lanes[call.lane].append(i)
        answers: list[Any] = [None] * len(calls)
        turn = asyncio.Semaphore(CALLS_IN_FLIGHT)

        async def send(rows: list[int]) -> None:
            async with turn:
                for i in rows:
                    command = calls[i].full if full else calls[i].short
                    async with self._asking(self._client):
                        try:
                            answers[i] = await _execute(self._client, calls[i].key, command)
                        except NoScriptError as error:
                            answers[i] = error

        results = await asyncio.gather(*map(send, lanes.values()), return_exceptions=True)
        for failure in filter(None, results):
            raise failure
        return answers


async def _execute(client: Client, key: str, command: Command) -> Any:
    """The answer to a command about a key (and others in its slot).

    redis-py 8.1 sends EVALSHA and XREAD to a node picked at random and relies on being redirected.
    """
    if not client.is_cluster:
        async with client.turns[""]:
            return await client.redis.execute_command(*command)
    await client.redis.initialize()
    node = client.redis.get_node_from_key(key)
    async with client.turns[node.name]:
        return await client.redis.execute_command(*command, target_nodes=node)
