"""The setting `retrieval` as the pipeline takes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

from recsvc.errors import ConfigError
from recsvc.matching.candidates import CandidateConfig
from recsvc.matching.pipeline import PipelineConfig


def pipeline_config(retrieval: Mapping[str, int]) -> PipelineConfig:
    """Knobs by name, the others as they are by default; raises ConfigError for an unknown one."""
    known = {field.name for field in fields(CandidateConfig)}
    for name, value in retrieval.items():
        if name not in known:
            text = f"there is no such knob, only {', '.join(sorted(known))}"
            raise ConfigError(f"retrieval.{name}: {text}")
        if value < 1:
            raise ConfigError(f"retrieval.{name}: must be at least 1, not {value}")
    return PipelineConfig(CandidateConfig(**retrieval))
