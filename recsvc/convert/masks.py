"""Update masks: which attributes of an entity an update sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from recsvc.convert.names import shown
from recsvc.errors import InvalidMaskError

ALL = "*"
_IDENTIFIER = "name"


def masked_attributes(
    message: Message, mask: FieldMask, attributes: Mapping[str, Sequence[str]]
) -> frozenset[str]:
    """The attributes to set, from a mask of the message's fields.

    No mask: the fields that are set in the message; `*`: all. `attributes` maps each field that a
    caller may set to what it sets. Raises InvalidMaskError for any other field.
    """
    paths: Sequence[str] = mask.paths
    if not paths:
        fields = [d.name for d, _ in message.ListFields() if d.name in attributes]
    elif list(paths) == [ALL]:
        fields = list(attributes)
    else:
        fields = [path for path in paths if path != _IDENTIFIER]
        unknown = [path for path in fields if path not in attributes]
        if unknown:
            raise InvalidMaskError(
                f"update_mask: {shown(unknown[0])} is no field that can be set; use "
                f"{', '.join(attributes)}, or {ALL} alone for all",
                field="update_mask",
            )
    return frozenset(a for field in fields for a in attributes[field])
