"""Many callers at once, each reply compared with what the model it names must answer."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.swap_answers import COUNT, Answer, Expected, answer_of
from recsvc.client import AsyncClient
from recsvc.errors import ServiceError

BEFORE, SWAPPING, BETWEEN = "before", "during swaps", "between swaps"
_BATCH_SHARE, _MATCH_SHARE = 0.02, 0.5
_BATCH_MEMBERS = 20


@dataclass
class Tally:
    """What became of all requests."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """How long single requests took, by the phase they began in."""
    failed: list[str] = field(default_factory=list)
    mixed: list[str] = field(default_factory=list)
    outdated: list[str] = field(default_factory=list)
    """Replies of a model that no worker served any more when they were asked for."""
    models: Counter[str] = field(default_factory=Counter)
    answered: int = 0

    @property
    def count(self) -> int:
        """Requests that have ended."""
        return self.answered + len(self.failed)


class Load:
    """Asks for leads, members and batches until told to stop.

    Whoever publishes sets `phase` and, once all workers serve a model, `oldest`.
    """

    def __init__(
        self,
        client: AsyncClient,
        expected: Expected,
        order: Sequence[str],
        as_of_us: int,
        seed: int,
    ) -> None:
        """`order` lists the models as they are published."""
        self.tally = Tally()
        self.phase = BEFORE
        self.oldest = order[0]
        self._client = client
        self._expected = expected
        self._place = {model_id: i for i, model_id in enumerate(order)}
        self._as_of_us = as_of_us
        self._rng = np.random.default_rng(seed)
        self._member_ids = list(expected.leads[order[0]])
        self._lead_ids = list(expected.members[order[0]])
        self._stopping = False

    async def run(self, callers: int) -> None:
        """Asks with so many callers at once until `stop`."""
        await asyncio.gather(*(self._call() for _ in range(callers)))

    def stop(self) -> None:
        """Lets every caller end its request, and no more."""
        self._stopping = True

    async def until(self, count: int) -> None:
        """Returns when so many requests have ended."""
        while self.tally.count < count:
            await asyncio.sleep(0.01)

    async def _call(self) -> None:
        while not self._stopping:
            kind = self._rng.random()
            try:
                if kind < _BATCH_SHARE:
                    await self._ask_batch()
                else:
                    await self._ask_one(kind < _MATCH_SHARE)
            except ServiceError as error:
                self.tally.failed.append(f"{error.reason}: {error.message}")
            else:
                self.tally.answered += 1

    async def _ask_one(self, match: bool) -> None:
        phase, oldest, begin = self.phase, self.oldest, time.perf_counter()
        ids = self._lead_ids if match else self._member_ids
        asked = ids[int(self._rng.integers(len(ids)))]
        if match:
            found = await self._client.match(asked, count=COUNT, as_of_us=self._as_of_us)
            model_id, answer = found.info.model_version, answer_of(found)
        else:
            reply = await self._client.recommend(asked, count=COUNT, as_of_us=self._as_of_us)
            model_id, answer = reply.info.model_version, answer_of(reply)
        self.tally.seconds[phase].append(time.perf_counter() - begin)
        self._compare(model_id, asked, answer, match)
        if self._place.get(model_id, -1) < self._place[oldest]:
            self.tally.outdated.append(f"{model_id} answered, all workers served {oldest}")

    async def _ask_batch(self) -> None:
        asked = self._rng.choice(self._member_ids, _BATCH_MEMBERS).tolist()
        models = set()
        found = self._client.recommend_many(asked, count=COUNT, as_of_us=self._as_of_us)
        async for outcome in found:
            if outcome.leads is None:
                self.tally.failed.append(f"{outcome.error}")
                continue
            models.add(outcome.leads.info.model_version)
            self._compare(
                outcome.leads.info.model_version,
                outcome.member_id,
                answer_of(outcome.leads),
                match=False,
            )
        if len(models) > 1:
            self.tally.mixed.append(f"one batch was answered by {sorted(models)}")

    def _compare(self, model_id: str, asked: str, answer: Answer, match: bool) -> None:
        self.tally.models[model_id] += 1
        answers = self._expected.members if match else self._expected.leads
        if answers.get(model_id, {}).get(asked) != answer:
            self.tally.mixed.append(f"what {model_id} answered for {asked} is not its answer")
