"""What supervisor and worker process say to each other, as lines of JSON."""

from __future__ import annotations

import msgspec


class Order(msgspec.Struct):
    """What the supervisor tells a worker, on its stdin."""

    settings: str  # JSON
    store_url: str
    address: str
    index: int


class Ready(msgspec.Struct):
    """What a worker answers on its stdout once it serves: the model of each tenant, "" for none."""

    port: int
    models: dict[str, str]
