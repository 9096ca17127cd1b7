"""Descriptors: what a Protobuf message looks like on the wire, as snapshots carry it and the kernel reads it.

A descriptor is plain data, so that neither snapshot nor kernel needs generated code or a Protobuf library. Its stored form is
described in `docs/formats/descriptor.md`.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

KINDS = (
    *("int64", "int32", "uint64", "uint32", "sint64", "sint32", "fixed64", "fixed32", "sfixed64", "sfixed32"),
    *("double", "float", "bool", "string", "bytes", "enum", "message", "group"),
)
"""The kinds of fields, by the names that `.proto` files give them."""

PACKABLE = frozenset(KINDS) - {"string", "bytes", "message", "group"}
"""Kinds that a repeated field may have packed."""

PRESENCE, IMPLICIT, REPEATED, PACKED, MAP = "optional", "implicit", "repeated", "packed", "map"
CARDINALITIES = (PRESENCE, IMPLICIT, REPEATED, PACKED, MAP)
"""``optional``: one value, known to be there or not. ``implicit``: one value, absent where it is zero or empty. ``packed`` is a
repeated field that is written packed; both forms are read. ``map`` is a repeated message of key and value."""

TEXT, ITEMS, TIME = "json", "items", "timestamp"
MEANINGS = ("", TEXT, ITEMS, TIME)
"""What a field or message stands for besides its kind: a string that holds JSON, a message that is a list, a moment."""


class WireField(msgspec.Struct, frozen=True, kw_only=True):
    """A field. ``name`` is what rules call it; ``message`` is the index of its message, ``values`` are the names of an enum."""

    name: str
    number: int
    kind: str
    cardinality: str = PRESENCE
    message: int = -1
    meaning: str = ""
    values: tuple[tuple[int, str], ...] = ()


class WireStruct(msgspec.Struct, frozen=True, kw_only=True):
    """A message. ``meaning`` is ``items`` where it stands for a list, ``timestamp`` for google.protobuf.Timestamp."""

    name: str
    fields: tuple[WireField, ...] = ()
    meaning: str = ""


class Descriptor(msgspec.Struct, frozen=True, kw_only=True):
    """The messages of one dataset; the first one is an event or row. ``files`` are the `.proto` files that say the same."""

    messages: tuple[WireStruct, ...]
    files: tuple[tuple[str, str], ...] = ()

    @property
    def root(self) -> WireStruct:
        """The message of an event or row."""
        return self.messages[0]


def descriptor_to_json(descriptor: Descriptor) -> Any:
    """The stored form: what is left out has its default."""
    messages = []
    for message in descriptor.messages:
        fields = [_without_defaults(field) for field in message.fields]
        messages.append({**_without_defaults(message), "fields": fields})
    return {"messages": messages, "files": [list(file) for file in descriptor.files]}


def descriptor_bytes(descriptor: Descriptor) -> bytes:
    """The stored form as the kernel takes it."""
    return json.dumps(descriptor_to_json(descriptor)).encode()


def descriptor_from_json(stored: Any) -> Descriptor:
    """Reads what `descriptor_to_json` wrote. Raises ValueError that says what is not as it must be."""
    descriptor = msgspec.convert(stored, Descriptor)
    for message in descriptor.messages:
        for field in message.fields:
            good = field.kind in KINDS and field.cardinality in CARDINALITIES and field.meaning in MEANINGS
            if not good or (field.kind in ("message", "group")) != (0 <= field.message < len(descriptor.messages)):
                raise ValueError(f"the field {field.name!r} of the message {message.name!r} is not one: {field}")
    if not descriptor.messages:
        raise ValueError("a descriptor has no message")
    return descriptor


def _without_defaults(value: WireStruct | WireField) -> dict[str, Any]:
    defaults = {info.name: info.default for info in msgspec.structs.fields(type(value))}
    found = {name: getattr(value, name) for name in value.__struct_fields__}
    return {name: msgspec.to_builtins(one) for name, one in found.items() if one != defaults[name] and name != "fields"}
