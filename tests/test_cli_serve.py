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

import pytest

from features.entities import Conflict, Lead, Member, Organization
from recsvc.cli import main
from training.logs import read_dataset, write_dataset

RECSVC = [sys.executable, "-m", "recsvc.cli"]
MEMBERS = [Member("m1", "o1", expertise="老旧小区改造"), Member("m2")]
LEADS = [Lead("l1", 1_700_000_000_000_000, title="关于加装电梯的建议")]


def run(*arguments: str) -> int:
    """The exit status of a command, run here."""
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    assert isinstance(ended.value.code, int)
    return ended.value.code


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


def test_what_was_imported_is_exported_whether_or_not_the_service_runs(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    export = ("--data-dir", str(tmp_path / "data"), "--out")
    write_dataset(
        tmp_path / "set",
        members=MEMBERS,
        leads=LEADS,
        organizations=[Organization("o1", "长沙市")],
        conflicts=[Conflict("m1", author_id="a1", reason="亲属")],
    )
    with serving(tmp_path) as address:
        assert run("import", "--data", str(tmp_path / "set"), "--address", address) == 0
        assert run("export", *export, str(tmp_path / "one")) == 0
        running = capfd.readouterr().out
        for row in ("members", "conflicts", "left out"):
            assert row in running
    assert run("export", *export, str(tmp_path / "two"), "--json") == 0
    counts = json.loads(capfd.readouterr().out)
    assert (counts["members"], counts["leads"], counts["organizations"]) == (2, 1, 1)
    assert counts["conflicts"] == 1
    for name in ("one", "two"):
        found = read_dataset(tmp_path / name, require=("members",))
        assert sorted(found.members, key=lambda member: member.member_id) == MEMBERS
        assert found.leads == LEADS
    assert run("export", *export, str(tmp_path / "two")) == 1
    assert "exists already" in capfd.readouterr().err


def test_serve_refuses_what_it_cannot_use(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run("serve", "--host", "0.0.0.0", "--data-dir", str(tmp_path)) == 1
    shown = capfd.readouterr().err
    assert shown.startswith("error: ")
    assert "loopback" in shown
    assert run("serve", "--tenant", "a", "--tenant", "a", "--metrics-port", "0") == 1
    assert "each once" in capfd.readouterr().err
    nowhere = ("--redis-url", "nonsense://x", "--data-dir", str(tmp_path))
    assert run("serve", *nowhere, "--port", "0") == 1
    assert "nonsense" in capfd.readouterr().err
