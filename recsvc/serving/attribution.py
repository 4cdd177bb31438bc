"""The attribution token: which decision a reply was.

It names model, revision, time, seed and subject of a reply, so that events can be tied to it and
that it can be computed again. A token is at most 512 characters; it is sealed (see tokens.py),
and the tenant is part of the seal.
"""

from __future__ import annotations

import msgspec

from recsvc.errors import InvalidAttributionTokenError
from recsvc.model.arrays import stable_key
from recsvc.serving.tokens import Sealer, SealError
from recsvc.store.revision import Position, Revision

MAX_TOKEN_LENGTH = 512
_VERSION = 1


class Decision(msgspec.Struct, frozen=True):
    """What a reply was based on. `subject` is the stable key of the member, lead or draft.

    `whole_revision` is False where the revision had too many buckets to fit: only the time is kept.
    """

    model_version: str
    revision: Revision
    time_us: int
    subject: int
    seed: int = 0
    draft: bool = False
    whole_revision: bool = True


class _Payload(msgspec.Struct, array_like=True):
    version: int
    model_version: str
    time_us: int
    subject: int
    seed: int
    draft: bool
    whole: bool
    # Bucket, milliseconds before the decision, sequence: small numbers take few bytes.
    positions: tuple[tuple[int, int, int], ...]


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(_Payload)


class AttributionCodec:
    """Decisions of one tenant as tokens, and back."""

    def __init__(self, sealer: Sealer, tenant: str) -> None:
        self._sealer = sealer
        self._purpose = f"attribution {tenant}"

    def encode(self, decision: Decision) -> str:
        """The token of a decision."""
        token = self._seal(decision, whole=True)
        return token if len(token) <= MAX_TOKEN_LENGTH else self._seal(decision, whole=False)

    def _seal(self, decision: Decision, whole: bool) -> str:
        at_ms = decision.time_us // 1000
        positions = decision.revision.positions if whole else ()
        payload = _Payload(
            _VERSION,
            decision.model_version,
            decision.time_us,
            decision.subject,
            decision.seed,
            decision.draft,
            whole,
            tuple([(b, at_ms - p.milliseconds, p.sequence) for b, p in positions]),
        )
        return self._sealer.seal(self._purpose, _ENCODER.encode(payload))

    def decode(self, token: str, field: str = "attribution_token") -> Decision:
        """The decision of a token; raises InvalidAttributionTokenError."""
        try:
            if len(token) > MAX_TOKEN_LENGTH:
                raise SealError("too long")
            payload = _DECODER.decode(self._sealer.open(self._purpose, token))
        except (SealError, msgspec.MsgspecError):
            raise InvalidAttributionTokenError(
                f"{field} was not given out by this service for this tenant, or was altered: send "
                "attribution_token of a reply unchanged",
                field=field,
            ) from None
        at_ms = payload.time_us // 1000
        positions = ((b, Position(at_ms - ms, seq)) for b, ms, seq in payload.positions)
        return Decision(
            payload.model_version,
            Revision.of(positions),
            payload.time_us,
            payload.subject,
            payload.seed,
            payload.draft,
            payload.whole,
        )


def subject_key(identifier: str) -> int:
    """What a token keeps of a member's or lead's id: short, whatever the id."""
    return stable_key(identifier)
