"""A gRPC server set up as a worker's (options, loop, intake, collector): what we compare with."""

# ruff: noqa: N802 - the contract names the methods

from __future__ import annotations

import asyncio
import signal
from typing import Any

import grpc
import uvloop

from recsvc.serving.collector import leave_to_reference_counts
from recsvc.serving.intake import Intake
from recsvc.settings import Settings
from recsvc.v1 import recommendation_pb2_grpc

READY = "ready on "
"""What a child says, followed by its port, when it serves."""


class Lists(recommendation_pb2_grpc.RecommendationServiceServicer):
    """Answers what a subclass answers, and refuses the rest."""

    async def RecommendLeads(self, request: Any, context: Any) -> Any:
        """Not part of the comparison."""
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "not compared")

    async def MatchMembers(self, request: Any, context: Any) -> Any:
        """Not part of the comparison."""
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "not compared")

    async def BatchRecommendLeads(self, request: Any, context: Any) -> Any:
        """Not part of the comparison."""
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "not compared")
        yield

    async def ScorePairs(self, request: Any, context: Any) -> Any:
        """Not part of the comparison."""
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "not compared")

    async def Explain(self, request: Any, context: Any) -> Any:
        """Not part of the comparison."""
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "not compared")


def serve(servicer: recommendation_pb2_grpc.RecommendationServiceServicer) -> None:
    """Serves on a free port of 127.0.0.1, says which, and ends on SIGTERM."""
    uvloop.run(_serve(servicer))


async def _serve(servicer: Any) -> None:
    settings = Settings()
    server = grpc.aio.server(
        options=(
            ("grpc.so_reuseport", 1),
            ("grpc.max_receive_message_length", settings.max_receive_bytes),
            ("grpc.max_send_message_length", -1),
            ("grpc.max_concurrent_streams", 2 * settings.max_in_flight),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
        )
    )
    intake: Any = Intake(server)
    recommendation_pb2_grpc.add_RecommendationServiceServicer_to_server(servicer, intake)
    port = server.add_insecure_port("127.0.0.1:0")
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    await intake.start()
    leave_to_reference_counts()
    print(f"{READY}{port}", flush=True)
    await stopping.wait()
    await server.stop(1.0)
