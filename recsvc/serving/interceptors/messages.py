"""Bytes in place of messages: replies that are written down already, and requests that are none.

Of these gRPC says INTERNAL, but they are the caller's fault.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError, Message
from msgspec import Struct

from recsvc.errors import MalformedMessageError


@dataclass(frozen=True)
class Malformed:
    """Stands for a request whose bytes are no message of its type."""

    type_name: str


class Written(Struct):
    """A reply as the bytes to be sent."""

    data: bytes


def written(serialize: Any) -> Callable[[Any], bytes]:
    """A serializer that leaves a `Written` as it is."""

    def write(reply: Any) -> bytes:
        data: bytes = reply.data if type(reply) is Written else serialize(reply)
        return data

    return write


def tolerant(deserialize: Any) -> Callable[[bytes], Message | Malformed]:
    """A deserializer that gives a `Malformed` instead of failing."""

    def read(data: bytes) -> Message | Malformed:
        try:
            message: Message = deserialize(data)
        except DecodeError:
            owner = getattr(deserialize, "__self__", None)
            return Malformed(getattr(owner, "__name__", "the request's type"))
        return message

    return read


def checked(request: Any) -> Any:
    """The request; raises MalformedMessageError."""
    if isinstance(request, Malformed):
        raise MalformedMessageError(
            f"the bytes sent are no message of {request.type_name}: texts must be UTF-8, and both "
            "sides must use the same version of the contract"
        )
    return request


async def checked_each(requests: AsyncIterable[Any]) -> AsyncGenerator[Any, None]:
    async for request in requests:
        yield checked(request)
