"""How long a thread had something to do, whether or not it got a processor for it.

The time that it ran is too little where processes share processors: a thread that waits for one
looks idle. Linux tells how long it waited (/proc/PID/task/TID/schedstat, see
Documentation/scheduler/sched-stats).
"""

from __future__ import annotations

import time

_TOLD = "/proc/thread-self/schedstat"
_NANO = 1e-9


def busy_seconds() -> float:
    """Seconds that the calling thread ran or waited for a processor, from any beginning; where
    nobody tells how long it waited, those that it ran.
    """
    try:
        with open(_TOLD, "rb", buffering=0) as file:
            waited = int(file.read(100).split()[1])
    except OSError:
        waited = 0
    # How long it ran stands there, too, but as of the last tick of the kernel's clock.
    return time.thread_time() + waited * _NANO
