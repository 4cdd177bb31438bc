"""`recsvc serve`, `import` and `export` together, as real processes."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from features.entities import Conflict, Lead, Member, Organization
from training.logs import read_dataset, write_dataset

RECSVC = [sys.executable, "-m", "recsvc.cli"]
MEMBERS = [Member("m1", "o1", expertise="老旧小区改造"), Member("m2")]
LEADS = [Lead("l1", 1_700_000_000_000_000, title="关于加装电梯的建议")]


def recsvc(*arguments: str | Path) -> str:
    """What a command prints; it must end well."""
    ended = subprocess.run(
        [*RECSVC, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The address of a service without a model."""
    options = ["--models", folder / "models", "--data-dir", folder / "data", "--port", "0"]
    command = [*RECSVC, "serve", *map(str, options), "--metrics-port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        try:
            ready = re.match(r"recsvc ready on ([^;]+); workers: 1;", process.stdout.readline())
            assert ready is not None
            yield ready[1]
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0


def test_what_was_imported_is_exported_whether_or_not_the_service_runs(tmp_path: Path) -> None:
    write_dataset(
        tmp_path / "set",
        members=MEMBERS,
        leads=LEADS,
        organizations=[Organization("o1", "长沙市")],
        conflicts=[Conflict("m1", author_id="a1", reason="亲属")],
    )
    with serving(tmp_path) as address:
        recsvc("import", "--data", tmp_path / "set", "--address", address)
        running = recsvc(
            "export", "--data-dir", tmp_path / "data", "--out", tmp_path / "one", "--json"
        )
    stopped = recsvc("export", "--data-dir", tmp_path / "data", "--out", tmp_path / "two", "--json")
    counts = json.loads(running)
    assert counts == json.loads(stopped)
    assert (counts["members"], counts["leads"], counts["organizations"]) == (2, 1, 1)
    assert counts["conflicts"] == 1
    found = read_dataset(tmp_path / "two", require=("members",))
    assert sorted(found.members, key=lambda member: member.member_id) == MEMBERS
    assert found.leads == LEADS


def test_serve_refuses_what_it_cannot_use(tmp_path: Path) -> None:
    ended = subprocess.run(
        [*RECSVC, "serve", "--host", "0.0.0.0", "--data-dir", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: ")
    assert "loopback" in ended.stderr
