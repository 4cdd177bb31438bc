"""What a service runs before its first call, so that nobody waits for a kernel to be compiled."""

from __future__ import annotations

import subprocess
import sys
from copy import deepcopy
from pathlib import Path

import numpy as np
from tiny_bundle import tiny_bundle

from recsvc.matching.prepare import prepared
from recsvc.model.bundle import write_bundle
from recsvc.model.snapshot import Snapshot
from recsvc.serving.rehearsal import rehearse

FIRST_CALLS = Path(__file__).parent / "support" / "first_calls.py"


def test_a_rehearsal_changes_nothing() -> None:
    bundle = tiny_bundle()
    columns = bundle.members, bundle.leads, bundle.history
    before = deepcopy(columns)
    snapshot = Snapshot(bundle)
    told = snapshot.revision, snapshot.delta_count
    rehearse(snapshot)
    assert (snapshot.revision, snapshot.delta_count) == told
    assert not snapshot.holders
    assert not snapshot.waiting
    # Two snapshots of a bundle share its rows.
    for old, new in zip(before, columns, strict=True):
        for was, now in zip(old, new, strict=True):
            np.testing.assert_array_equal(was, now)


def test_after_it_no_call_waits_for_a_kernel(tmp_path: Path) -> None:
    bundle = tmp_path / "tiny"
    write_bundle(prepared(tiny_bundle()), bundle)
    done = subprocess.run(
        [sys.executable, str(FIRST_CALLS), str(bundle)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
