"""`python -m benchmarks NAME`: every benchmark is a typer command of its own module.

To add one, import its `app` and add a line to `_APPS`.
"""

from __future__ import annotations

import typer

from benchmarks import claims, crash, push_crash, swap, workload
from benchmarks.hotpath import capacity, index, report, serve, train
from benchmarks.push import bench as push
from benchmarks.quality import command as quality

_APPS = (
    workload.app,
    crash.app,
    claims.app,
    push_crash.app,
    swap.app,
    push.app,
    serve.app,
    index.app,
    train.app,
    report.app,
    capacity.app,
    quality.app,
)

main = typer.Typer(help="Benchmarks of recsvc, and the data they run on.", no_args_is_help=True)
for _app in _APPS:
    main.registered_commands += _app.registered_commands


@main.callback()
def _benchmarks() -> None:
    """Keeps the name of the command necessary while there is only one."""


if __name__ == "__main__":
    main()
