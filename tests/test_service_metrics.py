"""What the service counts: observations are gathered, and shown as Prometheus would count them."""

from __future__ import annotations

import re

import pytest
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from recsvc.serving.metrics import Metrics

METHOD = "/recsvc.v1.RecommendationService/RecommendLeads"
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


def shown(text: str, name: str) -> dict[str, float]:
    """Buckets by their bound, the sum and the count of a histogram."""
    found = re.findall(rf'^{name}_(?:bucket\{{le="(\S+?)".*?\}}|(sum|count).*?) (\S+)$', text, re.M)
    return {bound or kind: float(value) for bound, kind, value in found}


@pytest.mark.parametrize("flushes", [1, 3])
def test_gathered_observations_are_those_of_a_plain_histogram(flushes: int) -> None:
    seconds = [0.0, 0.001, 0.00100001, 0.3, 0.5, 10.0, 10.1, 0.004, 0.004]
    plain_registry, metrics = CollectorRegistry(), Metrics()
    plain = Histogram("recsvc_call_seconds", "", buckets=BOUNDS, registry=plain_registry)
    for turn in range(flushes):
        for value in seconds[turn::flushes]:
            metrics.call(METHOD, "OK", "", value)
            plain.observe(value)
        metrics.flush()
    found = shown(metrics.text(), "recsvc_call_seconds")
    wanted = shown(generate_latest(plain_registry).decode(), "recsvc_call_seconds")
    assert found == pytest.approx(wanted)
    assert found["count"] == len(seconds)


def test_calls_that_are_alike_are_observed_together() -> None:
    metrics = Metrics()
    metrics.call(METHOD, "RESOURCE_EXHAUSTED", "OVERLOADED", 0.0, 7)
    metrics.call(METHOD, "OK", "", 0.2)
    text = metrics.text()
    assert f'recsvc_call_seconds_count{{method="{METHOD}"}} 8.0' in text
    assert f'recsvc_call_seconds_bucket{{le="0.001",method="{METHOD}"}} 7.0' in text
    assert f'recsvc_call_seconds_bucket{{le="0.25",method="{METHOD}"}} 8.0' in text
