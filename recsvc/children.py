"""Child processes that end with their parent, however that ends (Linux)."""

from __future__ import annotations

import os
import sys

_BIND = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
if os.getppid() == int(sys.argv[1]):  # else the parent ended before
    os.execv(sys.argv[2], sys.argv[2:])
"""


def ending_with_parent(program: str, *arguments: str) -> list[str]:
    """The command to start a program (a path) with: the system kills it when the thread ends that
    started it.

    The child itself asks for that, then becomes the program. A preexec_fn would do it sooner, but
    needs a true fork, and gRPC's fork handlers abort some children of a process with calls at hand.
    """
    if sys.platform != "linux":
        return [program, *arguments]
    bind = (sys.executable, "-I", "-S", "-c", _BIND, str(os.getpid()))
    return [*bind, program, *arguments]
