"""What a worker process does between its order and its end."""

from __future__ import annotations

import asyncio
import json
import signal
import sys

import msgspec

from recsvc.errors import ConfigError
from recsvc.serving.call_log import build_call_log
from recsvc.serving.collector import leave_to_reference_counts
from recsvc.serving.log import build_logger
from recsvc.serving.metrics import Metrics
from recsvc.serving.orders import Order, Ready
from recsvc.serving.server import Server
from recsvc.serving.tokens import load_key
from recsvc.settings import Settings
from recsvc.store.redis_store import RedisStore

_SWITCH_SECONDS = 0.0005
"""So soon the thread that answers gets the interpreter back from one that builds the next model; of
the interpreter's own 5 ms, each answer would wait a few times."""


async def run(order: Order) -> int:
    """Serves until SIGTERM; the exit code."""
    sys.setswitchinterval(_SWITCH_SECONDS)
    settings = Settings(**json.loads(order.settings))
    log = build_logger(settings.log_level, settings.log_format, worker=order.index)
    calls = build_call_log(settings.log_level, settings.log_format, worker=order.index)
    stopping, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    # Ctrl-C reaches the whole group: the supervisor decides when its workers end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answer_seconds = settings.store_answer_seconds
    async with RedisStore(order.store_url, answer_seconds=answer_seconds) as store:
        try:
            key = load_key(settings.data_folder)
            server = Server(settings, store, key, Metrics(), log, call_log=calls)
            loop.add_signal_handler(signal.SIGHUP, server.look_for_models)
            port = await server.start(order.address)
        except ConfigError as error:
            log.error("cannot serve", problem=str(error))
            return 1
        leave_to_reference_counts()
        models = {tenant: w.live_model for tenant, w in server.workers.items()}
        sys.stdout.buffer.write(msgspec.json.encode(Ready(port, models)) + b"\n")
        sys.stdout.buffer.flush()
        await stopping.wait()
        log.info("draining")
        await server.stop()
    return 0
