"""What two features say together beyond what each says alone: a table of steps for a few pairs.

Which pairs is stated, not searched for. All are of a member alone, so that a member's own list
pays for them once: how willing somebody is shows in answers about leads that many were asked about
otherwise than in answers about leads that few were. The single features are learned first, the
joint trees from what these leave. bytecup2016, without and with, seeds in turn: NDCG of new pairs
.8971, .8990, .8969 and .8989, .9005, .8996; AUC of new leads .8819, .8818 and .8831, .8834. As a
product that lines and trees learn beside the others, the second pair cost .003 of the NDCG of new
leads. Held to rise with willingness, joint trees find half as much: `Feature.monotone` speaks of a
feature's own table.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray

from recsvc.model.additive import AdditiveModel, additive_scores
from recsvc.model.arrays import F32, F64
from recsvc.model.joint_terms import JOINT_KNOTS, add_joint_values
from recsvc.model.terms import Feature
from training.ranker_boost import Examples, dataset_of, own_loss
from training.ranker_shape import knots_of


@dataclass(frozen=True)
class JointConfig:
    """The pairs of features, each of one group, and how their trees are grown.

    Large leaves and slow steps: a step over a handful of members is chance. With fewer than
    `least_positives` claims (or refusals) there are no joint terms.
    """

    pairs: tuple[tuple[str, str], ...] = (
        ("willingness", "audience_met"),
        ("exposures_log", "audience_met"),
    )
    rounds: int = 100
    learning_rate: float = 0.05
    most_leaves: int = 8
    least_leaf_rows: int = 1_000
    l2: float = 10.0
    least_positives: int = 2_000


def with_joint_terms(
    model: AdditiveModel,
    examples: Examples,
    usable: NDArray[np.intp],
    schema: tuple[Feature, ...],
    config: JointConfig,
    *,
    seed: int,
    threads: int,
) -> AdditiveModel:
    """The model with the joint terms of the pairs that vary (`usable`, int[u]), one on another."""
    positives = int((examples.labels > 0).sum())
    if min(positives, len(examples.labels) - positives) < config.least_positives:
        return model
    column = {feature.name: at for at, feature in enumerate(schema)}
    for names in config.pairs:
        pair = np.array([column.get(name, -1) for name in names], np.int32)
        if np.isin(pair, usable).all():
            booster = _boosted(model, examples, pair, config, seed, threads)
            model = _joined(model, booster, examples, pair)
    return model


def _boosted(
    model: AdditiveModel,
    examples: Examples,
    pair: NDArray[np.int32],
    config: JointConfig,
    seed: int,
    threads: int,
) -> lightgbm.Booster:
    """Trees over two columns, from the model's scores on."""
    start = additive_scores(model, examples.features).astype(np.float64)
    narrow = replace(examples, features=examples.features[:, pair], start=start)
    parameters: dict[str, Any] = {
        "objective": "binary",
        "learning_rate": config.learning_rate,
        "num_leaves": config.most_leaves,
        "min_data_in_leaf": config.least_leaf_rows,
        "lambda_l2": config.l2,
        "max_bin": JOINT_KNOTS,
        "bin_construct_sample_cnt": len(start),
        "feature_pre_filter": False,
        "deterministic": True,
        "force_row_wise": True,
        "boost_from_average": False,
        "seed": seed % (1 << 31),
        "num_threads": threads,
        "verbosity": -1,
    }
    dataset = dataset_of(narrow, parameters)
    return lightgbm.train(parameters | own_loss(narrow), dataset, config.rounds)


def _joined(
    model: AdditiveModel, booster: lightgbm.Booster, examples: Examples, pair: NDArray[np.int32]
) -> AdditiveModel:
    """The model with the trees' sum as one more table, centred; as it was if no tree split."""
    x = examples.features[:, pair]
    knots, values = _table(booster)
    if not np.isfinite(knots).any():
        return model
    terms = np.zeros(len(x), np.float32)
    add_joint_values(x[:, 0], x[:, 1], knots[None], values[None], 0, terms)
    mean = float(np.average(terms.astype(np.float64), weights=examples.weights))
    values -= np.float32(mean)
    # No NaN in training: nothing is known against such a pair, it counts as an average one.
    unknown = np.isnan(x)
    values[-1, :] *= unknown[:, 0].any()
    values[:, -1] *= unknown[:, 1].any()
    return model._replace(
        joint_features=np.concatenate([model.joint_features, pair[None]]),
        joint_knots=np.concatenate([model.joint_knots, knots[None]]),
        joint_values=np.concatenate([model.joint_values, values[None]]),
        intercept=model.intercept + mean,
    )


def _table(booster: lightgbm.Booster) -> tuple[F32, F32]:
    """Knots float32[2, J] and values float32[J + 2, J + 2] of a booster of two features."""
    thresholds = _thresholds(booster)
    # The last x of each step stands for it, and one beyond for what is above all thresholds.
    points = [np.append(t, t[-1] + 1.0 if len(t) else 0.0) for t in thresholds]
    axes = [np.append(p, np.nan) for p in points]
    grid = np.stack([a.ravel() for a in np.meshgrid(*axes, indexing="ij")], axis=1)
    found = np.asarray(booster.predict(grid, raw_score=True)).reshape([len(a) for a in axes])
    knots = np.full((2, JOINT_KNOTS), np.inf, np.float32)
    values = np.zeros((JOINT_KNOTS + 2, JOINT_KNOTS + 2), np.float32)
    rows, columns = (np.append(np.arange(len(p)), JOINT_KNOTS + 1) for p in points)
    values[np.ix_(rows, columns)] = found
    for side, t in enumerate(thresholds):
        knots[side, : len(t)] = knots_of(t)
    return knots, values


def _thresholds(booster: lightgbm.Booster) -> list[F64]:
    """Where the trees split each of the two features (ascending), but for what sets NaN apart."""
    found: list[set[float]] = [set(), set()]

    def walk(node: dict[str, Any]) -> None:
        if "split_feature" in node:
            if node["threshold"] < np.finfo(np.float32).max:
                found[node["split_feature"]].add(float(node["threshold"]))
            walk(node["left_child"])
            walk(node["right_child"])

    for tree in booster.dump_model()["tree_info"]:
        walk(tree["tree_structure"])
    return [np.array(sorted(each)) for each in found]
