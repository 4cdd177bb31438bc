"""Searches settings for an operator's own data, without looking at the part that judges.

The end of the log (or a hash's share without times) is set aside: trials are trained and measured
on what comes before it. Only when the search is over, the best settings and the defaults are
measured once on the part set aside, as the nightly run does. Trials are kept in a file; a search
that was interrupted goes on where it was.

The sampler is optuna's tree-structured Parzen estimator (Bergstra et al. 2011).
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from features.entities import EventKind
from features.errors import DataError
from training.config import TrainingConfig
from training.evaluate import Evaluation, Figure
from training.logs import DataSet
from training.nightly import Training
from training.settings import configured, setting
from training.split import split_log

if TYPE_CHECKING:
    import optuna

Progress = Callable[[str], None]
Trainer = Callable[[TrainingConfig, DataSet, Progress], Evaluation]
"""Trains with a configuration and says how good that was on the data's own later part."""

WORST = -1.0
"""What a trial is worth that leaves nothing to measure."""
JUDGED_TRIALS = 2.5
"""The part set aside costs so many trials: two trainings, each on somewhat more events."""


@dataclass(frozen=True)
class Range:
    """What a setting is searched in; `scale` "whole" and "log" as usual."""

    name: str
    low: float
    high: float
    scale: Literal["log", "whole", "plain"] = "plain"
    needs: Literal["", "times", "exposures"] = ""


SEARCHED: tuple[Range, ...] = (
    Range("interest_half_life_days", 14.0, 1_000.0, "log", needs="times"),
    Range("answers.willingness_deviation", 0.5, 8.0, "log", needs="exposures"),
    Range("answers.appeal_deviation", 0.5, 4.0, "log", needs="exposures"),
    Range("examples.negatives_per_member", 20, 120, "whole"),
    Range("ranker.boost.learning_rate", 0.02, 0.3, "log"),
    Range("ranker.boost.most_leaves", 2, 12, "whole"),
    Range("ranker.boost.l2", 0.5, 50.0, "log"),
    Range("ranker.lines.ridge", 0.5, 50.0, "log"),
)


@dataclass(frozen=True)
class Tuned:
    """What was found. `default` and `best` are figures on the part that no trial saw."""

    settings: dict[str, Any]
    trial_count: int
    measure: str
    trial_value: float
    trial_default: float
    best: Figure | None
    default: Figure | None

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "settings": self.settings,
            "trials": self.trial_count,
            "measure": self.measure,
            "trial_value": self.trial_value,
            "trial_default": self.trial_default,
            "set_aside_best": self.best.as_json() if self.best else None,
            "set_aside_default": self.default.as_json() if self.default else None,
        }


def nightly(config: TrainingConfig, data: DataSet, progress: Progress) -> Evaluation:
    """The nightly run's training and its own judgement."""
    return Training(config, "tune", progress).train(data)[1]


def searched(data: DataSet) -> tuple[Range, ...]:
    """The settings that can matter for this data."""
    kinds = set(data.events.kind.tolist())
    exposed = bool(kinds & {EventKind.PUSHED, EventKind.SHOWN})
    has = {"": True, "times": data.events.has_times, "exposures": exposed}
    return tuple(one for one in SEARCHED if has[one.needs])


