"""Boosted trees of one feature each, read as one step function a feature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray

from recsvc.model.arrays import F64


@dataclass(frozen=True)
class StepTable:
    """A step function: `values[i]` for thresholds[i - 1] < x <= thresholds[i]; `missing` for NaN.

    `missing` is NaN when training saw no NaN in this feature.
    """

    thresholds: F64  # [t] ascending
    values: F64  # [t + 1]
    missing: float


def read_tables(
    booster: lightgbm.Booster, columns: NDArray[np.intp]
) -> tuple[dict[int, StepTable], float]:
    """Step tables by column (`columns[i]` is the booster's feature i) and the constant part."""
    intercept = 0.0
    steps: dict[int, list[StepTable]] = {}
    for tree in booster.dump_model()["tree_info"]:
        root = tree["tree_structure"]
        if "split_feature" not in root:
            intercept += float(root["leaf_value"])
            continue
        feature = int(columns[root["split_feature"]])
        steps.setdefault(feature, []).append(_read_tree(root))
    return {feature: _sum_tables(tables) for feature, tables in sorted(steps.items())}, intercept


def _read_tree(root: dict[str, Any]) -> StepTable:
    """In order, the leaves and splits of a one-feature tree alternate from left to right."""
    thresholds: list[float] = []
    values: list[float] = []

    def walk(node: dict[str, Any]) -> None:
        if "split_feature" not in node:
            values.append(float(node["leaf_value"]))
            return
        if node["split_feature"] != root["split_feature"]:
            raise ValueError("A tree used two features: its score is not additive.")
        walk(node["left_child"])
        thresholds.append(float(node["threshold"]))
        walk(node["right_child"])

    walk(root)
    return StepTable(np.array(thresholds), np.array(values), _missing_leaf(root))


def _missing_leaf(node: dict[str, Any]) -> float:
    """The leaf NaN falls into; NaN when the feature had none in training."""
    if node["missing_type"] != "NaN":
        return float("nan")
    while "split_feature" in node:
        node = node["left_child"] if node["default_left"] else node["right_child"]
    return float(node["leaf_value"])


def _sum_tables(tables: list[StepTable]) -> StepTable:
    thresholds = np.unique(np.concatenate([t.thresholds for t in tables]))
    # One x inside each interval stands for it: splits send x <= threshold to the left.
    inside = np.append(thresholds, np.inf)
    values = np.zeros(len(inside))
    for table in tables:
        values += table.values[np.searchsorted(table.thresholds, inside, side="left")]
    missing = float(np.sum([t.missing for t in tables]))
    # Beyond float32 lies only the split that sets NaN apart.
    kept = int(np.searchsorted(thresholds, np.finfo(np.float32).max))
    return StepTable(thresholds[:kept], values[: kept + 1], missing)
