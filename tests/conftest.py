"""What tests share: the small world, and hypothesis without luck.

HYPOTHESIS_PROFILE=explore looks for new examples; without it the same ones are tried every time.
"""

from __future__ import annotations

import os

# Tests start store servers beside live gRPC channels; gRPC's own fork handlers abort such a child
# before it becomes the server. Read when gRPC is loaded, so it is set before anything else.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"

import pytest
from hypothesis import settings
from support import worlds

from recsvc.matching.pipeline import Pipeline
from recsvc.model.bundle import Bundle
from recsvc.model.snapshot import Snapshot

# A first call compiles kernels, which takes seconds: deadlines would only measure that.
settings.register_profile("steady", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=1_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))


@pytest.fixture
def bundle() -> Bundle:
    """The small world's bundle with arrays of its own."""
    return worlds.tiny_bundle()


@pytest.fixture
def snapshot(bundle: Bundle) -> Snapshot:
    """A fresh snapshot of the small world."""
    return Snapshot(bundle)


@pytest.fixture
def pipeline(snapshot: Snapshot) -> Pipeline:
    """A pipeline on `snapshot`, now being the end of the small world's log."""
    return worlds.pipeline_of(snapshot)
