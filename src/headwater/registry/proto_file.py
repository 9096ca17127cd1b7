"""`.proto` files of the user's own → descriptors, by protoc as grpcio-tools ships it (the extra `protobuf`).

It runs when a project is compiled, never where events flow: a snapshot carries the descriptor.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from headwater.core.descriptor import IMPLICIT, MAP, PACKED, PRESENCE, REPEATED, TIME, Descriptor, WireField, WireStruct
from headwater.core.errors import SchemaError
from headwater.core.limits import PROTOC_RUN_S_MAX

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor as FoundMessage
    from google.protobuf.descriptor import FieldDescriptor

_KINDS = (
    *("", "double", "float", "int64", "uint64", "int32", "fixed64", "fixed32", "bool", "string", "group", "message", "bytes"),
    *("uint32", "enum", "sfixed32", "sfixed64", "sint32", "sint64"),
)
"""By the numbers of google.protobuf.FieldDescriptorProto.Type."""


def descriptor_from_files(files: Mapping[str, str], file: str, message: str) -> Descriptor:
    """The descriptor of a message of ``file``; ``files`` are all that it may import, by name.

    Raises SchemaError: protoc's own words, or that there is no such message, or that the extra is missing.
    """
    return _compiled(tuple(sorted(files.items())), file, message)


@lru_cache(maxsize=32)
def _compiled(files: tuple[tuple[str, str], ...], file: str, message: str) -> Descriptor:
    if importlib.util.find_spec("grpc_tools") is None:
        raise SchemaError(f"{file} needs the compiler of .proto files, which is not installed: pip install 'headwater[protobuf]'")
    if file not in dict(files):
        known = ", ".join(name for name, _ in files) or "none"
        raise SchemaError(f"there is no file {file} in plan/; .proto files there are {known}")
    from google.protobuf import descriptor_pb2, descriptor_pool

    stored = descriptor_pb2.FileDescriptorSet.FromString(_protoc(files, file))
    pool = descriptor_pool.DescriptorPool()
    for each in stored.file:
        pool.Add(each)
    try:
        found = pool.FindMessageTypeByName(message)
    except KeyError:
        own = next(each for each in stored.file if each.name == file)
        valid = [f"{own.package}.{one.name}".lstrip(".") for one in own.message_type]
        raise SchemaError(f"{file} has no message {message!r}; it has {', '.join(valid) or 'none'}") from None
    imported = {each.name for each in stored.file}
    return Descriptor(messages=_structs(found), files=tuple(one for one in files if one[0] in imported))


def _protoc(files: tuple[tuple[str, str], ...], file: str) -> bytes:
    with tempfile.TemporaryDirectory(prefix="headwater-proto-") as scratch:
        directory = Path(scratch)
        for name, text in files:
            (directory / name).write_text(text, encoding="utf-8")
        output = directory / ".descriptors"
        arguments = ["--proto_path=.", "--include_imports", f"--descriptor_set_out={output}", file]
        command = [sys.executable, "-m", "grpc_tools.protoc", *arguments]
        try:
            done = subprocess.run(command, cwd=directory, capture_output=True, timeout=PROTOC_RUN_S_MAX, check=False)
        except subprocess.TimeoutExpired:
            raise SchemaError(f"{file}: protoc did not end within {PROTOC_RUN_S_MAX:g} s") from None
        if done.returncode:
            said = [line for line in done.stderr.decode(errors="replace").splitlines() if "warning:" not in line]
            raise SchemaError("; ".join(said) or f"{file}: protoc ended with {done.returncode}")
        return output.read_bytes()


def _structs(root: FoundMessage) -> tuple[WireStruct, ...]:
    """The message and all that it holds; a message that holds itself stands once."""
    order: dict[str, int] = {root.full_name: 0}
    waiting, found = [root], list[WireStruct]()
    for each in waiting:
        fields = []
        for field in each.fields:
            inner = field.message_type
            if inner is not None and inner.full_name not in order:
                order[inner.full_name] = len(order)
                waiting.append(inner)
            fields.append(_field(field, -1 if inner is None else order[inner.full_name]))
        meaning = TIME if each.full_name == "google.protobuf.Timestamp" else ""
        found.append(WireStruct(name=each.full_name, fields=tuple(sorted(fields, key=lambda one: one.number)), meaning=meaning))
    return tuple(found)


def _field(field: FieldDescriptor, inner: int) -> WireField:
    if field.is_repeated:
        is_map = field.message_type is not None and field.message_type.GetOptions().map_entry
        cardinality = MAP if is_map else PACKED if field.is_packed else REPEATED
    else:
        cardinality = PRESENCE if field.has_presence else IMPLICIT
    values = () if field.enum_type is None else tuple((one.number, one.name) for one in field.enum_type.values)
    return WireField(
        name=field.name,
        number=field.number,
        kind=_KINDS[field.type],
        cardinality=cardinality,
        message=inner,
        values=values,
    )
