"""Topics of leads that come without one: the product's topic model on labelled texts."""

from __future__ import annotations

import time
from pathlib import Path

import polars as pl

from benchmarks.quality import names
from benchmarks.quality.rows import SERVED, Row
from features.errors import DataError
from features.topic_learning import cross_validate_topics

FOLDS = 5


def topic_rows(folder: Path, seed: int, most: int | None = None) -> list[Row]:
    """Macro-F1 by stratified 5-fold on `labelled.csv.gz` (columns segmented_text, label).

    `most`: at most so many texts, drawn by the seed.
    """
    table = _labelled(folder / names.LABELLED)
    if most is not None and most < len(table):
        table = table.sample(most, seed=seed)
    # The file comes segmented by somebody else: the product cuts text itself.
    texts = [text.replace(" ", "") for text in table["segmented_text"].to_list()]
    begin = time.perf_counter()
    scores = cross_validate_topics(texts, table["label"].to_list(), FOLDS, seed)
    seconds = time.perf_counter() - begin
    told = {
        "macro-f1": scores.macro_f1,
        "accuracy": scores.accuracy,
        "precision of confident topics": scores.confident_precision,
        "share with a confident topic": scores.confident_share,
    }
    return [
        Row(
            folder.name, f"{FOLDS} folds", "topics of texts", SERVED, "served", measure, figure,
            count=len(texts), seconds=seconds,
        )
        for measure, figure in told.items()
    ]  # fmt: skip


def _labelled(path: Path) -> pl.DataFrame:
    """The table; raises DataError when its columns are missing or a label is too rare for folds."""
    try:
        table = pl.read_csv(path).select("segmented_text", "label").drop_nulls()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"{path}: {error}") from error
    rarest = table["label"].value_counts()["count"].min() if len(table) else 0
    if not isinstance(rarest, int) or rarest < FOLDS or table["label"].n_unique() < 2:
        raise DataError(f"{path}: {FOLDS} folds need two labels with {FOLDS} texts each")
    return table
