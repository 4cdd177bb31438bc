"""The ground truth: the chance that a member claims a lead, written down in full.

For member m, lead l, time t and slot `position`:

    P(claim | m, l, t, position) = exam(position) * sigmoid(z(m, l, t))
    exam(-1) = 1 (a push),  exam(p) = (1 + p) ** -0.6 (slot p of a list, 0-based)

    z = base
      + W_m + 0.3 sin(2 pi days(t) / 620 + phase_m)                   willingness, with its tides
      + x_k X + 0.6 x_k [facet_l in facets_m]                         expertise
      - g_k (1 - 0.5 X) ln(1 + d / 4 km)                              place
      + 0.35 [county_l = county_m]
      + 0.8 sum_j T_lj I_mj(t)                                        interest, drifting
      + taste_m[style_l]                                              how a lead is written
      + u (0.10 + 0.25 exp(-d / 15 km))                               urgency u = 0..3
      + appeal_l + season_k(t) + trend_k(month(t))
      - 0.22 ln(1 + age_days / 2)                                     freshness
      + hours_m(t)
      + 0.25 noise(m, l)

where k is the lead's main topic, T_l its topic mix (main and second), X = sum_j T_lj E_mj the
expertise that meets it (E in 0..1), d the distance in km from the nearest of the member's places
(real coordinates, also where the tables hide them), and

    x_k, g_k      the topic's weight of expertise and of distance (the word files): roads are a
                  matter of place, law and medicine of expertise; who knows more goes farther
    I_m(t)        early_m + s (late_m - early_m),  s = sigmoid((t - turn_m) / turn_days_m)
    season_k(t)   0.35 cos(2 pi (month(t) - peak_k) / 12), 0 without a peak
    trend_k       a random walk over months that falls back to 0 (sd 0.25), one a topic
    hours_m(t)    0.40 for retired members 9-17 h, 0.25 for others 12-14 h and 19-22 h, local time
    noise(m, l)   standard normal, a hash of (seed, m, l): it never changes and nobody can learn it

The magnitudes were set once, before any model had seen the province. Ranking the new leads of the
35,000 x 66,000 province for each member, the ten best by z without noise hold .97 of the expected
claims of the ten best by z; without the appeal either (no table shows it) .94; what the tables
state, weighed as z does and with nothing learned from the log, about .80; distance alone .35.

W_m is heavy-tailed (Student's t, 4 degrees of freedom). "Claims" means: would claim within seven
days if it is still to be had. Taken by somebody else first, or asked too late to tell, is
censored: see `benchmarks.province.race`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.province.arrays import Floats, Ints, haversine_km, sigmoid
from benchmarks.province.config import (
    DAY_US,
    HOUR_US,
    LOCAL_OFFSET_US,
    YEAR_DAYS,
    ProvinceConfig,
    stream,
)
from benchmarks.province.leads import Leads
from benchmarks.province.lexicon import Lexicon
from benchmarks.province.members import Members
from benchmarks.province.noise import pair_normal

BASE = -2.7
NOISE_SD = 0.25
BLOCK = 1 << 18
"""Pairs worked on at a time, so that memory stays bounded however many are asked for."""


@dataclass(frozen=True, slots=True)
class Truth:
    """Everything the formula needs; see the module for the formula itself."""

    seed: int
    members: Members
    leads: Leads
    expertise_weight: NDArray[np.float64]
    distance_weight: NDArray[np.float64]
    season_month: NDArray[np.int64]
    trend: NDArray[np.float64]
    """float64[topics, months], from the month of `start_us` to a year past the end."""
    start_us: int

    def claim_probability(
        self,
        member_rows: Ints,
        lead_rows: Ints,
        time_us: Ints | int,
        position: Ints | int = -1,
        *,
        noise: bool = True,
    ) -> NDArray[np.float64]:
        """P(claim), float64[n], for n pairs of rows; time and position are one or n.

        `noise=False` leaves the pair's noise out: the best that anybody could know.
        """
        z = self.logit(member_rows, lead_rows, time_us, noise=noise)
        return np.asarray(examination(position) * sigmoid(z), np.float64)

    def logit(
        self, member_rows: Ints, lead_rows: Ints, time_us: Ints | int, *, noise: bool = True
    ) -> NDArray[np.float64]:
        """z of the formula, float64[n]."""
        m, ell, t = np.broadcast_arrays(
            np.asarray(member_rows, np.int64),
            np.asarray(lead_rows, np.int64),
            np.asarray(time_us, np.int64),
        )
        result = np.empty(len(m), np.float64)
        for start in range(0, len(m), BLOCK):
            part = slice(start, start + BLOCK)
            result[part] = self._logit(m[part], ell[part], t[part], noise)
        return result

    def distance_km(self, member_rows: Ints, lead_rows: Ints) -> NDArray[np.float64]:
        """d of the formula: km (float64[n]) from the nearest of the member's places."""
        lat, lon = self.leads.latitude[lead_rows], self.leads.longitude[lead_rows]
        places = self.members.latitude.shape[1]
        nearest = np.full(len(lat), np.inf)
        for k in range(places):
            own = self.members.latitude[member_rows, k], self.members.longitude[member_rows, k]
            nearest = np.fmin(nearest, haversine_km(*own, lat, lon))
        return nearest

    def expertise(self, member_rows: Ints, lead_rows: Ints) -> NDArray[np.float64]:
        """X of the formula, float64[n] in 0..1."""
        return self._mixed(self.members.expertise, member_rows, lead_rows)

    def _logit(self, m: Ints, ell: Ints, t: Ints, noise: bool) -> Floats:
        members, leads, k = self.members, self.leads, self.leads.topic[ell]
        x, d, u = self.expertise(m, ell), self.distance_km(m, ell), leads.urgency[ell]
        known = (members.facets[m] == leads.facet[ell][:, None]).any(axis=1)
        age_days = np.maximum(t - leads.create_us[ell], 0) / DAY_US
        z = BASE + members.willingness[m]
        z += 0.3 * np.sin(2 * np.pi * t / (620 * DAY_US) + members.willingness_phase[m])
        z += self.expertise_weight[k] * (x + 0.6 * known)
        z -= self.distance_weight[k] * (1 - 0.5 * x) * np.log1p(d / 4)
        z += 0.35 * (members.county[m] == leads.county[ell])
        z += 0.8 * self._interest(m, ell, t)
        z += members.taste[m, leads.style[ell]]
        z += u * (0.10 + 0.25 * np.exp(-d / 15))
        z += leads.appeal[ell] + self._moment(k, t)
        z -= 0.22 * np.log1p(age_days / 2)
        z += self._hours(m, t)
        return z + NOISE_SD * pair_normal(self.seed, m, ell) if noise else z

    def _interest(self, m: Ints, ell: Ints, t: Ints) -> Floats:
        early = self._mixed(self.members.early_interest, m, ell)
        late = self._mixed(self.members.late_interest, m, ell)
        turn_us, turn_days = self.members.turn_us[m], self.members.turn_days[m]
        return np.asarray(early + sigmoid((t - turn_us) / DAY_US / turn_days) * (late - early))

    def _mixed(self, table: Floats, m: Ints, ell: Ints) -> NDArray[np.float64]:
        """A member's value on the lead's topics, weighted by the lead's mix."""
        second, weight = self.leads.second_topic[ell], self.leads.second_weight[ell]
        main = table[m, self.leads.topic[ell]]
        return np.asarray(main + weight * (table[m, np.maximum(second, 0)] - main), np.float64)

    def _moment(self, k: Ints, t: Ints) -> Floats:
        """season_k(t) + trend_k(month(t))."""
        months = (t - self.start_us) / (YEAR_DAYS / 12 * DAY_US)
        year_share = (t / DAY_US / YEAR_DAYS) % 1.0
        peak = self.season_month[k]
        season = 0.35 * np.cos(2 * np.pi * (year_share - (peak - 0.5) / 12)) * (peak > 0)
        column = np.clip(months.astype(np.int64), 0, self.trend.shape[1] - 1)
        return np.asarray(season + self.trend[k, column])

    def _hours(self, m: Ints, t: Ints) -> Floats:
        hour = (t + LOCAL_OFFSET_US) % DAY_US // HOUR_US
        office = (hour >= 9) & (hour < 17)
        spare = ((hour >= 12) & (hour < 14)) | ((hour >= 19) & (hour < 22))
        return np.where(self.members.retired[m], 0.40 * office, 0.25 * spare)


def examination(position: Ints | int) -> Floats:
    """exam of the formula: the chance that somebody looks at that slot at all."""
    slot = np.asarray(position, np.float64)
    return np.where(slot < 0, 1.0, (1.0 + np.maximum(slot, 0.0)) ** -0.6)


def make_truth(
    config: ProvinceConfig, lexicon: Lexicon, members: Members, leads: Leads, seed: int
) -> Truth:
    """Draws the trends and ties members and leads to the formula."""
    months = int(config.years * 12) + 13
    steps = stream(seed, "trend").normal(size=(len(lexicon.topics), months))
    trend = np.zeros_like(steps)
    trend[:, 0] = 0.25 * steps[:, 0]
    for month in range(1, months):
        trend[:, month] = 0.85 * trend[:, month - 1] + 0.25 * np.sqrt(1 - 0.85**2) * steps[:, month]
    return Truth(
        seed=seed,
        members=members,
        leads=leads,
        expertise_weight=lexicon.trait("expertise"),
        distance_weight=lexicon.trait("distance"),
        season_month=lexicon.trait("season").astype(np.int64),
        trend=trend,
        start_us=config.start_time_us,
    )
