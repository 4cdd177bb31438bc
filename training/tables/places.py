"""A member's places as JSON: the text in a file, the entity in memory."""

from __future__ import annotations

import re
from typing import Annotated, Literal

import msgspec

from features.entities import Place

_Latitude = Annotated[float, msgspec.Meta(ge=-90, le=90)]
_Longitude = Annotated[float, msgspec.Meta(ge=-180, le=180)]
_REGION = re.compile(r"[0-9]{2,12}")


_Kind = Literal["HOME", "WORK", "STUDIO"]


class _PlaceRow(msgspec.Struct, omit_defaults=True):
    kind: _Kind | None = None
    latitude: _Latitude | None = None
    longitude: _Longitude | None = None
    region_code: str | None = None


_DECODER = msgspec.json.Decoder(list[_PlaceRow])


def places_from_json(text: str) -> tuple[Place, ...]:
    """Reads places; raises ValueError when the JSON, a kind, coordinate or region code is bad."""
    return tuple(_place(row) for row in _DECODER.decode(text))


def are_places(text: str) -> bool:
    """Whether `places_from_json` can read the text."""
    try:
        places_from_json(text)
    except (ValueError, UnicodeError):
        return False
    return True


def _place(row: _PlaceRow) -> Place:
    region = row.region_code or ""
    if region and not _REGION.fullmatch(region):
        raise ValueError(f"region code {region!r} is not 2 to 12 digits")
    if (row.latitude is None) != (row.longitude is None):
        raise ValueError("latitude and longitude must come together")
    return Place(row.kind or "HOME", row.latitude, row.longitude, region)
