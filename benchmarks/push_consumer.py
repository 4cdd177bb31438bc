"""A consumer in a process of its own, to be killed: `python -m benchmarks.push_consumer …`.

What it was handed and what was acknowledged goes into a file, line by line, before it goes on: a
killed process leaves at most its last line torn.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

from recsvc.client import Client

GROUP = "platform"


@dataclass
class Handed:
    """What consumers wrote down. `times` counts how often each push came, over all of them."""

    times: dict[str, int] = field(default_factory=dict)
    members: dict[str, str] = field(default_factory=dict)
    acknowledged: set[str] = field(default_factory=set)


def consume(address: str, tenant: str, name: str, file: Path) -> None:
    """Writes down and acknowledges pushes until it is killed."""
    with Client(address, tenant=tenant) as client, file.open("a", encoding="utf-8") as ledger:

        def note(*words: str) -> None:
            ledger.write(" ".join(words) + "\n")
            ledger.flush()

        for message in client.stream_pushes(GROUP, name, lease_seconds=2):
            for push in message.pushes:
                note("handed", push.push_id, push.member_id)
                if client.ack_pushes(GROUP, [push.push_id]).errors == ():
                    note("acked", push.push_id)


def read_ledgers(files: list[Path]) -> Handed:
    """All consumers' files together."""
    found = Handed()
    for file in files:
        for line in file.read_text("utf-8").splitlines() if file.exists() else ():
            match line.split(" "):
                case ["handed", push_id, member]:
                    found.times[push_id] = found.times.get(push_id, 0) + 1
                    found.members[push_id] = member
                case ["acked", push_id] if len(push_id) == len("00000000") + 20:
                    found.acknowledged.add(push_id)
    return found


if __name__ == "__main__":
    consume(sys.argv[1], sys.argv[2], sys.argv[3], Path(sys.argv[4]))
