"""Which embedding a data set gets: chosen on a part of its own events, held out by chance.

What is tried depends on the shape of the data alone and not on the clock, so that the same log
gives the same choice on every machine.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from training.embeddings.als import AlsModel
from training.embeddings.base import Embedding, EmbeddingModel, TrainingData, score_spread
from training.embeddings.blended import BlendModel
from training.embeddings.content import ContentConfig
from training.embeddings.ranks import Mixture, Part
from training.embeddings.spectral import SpectralModel, Spectrum
from training.embeddings.validation import Figures, Holdout, hold_out, measure_mixtures

# Of members and leads: from few data to many, popularity counts differently.
_EXPONENTS = ((0.3, 0.4), (0.5, 0.3), (0.5, 0.5))
_OUTPUT_STEPS = (0.0, -0.1)
_DIMENSIONS = (64, 128, 256, 512, 1024)
_ALS = AlsModel(128, regularization=20.0, alpha=40.0)
_SMALL_ALS = AlsModel(64, regularization=10.0, alpha=10.0)
# For leads that only their content tells of: on citeulike_a, leads held out of the training events,
# Recall@100 of the mapped vectors .594 with 128 dimensions, .608 with these.
_WIDE_ALS = AlsModel(256, regularization=40.0, alpha=40.0, content=ContentConfig(rank=256))
_ALS_WEIGHTS = (0.3, 0.6, 1.0)
_FEWEST_PAIRS = 2_000
_FEWEST_FOR_WIDE, _MANY_PAIRS = 80_000, 300_000
# Twice the dimensions double what a scan costs: they have to find 1 % more.
_PRICE = math.log2(1.01)
_TRIAL_ITERATIONS = 4


@dataclass(frozen=True)
class Trial:
    """One model that was tried, what it found of the held-out events, and how long it took."""

    model: EmbeddingModel
    figures: Figures
    seconds: float


@dataclass(frozen=True)
class Choice:
    """The model to fit on all events, and every trial behind it."""

    model: EmbeddingModel
    trials: tuple[Trial, ...]


def choose_embedding(
    interactions: sparse.csr_matrix,
    content: sparse.csr_matrix | None,
    *,
    seed: int,
    threads: int,
) -> EmbeddingModel:
    """The model for interactions csr float32[m, n] and content csr float32[n, t]."""
    return choose(interactions, content, seed=seed, threads=threads).model


def choose(
    interactions: sparse.csr_matrix,
    content: sparse.csr_matrix | None = None,
    member_content: sparse.csr_matrix | None = None,
    *,
    seed: int,
    threads: int,
) -> Choice:
    """Exponents first, then dimensions, then whether ALS beside the spectrum is worth its columns.

    With content, leads held out whole count as much as held-out pairs: a lead nobody touched is the
    normal case. Below 2,000 pairs nothing can be told apart, and the default model is taken.
    """
    data = TrainingData.checked(interactions, content, member_content)
    if data.interactions.nnz < _FEWEST_PAIRS:
        return Choice(SpectralModel(dimensions=64), ())
    cold_share = 0.1 if content is not None else 0.0
    holdout = hold_out(data, share=0.2, cold_share=cold_share, seed=seed)
    search = _Search(holdout, seed, threads)
    model = search.beside(*search.spectral())
    return Choice(model, tuple(search.trials))


class _Search:
    """The trials on one holdout."""

    def __init__(self, holdout: Holdout, seed: int, threads: int) -> None:
        self.trials: list[Trial] = []
        self._holdout, self._seed, self._threads = holdout, seed, threads

    def spectral(self) -> tuple[SpectralModel, Spectrum]:
        """The best spectral model by held-out pairs, and its spectrum, not to be computed twice.

        The exponents are chosen at few dimensions, where a trial is cheap.
        """
        found: list[tuple[float, SpectralModel]] = []
        for member, lead in _EXPONENTS:
            outputs = [round(lead + step, 2) for step in _OUTPUT_STEPS]
            found += self._cuts(SpectralModel(_DIMENSIONS[1], member, lead), outputs)[0]
        best = max(found, key=lambda pair: pair[0])[1]
        wide = replace(best, dimensions=_most_dimensions(self._holdout.train.interactions.nnz))
        found, spectrum = self._cuts(wide, [best.output_exponent])
        return max(found, key=lambda pair: pair[0])[1], spectrum

    def beside(self, spectral: SpectralModel, spectrum: Spectrum) -> EmbeddingModel:
        """`spectral` alone, ALS alone or both, also by what they say of untouched leads."""
        started = time.perf_counter()
        data = self._holdout.train
        others = _others(data)
        trial = replace(spectral, content=ContentConfig(most_iterations=_TRIAL_ITERATIONS))
        embeddings = [trial.embed(data, spectrum, threads=self._threads), *map(self._fit, others)]
        models, weights = _alone_and_blended(spectral, others, embeddings, self._seed)
        parts = [Part(one.members, one.leads) for one in embeddings]
        mixtures = [Mixture(tuple(own.tolist())) for own in weights]
        found = self._tried(models, parts, mixtures, started)
        widths = np.array([one.dimensions_count for one in embeddings]) * (weights > 0.0)
        values = [_value(f, found[0], w) for f, w in zip(found, widths.sum(axis=1), strict=True)]
        return models[int(np.argmax(values))]

    def _cuts(
        self, widest: SpectralModel, outputs: Sequence[float]
    ) -> tuple[list[tuple[float, SpectralModel]], Spectrum]:
        """One decomposition, and what it is worth at every usual width and output exponent."""
        started = time.perf_counter()
        data = TrainingData(self._holdout.train.interactions)
        spectrum = widest.decompose(data.interactions, seed=self._seed, threads=self._threads)
        flat = replace(widest, output_exponent=0.0).embed(data, spectrum, threads=self._threads)
        widths = _widths(len(spectrum.values))
        edges = pairwise([0, *widths])
        parts = [Part(flat.members[:, a:b], flat.leads[:, a:b]) for a, b in edges]
        models, mixtures = [], []
        for output, dimensions in product(outputs, widths):
            models.append(replace(widest, dimensions=dimensions, output_exponent=output))
            used = tuple(float(width <= dimensions) for width in widths)
            mixtures.append(Mixture(used, (spectrum.lead_sums**output).astype(np.float32)))
        found = self._tried(models, parts, mixtures, started)
        worth = [f.warm * m.dimensions**-_PRICE for f, m in zip(found, models, strict=True)]
        return list(zip(worth, models, strict=True)), spectrum

    def _fit(self, model: AlsModel) -> Embedding:
        data = self._holdout.train
        content = replace(model.content, most_iterations=_TRIAL_ITERATIONS)
        return replace(model, content=content).fit(
            data.interactions,
            data.content,
            data.member_content,
            seed=self._seed,
            threads=self._threads,
        )

    def _tried(
        self,
        models: Sequence[EmbeddingModel],
        parts: Sequence[Part],
        mixtures: Sequence[Mixture],
        started: float,
    ) -> list[Figures]:
        """Measures models, each a mixture of the parts; each is said to have taken its share."""
        found = measure_mixtures(parts, mixtures, self._holdout, self._seed, threads=self._threads)
        seconds = (time.perf_counter() - started) / len(models)
        self.trials += [Trial(m, f, seconds) for m, f in zip(models, found, strict=True)]
        return found


def _others(data: TrainingData) -> tuple[AlsModel, ...]:
    """What is tried beside the spectrum."""
    if data.interactions.nnz >= _MANY_PAIRS:
        return (_ALS,)
    wide = data.content is not None and data.interactions.nnz >= _FEWEST_FOR_WIDE
    return (_ALS, _SMALL_ALS, _WIDE_ALS) if wide else (_ALS, _SMALL_ALS)


def _alone_and_blended(
    spectral: SpectralModel, others: Sequence[AlsModel], embeddings: Sequence[Embedding], seed: int
) -> tuple[list[EmbeddingModel], NDArray[np.float64]]:
    """The models to choose from, and the weight that each gives to each embedding's scores."""
    units = np.diag([1.0 / score_spread(one, seed) for one in embeddings])
    models: list[EmbeddingModel] = [spectral]
    weights = [units[0]]
    for own, als in zip(units[1:], others, strict=True):
        models += [als, *(BlendModel((spectral, als), (1.0, weight)) for weight in _ALS_WEIGHTS)]
        weights += [own, *(units[0] + weight * own for weight in _ALS_WEIGHTS)]
    return models, np.array(weights)


def _value(figures: Figures, first: Figures, width: int) -> float:
    """Warm and cold as shares of the first trial's, together, less the price of the columns."""
    warm = figures.warm / first.warm if first.warm else 0.0
    cold = figures.cold / first.cold if first.cold else 0.0
    return float((warm + cold) * width**-_PRICE)


def _most_dimensions(pairs_count: int) -> int:
    """How many directions so many pairs can tell apart."""
    return 256 if pairs_count < 100_000 else 512 if pairs_count < _MANY_PAIRS else _DIMENSIONS[-1]


def _widths(most: int) -> list[int]:
    """The usual widths that the spectrum has, and what it has when that is less than any."""
    return [d for d in _DIMENSIONS if d <= most] or [most]
