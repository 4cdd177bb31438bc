"""A worker process: `python -m recsvc.serving.worker_process`, started by the supervisor.

It reads its order as JSON from stdin, says on stdout when it serves, drains on SIGTERM and looks
for models on SIGHUP.
"""

from __future__ import annotations

import gc
import signal
import sys


def main() -> int:
    """Reads the order and runs."""
    # Until the worker takes them over, neither may end the process half-way through its start.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    # A start makes a million objects that stay: looking for garbage among them takes a tenth of it.
    gc.disable()
    import msgspec
    import uvloop

    from recsvc.serving.orders import Order
    from recsvc.serving.worker_life import run

    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=Order)
    return uvloop.run(run(order))


if __name__ == "__main__":
    sys.exit(main())
