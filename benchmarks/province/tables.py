"""The province as tables in the data-set layout, and as truth tables for those who ask."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.province.arrays import Bools, Ints
from benchmarks.province.config import LOCAL_OFFSET_US, stream
from benchmarks.province.conflicts import AUTHOR, LEAD, ORGANIZATION, REASONS
from benchmarks.province.leads import SOURCES
from benchmarks.province.members import PLACE_KINDS
from benchmarks.province.world import Province
from features.entities import DismissReason, EventKind, LeadState

LOGGING_POLICY = "logging-policy-1"


def rfc3339(time_us: Ints, known: Bools | None = None) -> pl.Series:
    """Instants as RFC 3339 with China's offset, to the millisecond; null where not known."""
    local = pl.Series(np.asarray(time_us, np.int64) + LOCAL_OFFSET_US).cast(pl.Datetime("us"))
    text = local.dt.strftime("%Y-%m-%dT%H:%M:%S%.3f+08:00")
    return text if known is None else _where(known, text)


def province_tables(p: Province) -> dict[str, pl.DataFrame]:
    """The data set: members, leads, events, organizations, conflicts; no truth in them."""
    return {
        "members": member_table(p),
        "leads": lead_table(p),
        "events": event_table(p),
        "organizations": organization_table(p),
        "conflicts": conflict_table(p),
    }


def member_table(p: Province) -> pl.DataFrame:
    """`members`; coordinates and regions are partly missing, as they are in life."""
    m, g = p.members, p.geography
    n = len(m)
    gap = stream(p.seed, "member gaps").random(n)
    has_point, has_region = (gap < 0.72) | (gap >= 0.98), gap < 0.95
    town = np.array(g.town_codes)[m.town[:, 0]]
    county = np.array(g.county_codes)[m.county]
    deep = stream(p.seed, "member regions").random(n) < 0.4
    return pl.DataFrame(
        {
            "member_id": p.member_ids,
            "organization_id": np.array(p.organizations.ids)[m.organization],
            "name": p.names,
            "sector": np.array([s.name for s in p.lexicon.sectors])[m.sector],
            "expertise": p.expertise_texts,
            "topics": _topic_lists(p, m.stated),
            "region_code": _where(has_region, pl.Series(np.where(deep, town, county))),
            "latitude": _degrees(m.latitude[:, 0], has_point),
            "longitude": _degrees(m.longitude[:, 0], has_point),
            "places": _more_places(p),
            "weekly_push_limit": _where(m.weekly_limit >= 0, pl.Series(m.weekly_limit)),
            "active": m.leave_us > p.config.end_time_us,
            "join_time": rfc3339(m.join_us),
        }
    )


def lead_table(p: Province) -> pl.DataFrame:
    """`leads`."""
    leads, fates = p.leads, p.fates
    n = len(leads)
    has_point = stream(p.seed, "lead points").random(n) < 0.65
    return pl.DataFrame(
        {
            "lead_id": p.lead_ids,
            "create_time": rfc3339(leads.create_us),
            "organization_id": np.array(p.organizations.ids)[leads.organization],
            "source": np.array(SOURCES)[leads.source],
            "author_id": _authors(leads.author),
            "title": p.titles,
            "body": p.bodies,
            "topics": _topic_lists(p, leads.listed),
            "region_code": _lead_regions(p, stream(p.seed, "lead regions").random(n)),
            "latitude": _degrees(leads.latitude, has_point),
            "longitude": _degrees(leads.longitude, has_point),
            "urgency": leads.urgency,
            "support_count": fates.support_count,
            "state": np.array(["", *(s.name for s in LeadState)])[fates.state],
            "close_time": rfc3339(fates.close_us, fates.close_us > 0),
            "claim_capacity": _where(leads.capacity > 0, pl.Series(leads.capacity)),
        }
    )


def event_table(p: Province) -> pl.DataFrame:
    """`events`. An answer carries the push or the token of the exposure that it followed."""
    e, x = p.log.events, p.log.settled.exposures
    row, exposed = np.maximum(e.exposure, 0), e.exposure >= 0
    is_exposure = (e.kind == EventKind.PUSHED) | (e.kind == EventKind.SHOWN)
    is_list, position = exposed & (x.session[row] >= 0), x.position[row]
    kinds = np.array(["", *(k.name for k in EventKind)])
    reasons = np.array(["", *(r.name for r in list(DismissReason)[1:])])
    return pl.DataFrame(
        {
            "event_id": _numbered("e", np.arange(len(e)), 8),
            "kind": kinds[e.kind],
            "time": rfc3339(e.time_us),
            "member_id": _numbered("m", e.member, 7),
            "lead_id": _where(e.lead >= 0, _numbered("l", e.lead, 8)),
            "position": _where(is_list & is_exposure, pl.Series(position)),
            "attribution_token": _where(is_list, _numbered("t", x.session[row], 8)),
            "push_id": _where(exposed & ~is_list, _numbered("p", row, 8)),
            "wave": _where(exposed & ~is_list & is_exposure, pl.Series(x.wave[row])),
            "propensity": _where(is_exposure, pl.Series(x.propensity[row]).round_sig_figs(6)),
            "model_version": _where(exposed, pl.Series([LOGGING_POLICY]).new_from_index(0, len(e))),
            "rating": _where(~np.isnan(e.rating), pl.Series(e.rating)),
            "reason": _where(e.reason > 0, pl.Series(reasons[e.reason])),
        }
    )


