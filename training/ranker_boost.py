"""Boosted trees held to one feature a tree, read back as one step table a feature.

With every tree on one feature the model is a generalised additive model (Lou, Caruana & Gehrke
2012): the trees of a feature add up to one step function (`training.step_tables`), which is all
that leaves this module.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import lightgbm
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from recsvc.model.additive import MAX_KNOTS
from recsvc.model.arrays import F32, F64, I32
from training.step_tables import StepTable, read_tables

Objective = Literal["pointwise", "ranking"]


@dataclass(frozen=True)
class BoostConfig:
    """How the step functions are learned; usual values, results hardly moved with them.

    `most_rounds` is a limit: where there are at least `least_positives` positives, rounds are
    chosen on a held-back `validation_share`; with fewer, `few_rounds` and `few_l2` hold.
    `ranking_loss`: what "ranking" examples are learned with (see `_loss`).
    """

    learning_rate: float = 0.1
    most_leaves: int = 5
    most_rounds: int = 400
    patience_rounds: int = 20
    least_leaf_rows: int = 50
    l2: float = 5.0
    validation_share: float = 0.2
    least_positives: int = 400
    few_rounds: int = 40
    few_l2: float = 20.0
    ranking_loss: Literal["binary", "lambdarank"] = "binary"


@dataclass(frozen=True)
class Examples:
    """What a ranker learns from, in whole groups; rows of a group (query) stand together."""

    features: F32  # [n, F]
    labels: F32  # [n] 0 or 1
    weights: F32  # [n]
    groups: I32 | None  # [n] ascending
    start: F64  # [n] score to begin from
    worth: F32 | None = None  # [n] see fit_additive

    def select(self, rows: NDArray[Any]) -> Examples:
        """The rows (mask or ascending indices), still grouped."""
        groups = None if self.groups is None else self.groups[rows]
        worth = None if self.worth is None else self.worth[rows]
        return Examples(
            self.features[rows],
            self.labels[rows],
            self.weights[rows],
            groups,
            self.start[rows],
            worth,
        )


def boost(
    examples: Examples,
    usable: NDArray[np.intp],
    monotone: NDArray[np.int8],
    objective: Objective,
    config: BoostConfig,
    *,
    seed: int,
    threads: int,
) -> tuple[dict[int, StepTable], float]:
    """One step table for each feature some tree used, by its column, and the intercept.

    `usable` (int[u]) are the columns that vary, `monotone` int8[F] the directions steps must keep.
    Tables and intercept sum to the raw score of the booster, which goes on top of `start`.
    """
    positives = int((examples.labels > 0).sum())
    few = min(positives, len(examples.labels) - positives) < config.least_positives
    parameters = _parameters(examples, usable, monotone, objective, config, few, seed, threads)
    narrow = replace(examples, features=examples.features[:, usable])
    rounds = config.few_rounds if few else _best_rounds(narrow, parameters, config, seed)
    booster = lightgbm.train(parameters | own_loss(narrow), dataset_of(narrow, parameters), rounds)
    return read_tables(booster, usable)


def _parameters(
    examples: Examples,
    usable: NDArray[np.intp],
    monotone: NDArray[np.int8],
    objective: Objective,
    config: BoostConfig,
    few: bool,
    seed: int,
    threads: int,
) -> dict[str, Any]:
    n = len(examples.labels)
    return {
        "objective": _loss(objective, config),
        "learning_rate": config.learning_rate,
        "num_leaves": 3 if few else config.most_leaves,
        "min_data_in_leaf": max(5, min(config.least_leaf_rows, n // 20)),
        "min_sum_hessian_in_leaf": 1e-3,
        "lambda_l2": config.few_l2 if few else config.l2,
        # One bin is NaN's, one knot more than thresholds: the tables must fit MAX_KNOTS.
        "max_bin": MAX_KNOTS - 1,
        "bin_construct_sample_cnt": max(n, 1),
        "interaction_constraints": [[i] for i in range(len(usable))],
        "monotone_constraints": monotone[usable].tolist(),
        "feature_pre_filter": False,
        "deterministic": True,
        "force_row_wise": True,
        "seed": seed % (1 << 31),
        "num_threads": threads,
        "verbosity": -1,
        "boost_from_average": False,
        "lambdarank_truncation_level": 50,
        "metric": "ndcg" if _loss(objective, config) == "lambdarank" else "binary_logloss",
        "eval_at": [20],
    }


def _loss(objective: Objective, config: BoostConfig) -> str:
    """Binary loss also for ranking: as good as lambdarank, and what lines are fitted to.

    foursquare_nyc, four samples of negatives drawn evenly: Recall@20 .093 to .099 with either.
    """
    return "binary" if objective == "pointwise" else config.ranking_loss


def own_loss(examples: Examples) -> dict[str, Any]:
    """Binary loss of worth times the score, where rows are of several kinds."""
    if examples.worth is None:
        return {}
    labels, weights, worth = (
        a.astype(np.float64) for a in (examples.labels, examples.weights, examples.worth)
    )

    def loss(score: F64, _: lightgbm.Dataset) -> tuple[F64, F64]:
        p = expit(worth * score)
        return weights * worth * (p - labels), weights * worth**2 * p * (1.0 - p)

    return {"objective": loss, "metric": "None"}


def _judge(examples: Examples) -> Callable[..., tuple[str, float, bool]]:
    """The mean loss of the examples, by their scores."""
    assert examples.worth is not None
    labels, weights, worth = examples.labels, examples.weights, examples.worth

    def mean_loss(score: F64, _: lightgbm.Dataset) -> tuple[str, float, bool]:
        log_odds = worth * score
        losses = np.logaddexp(0.0, log_odds) - labels * log_odds
        return "loss", float(np.average(losses, weights=weights)), False

    return mean_loss


def _best_rounds(
    examples: Examples, parameters: dict[str, Any], config: BoostConfig, seed: int
) -> int:
    """The rounds that did best on a held-back part (of whole groups)."""
    rng = np.random.default_rng(seed)
    n = len(examples.labels)
    unit = np.arange(n) if examples.groups is None else examples.groups - examples.groups.min()
    held = (rng.random(int(unit.max()) + 1) < config.validation_share)[unit]
    train = dataset_of(examples.select(~held), parameters)
    valid = dataset_of(examples.select(held), parameters, reference=train)
    stop = lightgbm.early_stopping(config.patience_rounds, verbose=False)
    kept, judged = examples.select(~held), examples.select(held)
    booster = lightgbm.train(
        parameters | own_loss(kept),
        train,
        config.most_rounds,
        valid_sets=[valid],
        feval=None if judged.worth is None else _judge(judged),
        callbacks=[stop],
    )
    return max(1, int(booster.best_iteration))


def dataset_of(
    examples: Examples, parameters: dict[str, Any], reference: lightgbm.Dataset | None = None
) -> lightgbm.Dataset:
    sizes = None
    if examples.groups is not None and parameters["objective"] != "binary":
        sizes = np.unique(examples.groups, return_counts=True)[1]
    return lightgbm.Dataset(
        examples.features,
        examples.labels,
        weight=examples.weights,
        group=sizes,
        init_score=examples.start,
        reference=reference,
        params=parameters,
        free_raw_data=True,
    )
