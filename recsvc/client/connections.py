"""The connections of a client: channels of their own to one address, used in turn."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from grpc_health.v1 import health_pb2_grpc

from recsvc.client.options import Tls, channel_options
from recsvc.v1 import (
    catalog_pb2_grpc,
    claim_pb2_grpc,
    model_pb2_grpc,
    participation_pb2_grpc,
    push_pb2_grpc,
    recommendation_pb2_grpc,
)

_STUBS: Sequence[Callable[[Any], object]] = (
    catalog_pb2_grpc.CatalogServiceStub,
    recommendation_pb2_grpc.RecommendationServiceStub,
    participation_pb2_grpc.ParticipationServiceStub,
    claim_pb2_grpc.ClaimServiceStub,
    push_pb2_grpc.PushServiceStub,
    model_pb2_grpc.ModelServiceStub,
    health_pb2_grpc.HealthStub,
)


class Connections:
    """`count` channels, made by the given factories: those of grpc or of grpc.aio.

    They are made at the first call, because grpc.aio binds them to the loop that runs then.
    Raises ConfigError when TLS files cannot be read.
    """

    def __init__(
        self,
        address: str,
        tls: Tls | None,
        count: int,
        insecure: Callable[..., Any],
        secure: Callable[..., Any],
    ) -> None:
        self.count = count
        self._address = address
        self._options = channel_options(tls)
        self._credentials = tls.credentials() if tls is not None else None
        self._insecure, self._secure = insecure, secure
        self._lock = threading.Lock()
        self._turn = 0
        self._channels: list[Any] = []
        self._methods: list[dict[str, Any]] = []

    def method(self, name: str) -> Any:
        """The callable of a method, on the connection whose turn it is."""
        with self._lock:
            if not self._methods:
                self._channels = [self._channel() for _ in range(self.count)]
                self._methods = [_methods_of(channel) for channel in self._channels]
            self._turn += 1
            return self._methods[self._turn % self.count][name]

    def take(self) -> list[Any]:
        """The channels there are, for closing them; a later call would make new ones."""
        with self._lock:
            channels, self._channels, self._methods = self._channels, [], []
            return channels

    def _channel(self) -> Any:
        if self._credentials is None:
            return self._insecure(self._address, options=self._options)
        return self._secure(self._address, self._credentials, options=self._options)


def _methods_of(channel: Any) -> dict[str, Any]:
    """Method name -> callable; no two services share a method name."""
    return {name: method for stub in _STUBS for name, method in vars(stub(channel)).items()}
