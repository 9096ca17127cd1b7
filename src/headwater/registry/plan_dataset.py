"""`[[dataset]]` tables of plan files: how the rows of a dataset are encoded."""

from __future__ import annotations

import re

import msgspec

from headwater.registry.toml_file import Table

ENCODINGS = ("json", "protobuf")
_PROTO_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\.proto")
_FULL_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)


class PlannedDataset(msgspec.Struct, frozen=True):
    """What the plan says of a dataset. ``proto`` is a file beside the plan and ``message`` the message in it that a row is; both
    are empty where the message is made from the dataset's schema. Findings about it are said at ``table``."""

    name: str
    encoding: str
    proto: str
    message: str
    table: Table


def read_dataset(table: Table) -> PlannedDataset:
    """Reads one table; what is wrong is found in its file."""
    name = table.text("name")
    table.name = f"dataset {name!r}" if name else table.name
    encoding = table.text("encoding", "json", valid=ENCODINGS)
    proto, message = table.text("proto", ""), table.text("message", "")
    table.done()
    if encoding != "protobuf":
        for key, value in (("proto", proto), ("message", message)):
            if value:
                table.say(key, "wrong_value", f'{key} goes with encoding = "protobuf"; the encoding is {encoding!r}')
    elif bool(proto) != bool(message):
        key = "proto" if proto else "message"
        table.say(key, "wrong_value", "proto (a file in plan/) and message (the full name of a message in it) go together")
    if proto and not _PROTO_FILE.fullmatch(proto):
        table.say("proto", "wrong_value", f"proto is the name of a .proto file in plan/; got {proto!r}")
    if message and not _FULL_NAME.fullmatch(message):
        table.say("message", "wrong_value", f"message is a full name such as shop.v1.Order; got {message!r}")
    return PlannedDataset(name, encoding, proto, message, table)
