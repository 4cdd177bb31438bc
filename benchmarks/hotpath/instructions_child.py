"""What callgrind watches: requests on the pipeline, one line on stdin each batch of them.

    python -m benchmarks.hotpath.instructions_child MODELS

Says "ready", then for each line "KIND COUNT" does so many and says "done".
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.hotpath.asking import sample
from recsvc.matching.pipeline import Pipeline
from recsvc.matching.queries import ListQuery
from recsvc.model.registry import ModelRegistry
from recsvc.model.snapshot import Snapshot

PAIRS = 200
"""Of one call of `pairs`."""


def main(models: Path) -> None:
    """Loads, warms up, and obeys."""
    registry = ModelRegistry(models)
    bundle = registry.load(registry.published() or "")
    pipeline, query = Pipeline(Snapshot(bundle)), ListQuery(count=10)
    members, leads = sample(bundle.member_ids.ids, 50, 1), sample(bundle.lead_ids.ids, 50, 1)
    pairs = [(members[i % 50], leads[(i // 50) % 50]) for i in range(PAIRS)]
    kinds: dict[str, Callable[[int], object]] = {
        "recommend": lambda i: pipeline.recommend(members[i % 50], query),
        "match": lambda i: pipeline.match(leads[i % 50], query),
        "pairs": lambda _: pipeline.score_pairs(pairs),
    }
    for ask in kinds.values():
        ask(0)
    print("ready", flush=True)
    for line in sys.stdin:
        kind, count = line.split()
        for i in range(int(count)):
            kinds[kind](i)
        print("done", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
