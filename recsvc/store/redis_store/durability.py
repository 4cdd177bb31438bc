"""What a server promises about persistence, in its own words and in ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recsvc.store.redis_store.connection import Gateway
from recsvc.store.types import Durability, StoreError

_PARAMETERS = ("appendonly", "appendfsync", "save", "maxmemory-policy")
_SYNC_LOSES = {
    "always": "nothing that was acknowledged",
    # While a flush is under way the server answers before it has written, for up to two seconds.
    "everysec": "up to about a second of acknowledged writes on power loss, up to two when the "
    "server process is killed while it flushes",
    "no": "what the operating system had not written yet (often 30 s) on power loss",
    "": "unknown: the server does not tell how often it syncs its append-only file",
}
_OLDEST_REDIS = 7
_FSYNC_RANK = {"always": 3, "everysec": 2, "no": 1, "": 0}


async def check_durability(gateway: Gateway) -> Durability:
    """Of one server, or of a cluster's weakest primary."""
    infos = await gateway.every_primary("INFO")
    try:
        settings = await gateway.every_primary("CONFIG GET", *_PARAMETERS)
    except StoreError:
        # Managed servers deny CONFIG; INFO still tells whether the append-only file is on.
        settings = [{} for _ in infos]
    promises = [describe(i, s) for i, s in zip(infos, settings, strict=True)]
    return min(promises, key=_strength)


def describe(info: Mapping[str, Any], settings: Mapping[str, str]) -> Durability:
    """One server's promise, from its INFO and its CONFIG (empty when denied)."""
    name = str(info.get("server_name", "redis"))
    version = info.get(f"{name}_version", info.get("redis_version", ""))
    append_only = _append_only(info, settings)
    fsync = settings.get("appendfsync", "") if append_only else ""
    snapshots = settings.get("save", "")
    policy = settings.get("maxmemory-policy", str(info.get("maxmemory_policy", "")))
    return Durability(
        server=f"{name} {version}".strip(),
        role=str(info.get("role", "")),
        append_only=append_only,
        append_fsync=fsync,
        snapshots=snapshots,
        eviction_policy=policy,
        loses=_loses(append_only, fsync, snapshots),
        warnings=tuple(_warnings(info, policy, settings)),
    )


def _append_only(info: Mapping[str, Any], settings: Mapping[str, str]) -> bool | None:
    if "appendonly" in settings:
        return settings["appendonly"] == "yes"
    return bool(info["aof_enabled"]) if "aof_enabled" in info else None


def _loses(append_only: bool | None, fsync: str, snapshots: str) -> str:
    if append_only:
        return _SYNC_LOSES[fsync]
    if append_only is None:
        return "unknown: the server does not tell whether it writes an append-only file"
    if snapshots:
        return f"everything since the last snapshot (rule: {snapshots})"
    return "everything when it stops: it writes nothing to disk"


def _warnings(info: Mapping[str, Any], policy: str, settings: Mapping[str, str]) -> list[str]:
    warnings = []
    if policy not in ("", "noeviction"):
        warnings.append(f"it may drop records when memory is full (maxmemory-policy {policy})")
    if info.get("role") == "slave":
        warnings.append("it is a replica: writes will be refused")
    if info.get("aof_last_write_status", "ok") != "ok":
        warnings.append("its last write of the append-only file failed")
    if int(str(info.get("redis_version", _OLDEST_REDIS)).partition(".")[0]) < _OLDEST_REDIS:
        warnings.append("it is too old: recsvc needs Redis 7.0 or Valkey 7.2")
    if not settings:
        warnings.append("it does not let us read its CONFIG")
    return warnings


def _strength(promise: Durability) -> tuple[bool, int, bool]:
    """Bigger is safer; unknown counts as unsafe."""
    return (
        promise.append_only is True,
        _FSYNC_RANK[promise.append_fsync],
        promise.evicts is False,
    )
