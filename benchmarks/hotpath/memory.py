"""What processes of a service keep for themselves (Linux: /proc/PID/smaps_rollup)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from benchmarks.serving import ServiceProcess
from recsvc.model.bundle import Bundle

_WORKER = b"recsvc.serving.worker_process"
MIB = 1 << 20


@dataclass(frozen=True)
class Memory:
    """In bytes. `private` (USS) is what would be freed if only this process ended; `proportional`
    (PSS) counts a page that n processes share as its n-th part.
    """

    private: int
    proportional: int
    resident: int


def memory_of(process_id: int) -> Memory:
    """Of a running process; raises OSError when it has ended."""
    sizes: dict[str, int] = {}
    for line in Path(f"/proc/{process_id}/smaps_rollup").read_text("ascii").splitlines()[1:]:
        name, _, rest = line.partition(":")
        sizes[name] = int(rest.split()[0]) * 1024
    private = sizes["Private_Clean"] + sizes["Private_Dirty"]
    return Memory(private, sizes["Pss"], sizes["Rss"])


def workers_of(service: ServiceProcess) -> list[int]:
    """Process ids of the workers, oldest first."""
    found = []
    for process_id in service.running():
        try:
            command = Path(f"/proc/{process_id}/cmdline").read_bytes().split(b"\0")
        except OSError:  # it has ended
            continue
        # The program that starts a worker has the worker's command among its own arguments.
        if _WORKER in command[:4]:
            found.append(process_id)
    return sorted(found)


def served_bytes(bundle: Bundle) -> int:
    """What serving cannot do without: the columns of members and leads (their vectors included),
    and an index over each, counted as one more float32 copy of the vectors it is searched by.
    """
    members, leads = bundle.members, bundle.leads
    columns = sum(c.nbytes for c in (*members, *leads))
    index = leads.vector.nbytes + leads.text.nbytes
    index += members.vector.nbytes + members.text.nbytes + members.interest_text.nbytes
    return int(columns + index)


def cpu_seconds(process_id: int) -> float:
    """Processor time of a process so far, of all its threads (Linux: /proc)."""
    text = Path(f"/proc/{process_id}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(text[11]) + int(text[12])) / os.sysconf("SC_CLK_TCK")