class Tuning:
    """A search on one data set, kept in `storage` (a SQLite file). Raises DataError.

    `progress` hears what is being done, `done` a line for each finished trial.
    """

    def __init__(
        self,
        data: DataSet,
        config: TrainingConfig,
        storage: Path,
        progress: Progress,
        trainer: Trainer = nightly,
        done: Progress = lambda _: None,
    ) -> None:
        self._trainer, self._done = trainer, done
        self._data, self._config, self._progress = data, config, progress
        early = split_log(data.events, len(data.leads), config.split, config.seed).early
        if not len(early):
            raise DataError("the data set has no events: there is nothing to tune on")
        self._trial_data = replace(data, events=early)
        self._ranges = searched(data)
        self._measure = ""
        self._study = _study(storage, self._name(), config.seed)

    @property
    def trial_count(self) -> int:
        """Finished trials, earlier runs' included."""
        return len([t for t in self._study.trials if t.value is not None])

    def search(self, seconds: float, trials: int | None = None) -> None:
        """Tries settings until the time is over or so many trials are finished in this run.

        No trial is begun whose end and what `result` trains would exceed the time, but one always
        is where there is none yet. The defaults come first, also when an earlier run was ended
        while it tried them.
        """
        import optuna  # an extra: __init__ has told by now when it is missing

        waiting = self._study.get_trials(states=(optuna.trial.TrialState.WAITING,))
        if self._default_trial() is None and not waiting:
            self._study.enqueue_trial(self._defaults())
        begin = time.monotonic()

        def enough(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
            took = trial.duration.total_seconds() if trial.duration else 0.0
            self._tell(trial, took)
            if time.monotonic() - begin + (1.0 + JUDGED_TRIALS) * took > seconds:
                study.stop()

        if seconds > 0.0 or not self.trial_count:
            self._study.optimize(self._trial, n_trials=trials, callbacks=[enough])

    def _tell(self, trial: optuna.trial.FrozenTrial, took_seconds: float) -> None:
        best = self._study.best_trial
        self._done(
            f"trial {trial.number + 1}: {self._measure} {trial.value:.4f} in {took_seconds:.0f} s; "
            f"best {best.value:.4f}, trial {best.number + 1}"
        )

    def _defaults(self) -> dict[str, Any]:
        return {one.name: setting(self._config, one.name) for one in self._ranges}

    def _default_trial(self) -> optuna.trial.FrozenTrial | None:
        """The finished trial of the defaults."""
        wanted = self._defaults()
        found = [t for t in self._study.trials if t.value is not None and t.params == wanted]
        return found[0] if found else None

    def result(self) -> Tuned:
        """The best settings, measured once beside the defaults on the part set aside."""
        if not self.trial_count:
            raise DataError("no trial was finished: give it more time")
        best = self._study.best_trial
        settings = dict(best.params)
        self._progress("the part set aside: best settings")
        found = self._set_aside(settings)
        self._progress("the part set aside: defaults")
        default = self._set_aside({})
        first = self._default_trial() or best
        measure = found.name if found else self._measure
        return Tuned(
            settings,
            self.trial_count,
            measure,
            float(best.value or 0.0),
            float(first.value or 0.0),
            found,
            default,
        )

    def _trial(self, trial: optuna.Trial) -> float:
        values: dict[str, Any] = {one.name: _suggested(trial, one) for one in self._ranges}
        # Another seed: the same hash would cut the same part off again, and nothing be left.
        values["seed"] = self._config.seed + 1
        figure = self._figure(values, self._trial_data, f"trial {trial.number + 1}")
        return WORST if figure is None else figure.value

    def _set_aside(self, values: Mapping[str, Any]) -> Figure | None:
        return self._figure(values, self._data, "the part set aside")

    def _figure(self, values: Mapping[str, Any], data: DataSet, what: str) -> Figure | None:
        config = configured(self._config, values)
        evaluation = self._trainer(config, data, lambda stage: self._progress(f"{what}: {stage}"))
        figure = evaluation.figure(evaluation.primary)
        self._measure = evaluation.primary
        return figure if figure is not None and figure.value == figure.value else None

    def _name(self) -> str:
        """One study a data set, configuration and space: another one must not be mixed in."""
        events = self._data.events
        told = [self._config.hash, str(self._ranges), str(len(self._data.members))]
        digest = hashlib.sha256(" ".join(told).encode())
        for column in (events.member, events.lead, events.kind, events.time_us):
            digest.update(column.tobytes())
        return digest.hexdigest()[:16]


def _suggested(trial: optuna.Trial, one: Range) -> float | int:
    if one.scale == "whole":
        return trial.suggest_int(one.name, int(one.low), int(one.high))
    return trial.suggest_float(one.name, one.low, one.high, log=one.scale == "log")


def _study(storage: Path, name: str, seed: int) -> optuna.Study:
    try:
        import optuna
    except ModuleNotFoundError as error:
        raise DataError("recsvc tune needs optuna: pip install 'recsvc[tune]'") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage.parent.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        storage=f"sqlite:///{storage}", study_name=name, direction="maximize", load_if_exists=True
    )
    # Every continuation draws on from another seed, or it would try the first settings again.
    study.sampler = optuna.samplers.TPESampler(seed=seed % 2**31 + len(study.trials))
    for trial in study.get_trials(states=(optuna.trial.TrialState.RUNNING,)):
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)  # its process ended
    return study
