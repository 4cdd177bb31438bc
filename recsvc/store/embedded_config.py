"""Where an embedded Valkey listens, and how it is configured."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from features.errors import RecsvcError

MAX_SOCKET_PATH_BYTES = 107
"""Longer paths do not fit into a Unix socket's address."""


class EmbeddedStoreError(RecsvcError):
    """The embedded Valkey could not be started."""


def socket_path(folder: Path) -> Path:
    """Where the server of a folder listens: in it, or in a private folder when that is too long."""
    path = folder.resolve() / "valkey.sock"
    if len(os.fsencode(path)) <= MAX_SOCKET_PATH_BYTES:
        return path
    name = hashlib.blake2b(os.fsencode(path), digest_size=8).hexdigest()
    return _runtime_folder() / f"{name}.sock"


def configuration(folder: Path, socket: Path, fsync: str) -> str:
    """The server's configuration file."""
    lines = (
        "port 0",
        f"unixsocket {_quoted(socket)}",
        "unixsocketperm 700",
        "daemonize no",
        "pidfile ''",
        f"dir {_quoted(folder)}",
        f"logfile {_quoted(folder / 'valkey.log')}",
        "loglevel notice",
        "appendonly yes",
        f"appendfsync {fsync}",
        "no-appendfsync-on-rewrite no",
        "aof-use-rdb-preamble yes",
        # A crash may cut the last entry short: it was never acknowledged, so load what is whole.
        "aof-load-truncated yes",
        "save ''",
        "maxmemory-policy noeviction",
        "enable-debug-command no",
        "enable-module-command no",
        "enable-protected-configs no",
    )
    return "\n".join(lines) + "\n"


def _quoted(path: Path) -> str:
    text = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def _runtime_folder() -> Path:
    """A short folder that only this user can enter; raises EmbeddedStoreError if it is not so."""
    base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    folder = Path(base) / f"recsvc-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if folder.is_symlink() or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise EmbeddedStoreError(f"{folder} belongs to somebody else or is open to others")
    return folder
