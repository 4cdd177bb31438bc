"""The steps of training.effects: each improves one kind of coefficient, the others held.

Newton steps over all rows of a kind at once; what belongs to different rows touches different pairs
(or, of topics, nearly so). `common` float64[n] is each pair's log-odds without base and slots, kept
up to date; `r` and `h` are the first and the negative second derivative of the log-likelihood by
it. Variances of random coefficients are those that fit the last step.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from features.willingness import SLOTS, answer_chance

OF_TOPIC = 6
_MOST_STEP = 1.0
_LEAST_VARIANCE = 1e-4
_START = np.array([0.25, 0.04, 0.25, 0.04, 0.04, 0.04])
"""Variances of the topics' own coefficients to begin with."""


@njit(cache=True)
def fit(  # type: ignore[no-untyped-def]
    member,
    lead,
    columns,
    topics,
    shares,
    slot,
    taken,
    weight,
    worth,
    topic_count,
    member_count,
    lead_count,
    rounds,
):
    kinds, n = taken.shape
    width = columns.shape[1]
    u, v = np.zeros(member_count), np.zeros(lead_count)
    a, b = np.zeros((topic_count, OF_TOPIC)), np.zeros(width)
    start = np.zeros(kinds)
    level = np.zeros((kinds, SLOTS))
    for k in range(kinds):
        rate = (taken[k].sum() + 0.5) / (weight.sum() + 1.0)
        start[k] = math.log(rate / (1.0 - rate))
        level[k] = start[k]
    variances = np.empty(2 + OF_TOPIC)
    variances[0], variances[1] = 1.0, 0.1
    variances[2:] = _START
    common, r, h = np.zeros(n), np.zeros(n), np.zeros(n)
    info_u, info_v = np.zeros(member_count), np.zeros(lead_count)
    for turn in range(rounds):
        _levels(common, slot, taken, weight, worth, level, start)
        _slopes(common, slot, taken, weight, worth, level, r, h)
        _everybody(b, columns, common, r, h)
        _slopes(common, slot, taken, weight, worth, level, r, h)
        spread = _topics(a, columns, topics, shares, common, r, h, variances[2:])
        _share(a, b, columns, shares, common)
        _slopes(common, slot, taken, weight, worth, level, r, h)
        member_spread = _scatter(u, info_u, member, common, r, h, variances[0])
        _slopes(common, slot, taken, weight, worth, level, r, h)
        lead_spread = _scatter(v, info_v, lead, common, r, h, variances[1])
        if turn >= 2:
            variances[0], variances[1] = member_spread, lead_spread
            variances[2:] = spread
    for i in range(n):
        common[i] -= v[lead[i]]
    _slopes(common, slot, taken, weight, worth, level, r, h)
    found = np.empty((topic_count, OF_TOPIC), np.float32)
    for k in range(topic_count):
        for c in range(OF_TOPIC):
            found[k, c] = a[k, c] + b[c]
    return (
        found,
        b.astype(np.float32),
        u.astype(np.float32),
        v.astype(np.float32),
        info_v.astype(np.float32),
        np.sqrt(variances).astype(np.float32),
        r.astype(np.float32),
        h.astype(np.float32),
    )


@njit(cache=True)
def _slopes(common, slot, taken, weight, worth, level, r, h):  # type: ignore[no-untyped-def]
    """First and negative second derivatives of the log-likelihood by each pair's log-odds."""
    for i in range(len(common)):
        r[i] = h[i] = 0.0
        for k in range(len(worth)):
            p = answer_chance(level[k, slot[i]] + worth[k] * common[i])
            r[i] += worth[k] * weight[i] * (taken[k, i] - p)
            h[i] += worth[k] * worth[k] * weight[i] * p * (1.0 - p)


@njit(cache=True)
def _levels(common, slot, taken, weight, worth, level, start):  # type: ignore[no-untyped-def]
    """A step of each kind's level at each slot."""
    for k in range(len(worth)):
        slope, curvature = start[k] - level[k], np.ones(level.shape[1])
        for i in range(len(common)):
            p = answer_chance(level[k, slot[i]] + worth[k] * common[i])
            slope[slot[i]] += weight[i] * (taken[k, i] - p)
            curvature[slot[i]] += weight[i] * p * (1.0 - p)
        level[k] += np.clip(slope / curvature, -_MOST_STEP, _MOST_STEP)


