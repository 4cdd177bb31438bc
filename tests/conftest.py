"""What tests share: the small world, and hypothesis without luck.

HYPOTHESIS_PROFILE=explore looks for new examples; without it the same ones are tried every time.
"""

from __future__ import annotations

import os

# Tests start store servers beside live gRPC channels; gRPC's own fork handlers abort such a child
# before it becomes the server. Read when gRPC is loaded, so it is set before anything else.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"

from collections.abc import Iterator

import pytest
from hypothesis import settings
from store_servers import KINDS, serve
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


@pytest.fixture(
    scope="module",
    params=[pytest.param(k, marks=pytest.mark.slow if k == "cluster" else ()) for k in KINDS],
)
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A store server of each kind."""
    with serve(request.param, tmp_path_factory.mktemp(request.param)) as address:
        yield address
