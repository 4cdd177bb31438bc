"""The province as one object, and how it is made; `benchmarks.workload` tells the story."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchmarks.province.arrays import Ints
from benchmarks.province.config import ProvinceConfig
from benchmarks.province.conflicts import Conflicts, Masks, make_conflicts
from benchmarks.province.geography import Geography, make_geography
from benchmarks.province.leads import Leads, make_leads
from benchmarks.province.lexicon import Lexicon
from benchmarks.province.log import Fates, Log, make_fates, make_log
from benchmarks.province.members import Members, make_members
from benchmarks.province.organizations import Organizations, make_organizations
from benchmarks.province.texts import expertise_texts, lead_texts, member_names
from benchmarks.province.truth import Truth, make_truth
from features.entities import LeadState

Step: TypeAlias = Callable[[str], None]


@dataclass(frozen=True)
class Province:
    """A simulated province with its ground truth. Rows index `member_ids` and `lead_ids`."""

    config: ProvinceConfig
    seed: int
    lexicon: Lexicon
    geography: Geography
    organizations: Organizations
    members: Members
    leads: Leads
    conflicts: Conflicts
    truth: Truth
    log: Log
    fates: Fates
    member_ids: list[str]
    lead_ids: list[str]
    names: list[str]
    expertise_texts: list[str]
    titles: list[str]
    bodies: list[str]

    def claim_probability(
        self,
        member_rows: Ints,
        lead_rows: Ints,
        time_us: Ints | int,
        position: Ints | int = -1,
        *,
        noise: bool = True,
    ) -> NDArray[np.float64]:
        """The oracle: P(claim), float64[n], of n pairs of rows (int[n]).

        `time_us` (int[n] or one) is when the member sees the lead, UTC; `position` (int[n] or one)
        is the 0-based slot of a list, -1 for a push. `noise=False` leaves out the noise of the
        pair: no model can know more than that. The chance that the member would claim within seven
        days if the lead is still to be had; whether they may is `masks.allowed`.

            P(claim | m, l, t, position) = exam(position) * sigmoid(z(m, l, t))
            exam(-1) = 1,  exam(p) = (1 + p) ** -0.6

            z = -2.7
              + W_m + 0.3 sin(2 pi days(t) / 620 + phase_m)
              + x_k X + 0.6 x_k [facet_l in facets_m]
              - g_k (1 - 0.5 X) ln(1 + d / 4 km) + 0.35 [county_l = county_m]
              + 0.8 sum_j T_lj (early_mj + s (late_mj - early_mj))
              + taste_m[style_l] + u (0.10 + 0.25 exp(-d / 15 km)) + appeal_l
              + season_k(t) + trend_k(month(t)) - 0.22 ln(1 + age_days / 2) + hours_m(t)
              + 0.25 noise(m, l)

        Every symbol is explained in `benchmarks.province.truth`.
        """
        return self.truth.claim_probability(member_rows, lead_rows, time_us, position, noise=noise)

    @property
    def masks(self) -> Masks:
        """Authorship, jurisdiction and conflicts: `masks.allowed(member_rows, lead_rows)`."""
        return Masks(self.members, self.leads, self.organizations, self.conflicts)

    @property
    def open_rows(self) -> NDArray[np.int64]:
        """Rows of the leads that are OPEN at the end."""
        return np.flatnonzero(self.fates.state == LeadState.OPEN)

    @property
    def new_rows(self) -> NDArray[np.int64]:
        """Rows of the OPEN leads that no event names: new leads."""
        touched = np.zeros(len(self.leads), bool)
        touched[self.log.events.lead[self.log.events.lead >= 0]] = True
        return self.open_rows[~touched[self.open_rows]]

    @property
    def member_rural(self) -> NDArray[np.bool_]:
        """bool[M]: lives in a rural county (县), not in a district or county-level city."""
        return np.asarray(self.geography.rural[self.members.county])

    @property
    def lead_rural(self) -> NDArray[np.bool_]:
        """bool[L]: comes from a rural county."""
        return np.asarray(self.geography.rural[self.leads.county])


def generate(config: ProvinceConfig, seed: int = 0, step: Step = lambda _: None) -> Province:
    """Draws a province; `step` is told what is being done. The seed is 0 or above."""
    step("geography")
    lexicon = Lexicon.load()
    geography = make_geography(config, lexicon, seed)
    organizations = make_organizations(config, geography)
    step("members")
    members = make_members(config, lexicon, geography, organizations, seed)
    step("leads")
    leads = make_leads(config, lexicon, geography, organizations, members, seed)
    conflicts = make_conflicts(config, members, leads, organizations, seed)
    step("participation log")
    truth = make_truth(config, lexicon, members, leads, seed)
    masks = Masks(members, leads, organizations, conflicts)
    log = make_log(config, geography, truth, masks, seed)
    step("texts")
    titles, bodies = lead_texts(lexicon, geography, leads, seed)
    return Province(
        config=config,
        seed=seed,
        lexicon=lexicon,
        geography=geography,
        organizations=organizations,
        members=members,
        leads=leads,
        conflicts=conflicts,
        truth=truth,
        log=log,
        fates=make_fates(config, truth, log, seed),
        member_ids=[f"m{row:07}" for row in range(len(members))],
        lead_ids=[f"l{row:08}" for row in range(len(leads))],
        names=member_names(lexicon, len(members), seed),
        expertise_texts=expertise_texts(lexicon, members, seed),
        titles=titles,
        bodies=bodies,
    )