@njit(cache=True)
def _everybody(b, columns, common, r, h):  # type: ignore[no-untyped-def]
    width = columns.shape[1]
    gradient, hessian = -1e-2 * b, 1e-2 * np.eye(width)
    hessian[0, 0] = 1e9  # the base has it
    for i in range(len(r)):
        for c in range(width):
            x = columns[i, c]
            gradient[c] += r[i] * x
            hx = h[i] * x
            for d in range(c + 1):
                hessian[c, d] += hx * columns[i, d]
    for c in range(width):
        for d in range(c):
            hessian[d, c] = hessian[c, d]
    step = np.clip(np.linalg.solve(hessian, gradient), -_MOST_STEP, _MOST_STEP)
    b += step
    for i in range(len(r)):
        for c in range(width):
            common[i] += step[c] * columns[i, c]


@njit(cache=True)
def _topics(a, columns, topics, shares, common, r, h, variances):  # type: ignore[no-untyped-def]
    """A step of every topic's own coefficients; gives their new variances."""
    count = len(a)
    gradient = -a / variances
    hessian = np.zeros((count, OF_TOPIC, OF_TOPIC))
    for i in range(len(r)):
        for t in range(topics.shape[1]):
            k = topics[i, t]
            if k < 0:
                break
            s = shares[i, t]
            for c in range(OF_TOPIC):
                x = s * columns[i, c]
                gradient[k, c] += r[i] * x
                for d in range(c + 1):
                    hessian[k, c, d] += h[i] * x * s * columns[i, d]
    step = np.zeros((count, OF_TOPIC))
    spread = np.zeros(OF_TOPIC)
    for k in range(count):
        full = hessian[k]
        for c in range(OF_TOPIC):
            for d in range(c):
                full[d, c] = full[c, d]
            full[c, c] += 1.0 / variances[c]
        inverse = np.linalg.inv(full)
        step[k] = inverse @ gradient[k]
        for c in range(OF_TOPIC):
            step[k, c] = min(max(step[k, c], -_MOST_STEP), _MOST_STEP)
            a[k, c] += step[k, c]
            spread[c] += a[k, c] ** 2 + inverse[c, c]
    for i in range(len(r)):
        for t in range(topics.shape[1]):
            k = topics[i, t]
            if k < 0:
                break
            for c in range(OF_TOPIC):
                common[i] += shares[i, t] * step[k, c] * columns[i, c]
    return np.maximum(spread / max(count, 1), _LEAST_VARIANCE)


@njit(cache=True)
def _share(a, b, columns, shares, common):  # type: ignore[no-untyped-def]
    """What all topics have in common is everybody's: the best split, which steps find slowly."""
    mean = np.zeros(OF_TOPIC)
    for c in range(OF_TOPIC):
        mean[c] = a[:, c].mean() if len(a) else 0.0
        a[:, c] -= mean[c]
        b[c] += mean[c]
    for i in range(len(common)):
        none = 1.0 - shares[i].sum()
        if none > 1e-6:
            for c in range(OF_TOPIC):
                common[i] += none * mean[c] * columns[i, c]


@njit(cache=True)
def _scatter(values, information, rows, common, r, h, variance):  # type: ignore[no-untyped-def]
    """A step of each row's own effect; gives their new variance, over rows with an answer."""
    slope, information[:] = -values / variance, 0.0
    for i in range(len(rows)):
        slope[rows[i]] += r[i]
        information[rows[i]] += h[i]
    step = np.zeros(len(values))
    total, met = 0.0, 0
    for row in range(len(values)):
        curvature = information[row] + 1.0 / variance
        step[row] = min(max(slope[row] / curvature, -_MOST_STEP), _MOST_STEP)
        values[row] += step[row]
        if information[row] > 0.0:
            total += values[row] ** 2 + 1.0 / curvature
            met += 1
    for i in range(len(rows)):
        common[i] += step[rows[i]]
    return max(total / max(met, 1), _LEAST_VARIANCE)
