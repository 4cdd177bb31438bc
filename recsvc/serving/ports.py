"""The port that all workers share: reserved by the supervisor, so that 0 means one port for all."""

from __future__ import annotations

import socket

from recsvc.errors import ConfigError


def reserve_port(host: str, port: int) -> tuple[socket.socket, str]:
    """A socket that keeps the port (open, not listening), and the address for workers.

    The system spreads connections over the listeners of the port; a socket that does not listen
    gets none. Raises ConfigError when somebody else listens there: SO_REUSEPORT alone would let a
    second service of the same user join in silently.
    """
    target = "127.0.0.1" if host == "localhost" else host.strip("[]")
    family = socket.AF_INET6 if ":" in target else socket.AF_INET
    try:
        if port:
            with socket.socket(family) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((target, port))
                probe.listen()
        kept = socket.socket(family)
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        kept.bind((target, port))
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {host}:{port} ({error.strerror or error}): stop what listens there, "
            "or choose another host or port (0 takes a free one)"
        ) from error
    number = int(kept.getsockname()[1])
    shown = f"[{target}]" if family == socket.AF_INET6 else target
    return kept, f"{shown}:{number}"
