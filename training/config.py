"""What a training run can be told; every default was chosen on validation data."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field

from features.config import FeatureConfig
from training.calibrate import CalibrationConfig
from training.ranker import RankerConfig


@dataclass(frozen=True)
class SplitConfig:
    """How the log is cut: an early part to learn state from, a later part to learn from and judge.

    `later_share` of the events (by time, or by a hash when the log has no times) make the later
    part; half of its members judge, the other half teach the ranker. A log with times and exposures
    is judged on its last `judged_share` and taught by `taught_share` of the leads before: of these,
    `whole_share` from their beginning on, the others from one of their exposures on. Silence for
    `attribution_days` is a refusal.
    """

    later_share: float = 0.2
    judged_share: float = 0.1
    taught_share: float = 0.3
    whole_share: float = 0.5
    attribution_days: float = 7.0


@dataclass(frozen=True)
class AnswerConfig:
    """Prior standard deviations (log-odds) of willingness and appeal, and of appeal from words.

    Willing members are far apart (bytecup2016: most take nothing, some nearly all), hence the wide
    prior. Of `content_ridges` the best is taken, tried on some of the leads.
    `half_life_days`: of what a member answers to. `opening_worth`: what one log-odds of a claim is
    in log-odds of a closer look. `moment_…`: how fast a topic's moment passes, and the information
    that speaks for an average one.
    """

    willingness_deviation: float = 4.0
    appeal_deviation: float = 2.0
    content_ridges: tuple[float, ...] = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1_000.0)
    most_tried_leads: int = 20_000
    fewest_leads: int = 50
    half_life_days: float = 365.0
    opening_worth: float = 0.5
    moment_half_life_months: float = 3.0
    moment_precision: float = 16.0


@dataclass(frozen=True)
class NeighbourConfig:
    """Which leads go together: see training.neighbours.

    Each lead is compared with its `nearest` ones; those with fewer than `fewest_takers` are out.
    `ridge`: prior weight, in members; `shrink`: what is added to the divisor of the cosine.
    `most_pairs_count`: members are sampled when all their pairs of leads would be more.
    """

    nearest: int = 32
    ridge: float = 50.0
    shrink: float = 5.0
    fewest_takers: int = 2
    most_pairs_count: int = 40_000_000


@dataclass(frozen=True)
class ExampleConfig:
    """Examples for the ranker: at most so many logged pairs, members to ask for negatives, and
    negatives a member (or lead). With fewer than `few_authored` pairs of who wrote what, all are
    examples, in `authored_folds`: see training.authored; with fewer than `few_exposed` exposed
    pairs in the later part, those of the whole log are, in `exposed_folds`, dealt `exposed_rounds`
    times: see training.crossed.
    Until there are `enough_rows`, closer looks teach beside claims: see training.responses."""

    most_members: int = 4_000
    most_pairs: int = 600_000
    negatives_per_member: int = 60
    authored_folds: int = 5
    few_authored: int = 1_000
    exposed_folds: int = 5
    exposed_rounds: int = 2
    few_exposed: int = 100_000
    enough_rows: int = 250_000


@dataclass(frozen=True)
class GateConfig:
    """When a bundle may be published.

    `tolerance`: how far below the last published bundle's figure the new one's confidence interval
    may end. `evaluation_members`: how many members (or leads) are asked.
    """

    tolerance: float = 0.02
    slice_tolerance: float = 0.05
    evaluation_members: int = 2_000
    probe_members: int = 50


@dataclass(frozen=True)
class TrainingConfig:
    """One default for every data set; the trainer chooses models and dimensions from the data.

    `left_out`: groups of terms (EXPERTISE, PLACE, …) that the ranker does without, and CONTENT_MAP
    for leads nobody touched to stay without a vector: to see what a part is worth.
    """

    features: FeatureConfig = field(default_factory=FeatureConfig)
    split: SplitConfig = field(default_factory=SplitConfig)
    examples: ExampleConfig = field(default_factory=ExampleConfig)
    ranker: RankerConfig = field(default_factory=RankerConfig)
    answers: AnswerConfig = field(default_factory=AnswerConfig)
    neighbours: NeighbourConfig = field(default_factory=NeighbourConfig)
    calibration: CalibrationConfig = field(default_factory=CalibrationConfig)
    gate: GateConfig = field(default_factory=GateConfig)
    interest_half_life_days: float = 90.0
    left_out: tuple[str, ...] = ()
    seed: int = 20200101
    threads: int = 2

    @property
    def hash(self) -> str:
        """16 hexadecimal digits that change when any setting does."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
