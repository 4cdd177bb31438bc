"""The ground truth as tables, for those who ask; it never gets into the data set itself."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from benchmarks.province.config import WORLD_VERSION
from benchmarks.province.lexicon import STYLES
from benchmarks.province.race import Outcome
from benchmarks.province.tables import rfc3339

if TYPE_CHECKING:
    from benchmarks.province.world import Province


def truth_tables(p: Province) -> dict[str, pl.DataFrame]:
    """Name -> table: members, expertise (one row a member and topic), leads, exposures."""
    return {
        "members": _members(p),
        "expertise": _expertise(p),
        "leads": _leads(p),
        "exposures": _exposures(p),
    }


def world_json(p: Province) -> str:
    """Which world this is: version, seed, configuration."""
    world = {"world_version": WORLD_VERSION, "seed": p.seed, "config": asdict(p.config)}
    return json.dumps(world, indent=2, sort_keys=True) + "\n"


def _members(p: Province) -> pl.DataFrame:
    m = p.members
    return pl.DataFrame(
        {
            "member_id": p.member_ids,
            "rural": p.member_rural,
            "retired": m.retired,
            "willingness": m.willingness,
            "latitude": m.latitude[:, 0],
            "longitude": m.longitude[:, 0],
            "interest_turns": rfc3339(m.turn_us),
            "interest_turn_days": m.turn_days,
            **{f"taste_{style}": m.taste[:, k] for k, style in enumerate(STYLES)},
        }
    )


def _expertise(p: Province) -> pl.DataFrame:
    m, names = p.members, np.array([topic.name for topic in p.lexicon.topics])
    count = len(names)
    return pl.DataFrame(
        {
            "member_id": np.repeat(np.array(p.member_ids), count),
            "topic": np.tile(names, len(m)),
            "expertise": m.expertise.ravel(),
            "early_interest": m.early_interest.ravel(),
            "late_interest": m.late_interest.ravel(),
        }
    )


def _leads(p: Province) -> pl.DataFrame:
    leads = p.leads
    names = np.array([*(topic.name for topic in p.lexicon.topics), ""])
    return pl.DataFrame(
        {
            "lead_id": p.lead_ids,
            "rural": p.lead_rural,
            "untouched": leads.untouched,
            "topic": names[leads.topic],
            "second_topic": names[leads.second_topic],
            "second_weight": leads.second_weight,
            "told_topic": names[leads.told_topic],
            "facet": leads.facet,
            "style": np.array(STYLES)[leads.style],
            "appeal": leads.appeal,
            "latitude": leads.latitude,
            "longitude": leads.longitude,
        }
    )


def _exposures(p: Province) -> pl.DataFrame:
    x = p.log.settled.exposures
    outcomes = np.array([outcome.name for outcome in Outcome])
    return pl.DataFrame(
        {
            "member_id": np.array(p.member_ids)[x.member],
            "lead_id": np.array(p.lead_ids)[x.lead],
            "time": rfc3339(x.time_us),
            "position": x.position,
            "wave": x.wave,
            "propensity": x.propensity,
            "probability": x.probability,
            "outcome": outcomes[p.log.settled.outcome],
        }
    )
