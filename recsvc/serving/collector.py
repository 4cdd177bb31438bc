"""How the garbage collector is set in a process that answers requests."""

from __future__ import annotations

import gc

_COLLECT_AFTER = (10_000, 20, 20)
"""Objects that outlive their making before the collector looks; see gc.set_threshold."""


def leave_to_reference_counts() -> None:
    """What was loaded stays: the collector need not look at it again and again. Requests leave no
    circles behind, so it looks for these now and then only. Nor does it look once more now: that
    takes a fifth of a second of a worker's start, and of a million objects finds four thousand.
    """
    gc.freeze()
    gc.set_threshold(*_COLLECT_AFTER)
    gc.enable()
