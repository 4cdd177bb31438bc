"""Page tokens: where a listing goes on, bound to the query that it belongs to."""

from __future__ import annotations

import hashlib

import msgspec

from recsvc.errors import InvalidPageTokenError
from recsvc.serving.tokens import Sealer, SealError

_MAX_TOKEN_LENGTH = 256
_FIELD = "page_token"


class _Cursor(msgspec.Struct, array_like=True):
    binding: bytes
    numbers: tuple[int, ...]


_DECODER = msgspec.msgpack.Decoder(_Cursor)


class PageTokens:
    """Gives out page tokens and takes them back.

    `binding` is everything that must be the same on the next page: method, tenant, filters, model.
    """

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def encode(self, binding: object, *numbers: int) -> str:
        """A token that brings `numbers` back."""
        cursor = _Cursor(_digest(binding), numbers)
        return self._sealer.seal("page", msgspec.msgpack.encode(cursor))

    def decode(self, binding: object, token: str) -> tuple[int, ...]:
        """The numbers of a token given out for the same binding; raises InvalidPageTokenError."""
        try:
            if len(token) > _MAX_TOKEN_LENGTH:
                raise SealError("too long")
            cursor = _DECODER.decode(self._sealer.open("page", token))
        except (SealError, msgspec.MsgspecError):
            raise InvalidPageTokenError(
                "page_token was not given out by this service: send next_page_token of the page "
                "before unchanged, or leave it empty",
                field=_FIELD,
            ) from None
        if cursor.binding != _digest(binding):
            raise InvalidPageTokenError(
                "page_token belongs to another query or another model: keep every other field as "
                "it was, or begin again with an empty page_token",
                field=_FIELD,
            )
        return cursor.numbers


def _digest(binding: object) -> bytes:
    return hashlib.blake2b(msgspec.json.encode(binding), digest_size=12).digest()
