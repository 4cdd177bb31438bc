"""What a topic is worth: to everybody, near or far, to who states it, and by the season.

A mixed logistic regression (Bayesian MAP by alternating Newton steps, variances by expectation
maximisation as in Laplace's approximation: Breslow & Clayton 1993) over every pair that was pushed
or shown. All kinds of responses speak at once, each with its own base and slots:

    log-odds = base + slot + worth * (member + lead + b·x + Σ over the lead's topics s_k a_k·x_B)

x are `COLUMNS` of the pair, x_B the first `OF_TOPIC` of them, s the topics' shares. How much place
and expertise matter differs by topic, and few topics have many answers: `a` is shrunk to `b` as far
as the data shows topics to be alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from recsvc.model.arrays import F32, F64, I32, I64, LeadColumns, MemberColumns
from recsvc.model.one_sided_terms import MICROSECONDS_PER_HOUR
from recsvc.model.pair_places import nearest_place_km
from recsvc.model.topic_terms import MEAN_LOG_KM, stated_share
from training.effect_steps import OF_TOPIC, fit

ONE, NEAR, STATED, STATED_NEAR, COSINE, SINE = range(OF_TOPIC)
COLUMNS = (
    "one", "near", "stated", "stated near", "cosine", "sine",
    "very near", "far", "no place", "urgency", "urgent near", "age", "new", "text",
)  # fmt: skip
ROUNDS = 14
_YEAR_US = 365.25 * 24 * MICROSECONDS_PER_HOUR
_FEWEST_YEARS = 2.0


class Asked(NamedTuple):
    """n pairs with everything that is known of them without their answers."""

    member: I32
    lead: I32
    columns: F32  # [n, COLUMNS]
    topics: I32  # [n, LEAD_TOPICS] -1 padded
    shares: F32  # [n, LEAD_TOPICS] summing to 1, or to 0


class Said(NamedTuple):
    """Responses of one kind to these pairs."""

    taken: F32  # [n] 0 or 1
    worth: float


class Effects(NamedTuple):
    """What was found."""

    topics: F32  # [topics, OF_TOPIC] own coefficients and those of all: b + a
    everybody: F32  # [COLUMNS]
    members: F32  # [m]
    leads: F32  # [leads]
    lead_information: F32  # [leads] curvature without the prior
    deviations: F32  # [2 + OF_TOPIC] of members, leads, and the topics' coefficients
    rest: F32  # [n] Σ worth * (answer - p), p as if every lead were an average one
    information: F32  # [n] Σ worth² * p(1 - p)

    @property
    def by_topic(self) -> F32:
        """float32[topics, 3] as `recsvc.model.topic_terms` reads them."""
        own = self.topics - self.everybody[:OF_TOPIC]
        both = self.topics[:, STATED_NEAR]
        return np.stack([own[:, NEAR], own[:, STATED], both], axis=1)


def asked_of(
    member: I32, lead: I32, time_us: I64, members: MemberColumns, leads: LeadColumns
) -> Asked:
    """The pairs as they stood at their instants (int64[n])."""
    weights = np.where(leads.topics >= 0, leads.topic_weights, np.float32(0.0))
    total = weights.sum(axis=1, keepdims=True)
    shares = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
    seasonal = len(time_us) > 0 and int(np.ptp(time_us)) >= _FEWEST_YEARS * _YEAR_US
    columns = _columns(member, lead, time_us, members, leads, seasonal)
    return Asked(member, lead, columns, leads.topics[lead], shares[lead])


def season(time_us: NDArray[Any]) -> tuple[F64, F64]:
    """Where in the year instants lie: cosine and sine (float64[n])."""
    angle = 2.0 * np.pi * (np.asarray(time_us, np.float64) / _YEAR_US % 1.0)
    return np.cos(angle), np.sin(angle)


@njit(cache=True)
def _columns(member, lead, time_us, members, leads, seasonal):  # type: ignore[no-untyped-def]
    out = np.zeros((len(member), 14), np.float32)
    for i in range(len(member)):
        m, j = member[i], lead[i]
        x = out[i]
        km = np.nan
        if not np.isnan(leads.latitude_rad[j]):
            km = nearest_place_km(
                members.latitude_rad[m],
                members.longitude_rad[m],
                leads.latitude_rad[j],
                leads.longitude_rad[j],
            )
        near = 0.0 if np.isnan(km) else np.log1p(km) - MEAN_LOG_KM
        stated = stated_share(members.topics[m], leads.topics[j], leads.topic_weights[j])
        x[0], x[1], x[2], x[3] = 1.0, near, stated, stated * near
        if seasonal:
            angle = 2.0 * math.pi * (time_us[i] / _YEAR_US % 1.0)
            x[4], x[5] = math.cos(angle), math.sin(angle)
        x[6], x[7] = min(near + 1.5, 0.0), max(near - 0.5, 0.0)
        x[8] = 1.0 if np.isnan(km) else 0.0
        x[9] = leads.urgency[j]
        x[10] = leads.urgency[j] * near
        if leads.create_time_us[j] != 0:
            hours = max(0.0, (time_us[i] - leads.create_time_us[j]) / MICROSECONDS_PER_HOUR)
            x[11], x[12] = np.log1p(hours) - 4.0, min(np.log1p(hours) - 3.0, 0.0)
        x[13] = np.dot(members.text[m], leads.text[j])
    return out


def fit_effects(
    asked: Asked,
    slot: I32,
    weight: F32,
    said: Sequence[Said],
    topic_count: int,
    member_count: int,
    lead_count: int,
) -> Effects:
    """The posterior mode and the variances that fit it."""
    taken = np.stack([kind.taken for kind in said])
    worth = np.array([kind.worth for kind in said])
    found = fit(*asked, slot, taken, weight, worth, topic_count, member_count, lead_count, ROUNDS)
    return Effects(*found)
