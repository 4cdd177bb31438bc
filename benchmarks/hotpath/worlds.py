"""What the hot path is measured on: a simulated province and the bundle of the default training.

Generating and training take minutes, so both are kept in a cache folder outside of the repository
($XDG_CACHE_HOME/recsvc-bench), named by what they depend on: the data set by the world's version
and size, the bundle by its format, the pair features and the training's configuration. The log ends
at the moment of generation, so that leads are as old as they would be; a week later it is made
anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import structs

from benchmarks.workload import WORLD_VERSION, Province, ProvinceConfig, generate, write_dataset
from features.errors import RecsvcError
from recsvc.matching.prepare import prepared
from recsvc.model.arrays import F32, I64
from recsvc.model.bundle import FORMAT_VERSION, Bundle
from recsvc.model.registry import ModelRegistry
from recsvc.model.terms import FEATURE_NAMES
from training.assemble_bundle import as_all_open
from training.config import TrainingConfig
from training.logs import read_dataset
from training.nightly import Training

TENANT = "default"
SEED = 1
TRUTH_MEMBERS = 200
_DAY_SECONDS = 86_400.0
_KEEP_DAYS = 7.0
_OPEN = "open"

Step = Callable[[str], None]


@dataclass(frozen=True)
class Size:
    """How large a world is."""

    name: str
    members: int
    leads: int
    events: int


QUICK = Size("quick", 1_000, 2_500, 40_000)
PROVINCE = Size("province", 35_000, 66_000, 1_000_000)


@dataclass(frozen=True)
class Truth:
    """What some members would really do at the end of the log.

    `member_rows` int64[s]; `probability` float32[s, leads]: P(claim | pushed), without the noise of
    the pair, which no model can know.
    """

    member_rows: I64
    probability: F32


@dataclass(frozen=True)
class World:
    """A data set and its trained bundle, with every lead open, on disk."""

    size: Size
    folder: Path

    @property
    def data(self) -> Path:
        """The data set."""
        return self.folder / "data"

    @property
    def models(self) -> Path:
        """A models folder whose published bundle has every lead open."""
        told = [FORMAT_VERSION, FEATURE_NAMES, TrainingConfig().hash]
        return self.folder / f"models-{_print(told)}"

    def bundle(self) -> Bundle:
        """The published bundle; raises BundleError."""
        return ModelRegistry(self.models, TENANT).load(_OPEN)

    def truth(self) -> Truth:
        """The ground truth of a sample of members."""
        found = np.load(self.folder / "truth.npz", allow_pickle=False)
        return Truth(found["member_rows"], found["probability"])


def cache_folder() -> Path:
    """Where worlds are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "recsvc-bench"


def open_world(size: Size, cache: Path | None = None, step: Step = lambda _: None) -> World:
    """The world of a size, made when the cache has none that fits."""
    cache = cache or cache_folder()
    world = World(size, cache / f"{size.name}-{_print([asdict(size), WORLD_VERSION, SEED])}")
    if not _is_fresh(world):
        shutil.rmtree(world.folder, ignore_errors=True)
        _make_data(world, step)
    try:
        world.bundle()
    except RecsvcError:
        for outdated in world.folder.glob("models-*"):
            shutil.rmtree(outdated)
        _make_model(world, step)
    return world


def province_config(size: Size, end_time_us: int) -> ProvinceConfig:
    """Organizations have rules of jurisdiction, so that this mask has something to take out."""
    return ProvinceConfig(
        size.members, size.leads, size.events, end_time_us=end_time_us, jurisdictions="tiered"
    )


def _print(told: list[Any]) -> str:
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:12]


def _is_fresh(world: World) -> bool:
    """Whether the data set is there (the truth is written last) and ended a few days ago."""
    path = world.folder / "truth.npz"
    return path.is_file() and time.time() - path.stat().st_mtime < _KEEP_DAYS * _DAY_SECONDS


def _make_data(world: World, step: Step) -> None:
    config = province_config(world.size, time.time_ns() // 1_000)
    province = generate(config, SEED, step)
    write_dataset(province, world.data, "parquet", step=step)
    truth = _truth(province)
    path = world.folder / "truth.npz"
    np.savez(path, member_rows=truth.member_rows, probability=truth.probability)


def _truth(province: Province) -> Truth:
    rng = np.random.default_rng(SEED)
    count = min(TRUTH_MEMBERS, len(province.members))
    members = np.sort(rng.choice(len(province.members), count, replace=False)).astype(np.int64)
    leads = np.arange(len(province.leads))
    end = province.config.end_time_us
    rows = [
        province.claim_probability(np.full(len(leads), m), leads, end, noise=False) for m in members
    ]
    return Truth(members, np.stack(rows).astype(np.float32))


def _make_model(world: World, step: Step) -> None:
    """Trains as `recsvc train` does. No gate is asked: speed is measured, not quality."""
    training = Training(TrainingConfig(), TENANT, step)
    bundle, _ = training.train(read_dataset(world.data))
    manifest = structs.replace(bundle.manifest, model_id=_OPEN)
    opened = replace(as_all_open(bundle), manifest=manifest)
    ModelRegistry(world.models, TENANT).publish(prepared(opened, training.config.threads))
