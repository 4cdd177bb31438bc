"""Structured logs: one JSON object a line on stderr, or something for eyes."""

from __future__ import annotations

import logging
import sys
from typing import Any, TextIO

import msgspec
import structlog
from structlog.typing import FilteringBoundLogger, Processor

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


def build_logger(
    level: str = "info", style: str = "json", stream: TextIO | None = None, **fields: Any
) -> FilteringBoundLogger:
    """A logger that adds `fields` to each line; `level` and `style` as in the settings.

    Each line is one write, so that the lines of several processes do not mix.
    """
    out = stream or sys.stderr
    processors: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.format_exc_info,
    ]
    if style == "json":
        processors.append(structlog.processors.JSONRenderer(serializer=_to_json))
    else:
        processors.append(structlog.dev.ConsoleRenderer(colors=out.isatty()))
    logger: FilteringBoundLogger = structlog.wrap_logger(
        structlog.WriteLogger(out),
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        cache_logger_on_first_use=True,
    ).bind(**fields)
    return logger


def _to_json(fields: dict[str, Any], **_: Any) -> str:
    """`default` and other options of the standard encoder do not apply here."""
    return msgspec.json.encode(fields, enc_hook=str).decode()
