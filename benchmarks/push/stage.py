"""A province cut at a day: what is known then goes to a model, what comes later is played out.

The model is trained by the nightly run on the log up to the cut; leads of later days come to the
policies as they are raised, by the service's own path. The ground truth stays on this side.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.province.config import DAY_US, HOUR_US, LOCAL_OFFSET_US
from benchmarks.workload import Province, ProvinceConfig, generate, write_dataset
from features.entities import Lead, LeadState
from features.events import EventLog
from features.vocabulary import Vocabulary
from recsvc.model.registry import ModelRegistry
from recsvc.model.snapshot import Snapshot
from training.config import TrainingConfig
from training.logs import DataSet, read_dataset
from training.nightly import Training

TENANT = "default"
LIFE_DAYS = 45
"""A lead that nobody has taken is closed when it is so old."""
PLAN_HOUR = 9
"""Local hour of the day at which pushes go out."""


@dataclass(frozen=True)
class Stage:
    """What a simulation stands on. Rows are the province's."""

    province: Province
    leads: tuple[Lead, ...]  # as the platform would send them, all open, nothing known afterwards
    begin_us: int  # midnight of the first day, local time
    days: int
    open_rows: NDArray[np.int64]  # leads that are open when it begins
    registry: ModelRegistry

    def snapshot(self) -> Snapshot:
        """The model as it was published; each has arrays of its own."""
        published = self.registry.published()
        assert published is not None, "the stage has published it"
        return Snapshot(self.registry.load(published))

    def rows_of_day(self, day: int) -> NDArray[np.int64]:
        """Leads that are raised between the plan of the day before and this day's."""
        create = self.province.leads.create_us
        end = self.plan_us(day)
        begin = self.begin_us if day == 0 else self.plan_us(day - 1)
        return np.flatnonzero((create >= begin) & (create < end))

    def plan_us(self, day: int) -> int:
        """When the pushes of a day go out."""
        return self.begin_us + day * DAY_US + PLAN_HOUR * HOUR_US


def make_stage(config: ProvinceConfig, days: int, seed: int, folder: Path) -> Stage:
    """Draws a province, cuts it `days` before its end, trains and publishes into `folder`."""
    province = generate(config, seed)
    end_local = config.end_time_us + LOCAL_OFFSET_US
    begin_us = end_local // DAY_US * DAY_US - LOCAL_OFFSET_US - days * DAY_US
    with tempfile.TemporaryDirectory(prefix="recsvc-province-") as written:
        write_dataset(province, Path(written), "parquet")
        whole = read_dataset(Path(written))
    leads = tuple(without_hindsight(lead) for lead in whole.leads)
    open_rows = _open_at(province, begin_us)
    known = known_until(whole, leads, open_rows, begin_us)
    settings = TrainingConfig(seed=seed, threads=1)
    bundle, _ = Training(settings, TENANT, lambda _: None).train(known)
    registry = ModelRegistry(folder, TENANT)
    registry.publish(bundle)
    return Stage(province, leads, begin_us, days, open_rows, registry)


def without_hindsight(lead: Lead) -> Lead:
    """Without what is only known afterwards."""
    return replace(lead, state=LeadState.OPEN, close_time_us=0, support_count=0)


def _open_at(province: Province, begin_us: int) -> NDArray[np.int64]:
    """Leads of the last weeks that nobody had claimed."""
    settled = province.log.settled
    claims = settled.exposures.claim_us
    first = np.full(len(province.leads), np.iinfo(np.int64).max)
    np.minimum.at(first, settled.exposures.lead, claims)
    create = province.leads.create_us
    young = (create < begin_us) & (create >= begin_us - LIFE_DAYS * DAY_US)
    return np.flatnonzero(young & (first >= begin_us))


def known_until(
    whole: DataSet, leads: tuple[Lead, ...], open_rows: NDArray[np.int64], begin_us: int
) -> DataSet:
    """The data set as it was at `begin_us`: leads raised, events seen, states of that day."""
    still_open = set(open_rows.tolist())
    kept = [row for row, lead in enumerate(leads) if lead.create_time_us < begin_us]
    there = [
        leads[row]
        if row in still_open
        else replace(leads[row], state=LeadState.CLOSED, close_time_us=begin_us)
        for row in kept
    ]
    place = np.full(len(leads) + 1, -1, np.int32)
    place[kept] = np.arange(len(kept), dtype=np.int32)
    events = whole.events.select(whole.events.time_us < begin_us)
    columns: dict[str, NDArray[Any]] = {
        name: getattr(events, name) for name in EventLog.__dataclass_fields__
    }
    columns["lead"] = place[events.lead]  # -1 finds the last entry: none
    return replace(
        whole,
        leads=there,
        lead_ids=Vocabulary(lead.lead_id for lead in there),
        events=EventLog.from_columns(columns),
        event_ids=None,
    )
