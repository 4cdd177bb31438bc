"""`python -m benchmarks.quality.peers NAME JOB.npz REPLY.npz MEMORY_BYTES`, under build/peers.

Exits with 3 when the memory does not hold the peer.
"""

from __future__ import annotations

import resource
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

from benchmarks.quality.peers.base import Peer, answer
from benchmarks.quality.peers.content import TfidfNearest, TfidfProfile
from benchmarks.quality.peers.factors import Als, Bpr, LensKitAls, LightFm
from benchmarks.quality.peers.job import load_job, save
from benchmarks.quality.peers.mixed import EaseAndNearest
from benchmarks.quality.peers.names import TOO_LARGE
from benchmarks.quality.peers.neighbours import Ease, ItemKnn, Popular
from benchmarks.quality.peers.places import NearestAndPopular
from benchmarks.quality.peers.rates import AnswerRate
from benchmarks.quality.peers.trees import BoostedTrees

PEERS: dict[str, Callable[[], Peer]] = {
    "implicit ALS": Als,
    "implicit BPR": Bpr,
    "implicit item-kNN": ItemKnn,
    "LensKit ALS": LensKitAls,
    "LightFM hybrid": LightFm,
    "RecTools EASE": Ease,
    "popularity": Popular,
    "TF-IDF nearest text": TfidfNearest,
    "TF-IDF profile": TfidfProfile,
    "answer rate": AnswerRate,
    "nearest and popular": NearestAndPopular,
    "EASE + nearest": EaseAndNearest,
    "boosted trees": BoostedTrees,
}


def main(name: str, job_path: str, reply_path: str, memory_bytes: str) -> int:
    """Trains one peer and writes what it answers."""
    resource.setrlimit(resource.RLIMIT_AS, (int(memory_bytes), int(memory_bytes)))
    warnings.simplefilter("ignore")
    try:
        save(answer(PEERS[name](), load_job(Path(job_path))), Path(reply_path))
    except MemoryError as error:
        print(error, file=sys.stderr)
        return TOO_LARGE
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