def organization_table(p: Province) -> pl.DataFrame:
    """`organizations`."""
    o = p.organizations
    parent = pl.Series(np.array(o.ids)[np.maximum(o.parent, 0)])
    return pl.DataFrame(
        {
            "organization_id": o.ids,
            "name": o.names,
            "parent_id": _where(o.parent >= 0, parent),
            "level": o.level + 1,
            "region_code": o.region_codes,
            "jurisdiction": o.jurisdictions,
            "push_schedule": o.push_schedules,
            "time_zone": ["Asia/Shanghai"] * len(o.ids),
            "quiet_hours": ["21:00-08:00"] * len(o.ids),
        }
    )


def conflict_table(p: Province) -> pl.DataFrame:
    """`conflicts`: each names a lead, an author or an organization."""
    c = p.conflicts
    leads, organizations = (
        np.maximum(c.target, 0),
        np.clip(c.target, 0, len(p.organizations.ids) - 1),
    )
    return pl.DataFrame(
        {
            "member_id": _numbered("m", c.member, 7),
            "lead_id": _where(c.kind == LEAD, _numbered("l", leads, 8)),
            "author_id": _where(c.kind == AUTHOR, _authors(c.target)),
            "organization_id": _where(
                c.kind == ORGANIZATION, pl.Series(np.array(p.organizations.ids)[organizations])
            ),
            "reason": np.array(REASONS)[c.reason],
        }
    )


def _where(known: NDArray[np.bool_], values: pl.Series) -> pl.Series:
    """The values, null where not known."""
    blank = pl.Series([None], dtype=values.dtype).new_from_index(0, len(values))
    return values.zip_with(pl.Series(known), blank)


def _numbered(prefix: str, rows: Ints, digits: int) -> pl.Series:
    """Ids such as m0000012."""
    text = pl.Series("n", np.asarray(rows, np.int64)).cast(pl.String).str.zfill(digits)
    return text.to_frame().select(pl.concat_str(pl.lit(prefix), pl.col("n"))).to_series()


def _authors(author: Ints) -> pl.Series:
    """A member's id, or a citizen's."""
    citizen = _numbered("c", np.maximum(-1 - author, 0), 7)
    return _numbered("m", np.maximum(author, 0), 7).zip_with(pl.Series(author >= 0), citizen)


def _degrees(values: NDArray[np.float64], known: Bools) -> pl.Series:
    return _where(known, pl.Series(values).round(5))


def _topic_lists(p: Province, rows: NDArray[np.int16]) -> list[str | None]:
    names = [topic.name for topic in p.lexicon.topics]
    return [";".join(names[t] for t in row if t >= 0) or None for row in rows.tolist()]


def _lead_regions(p: Province, depth: NDArray[np.float64]) -> list[str | None]:
    """Down to the town, the county or the city, or nothing."""
    g = p.geography
    result: list[str | None] = []
    for town, share in zip(p.leads.town.tolist(), depth.tolist(), strict=True):
        digits = 9 if share < 0.45 else 6 if share < 0.88 else 4
        result.append(g.town_codes[town][:digits] if share < 0.94 else None)
    return result


def _more_places(p: Province) -> list[str | None]:
    """JSON list of work and studio, null without any."""
    m = p.members
    columns: Sequence[list[list[float]]] = (
        m.town.tolist(),
        m.latitude.round(5).tolist(),
        m.longitude.round(5).tolist(),
    )
    result: list[str | None] = []
    for town, lat, lon in zip(*columns, strict=True):
        places = [
            {
                "kind": PLACE_KINDS[k],
                "latitude": lat[k],
                "longitude": lon[k],
                "region_code": p.geography.town_codes[int(town[k])],
            }
            for k in range(1, len(PLACE_KINDS))
            if town[k] >= 0
        ]
        result.append(json.dumps(places) if places else None)
    return result
