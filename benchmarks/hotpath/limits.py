"""What the hot path must reach, by row."""

from __future__ import annotations

from pathlib import Path

from benchmarks.musts import read_limits

LIMITS = read_limits(Path(__file__).with_name("musts.toml"))
