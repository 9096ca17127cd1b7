"""Registered schemas as Protobuf: the descriptor and the `.proto` file of a dataset, by its numbers.

BIGINT is int64, DOUBLE double, BOOLEAN bool, VARCHAR string, TIMESTAMP google.protobuf.Timestamp, JSON a string that holds it, a
STRUCT a message, a list a repeated field; a list in a list is a message with the repeated field `items`.
"""

from __future__ import annotations

import re

from headwater.core.descriptor import IMPLICIT, ITEMS, PACKED, PRESENCE, REPEATED, TEXT, TIME, Descriptor, WireField, WireStruct
from headwater.core.types import DataType, ListOf, Scalar, StructOf
from headwater.registry.numbers import Number, Numbers, Path, camel

KINDS = {"BIGINT": "int64", "DOUBLE": "double", "BOOLEAN": "bool", "VARCHAR": "string", "JSON": "string", "TIMESTAMP": "message"}
TIMESTAMP_NAME = "google.protobuf.Timestamp"
_TIMESTAMP = WireStruct(
    name=TIMESTAMP_NAME,
    meaning=TIME,
    fields=(
        WireField(name="seconds", number=1, kind="int64", cardinality=IMPLICIT),
        WireField(name="nanos", number=2, kind="int32", cardinality=IMPLICIT),
    ),
)


def package_of(project: str) -> str:
    """The Protobuf package of a project's datasets."""
    name = re.sub(r"[^a-z0-9]+", "_", project.lower()).strip("_")
    return name if name[:1].isalpha() else f"project_{name}".rstrip("_")


def generated(project: str, dataset: str, row: StructOf, numbers: Numbers) -> Descriptor:
    """The descriptor of a dataset. Every field must have its number (`Numbers.misfits` finds none)."""
    return _Generator(project, dataset, numbers).descriptor(row)


class _Generator:
    def __init__(self, project: str, dataset: str, numbers: Numbers) -> None:
        self.package = package_of(project)
        self.dataset = dataset
        self.numbers = numbers
        self.structs: list[WireStruct | None] = []
        self.timestamp = -1

    def descriptor(self, row: StructOf) -> Descriptor:
        body: list[str] = []
        self._struct(camel(self.dataset), row, (), 0, body)
        head = [
            f"// The dataset {self.dataset}, as `headwater proto` wrote it from its schema.",
            'syntax = "proto3";',
            "",
            f"package {self.package};",
            "",
        ]
        if self.timestamp >= 0:
            head += ['import "google/protobuf/timestamp.proto";', ""]
        text = "\n".join([*head, *body]) + "\n"
        structs = tuple(one for one in self.structs if one is not None)
        return Descriptor(messages=structs, files=((f"{self.dataset}.proto", text),))

    def _struct(self, called: str, kind: StructOf, path: Path, depth: int, lines: list[str]) -> int:
        """Adds the message of a STRUCT; its index."""
        index = self._reserve_index()
        inside = "  " * (depth + 1)
        lines.append(f"{'  ' * depth}message {called} {{")
        if gone := self.numbers.reserved(self.dataset, path, {name for name, _ in kind.fields}):
            lines.append(f"{inside}reserved {', '.join(map(str, gone))};")
        fields, nested = [], list[str]()
        for number, name, inner in self._numbered(kind, path):
            item = inner.item if isinstance(inner, ListOf) else inner
            message = self._inner(number.inner, item, (*path, name), depth + 1, nested)
            fields.append(self._field(name, number.number, inner, message))
            label = "repeated" if isinstance(inner, ListOf) else "optional"
            remark = "" if number.called == name else f"  // {name}"
            remark += "  // JSON" if item == Scalar("JSON") else ""
            lines.append(f"{inside}{label} {self._shown(item, number.inner)} {number.called} = {number.number};{remark}")
        lines += [*nested, f"{'  ' * depth}}}"]
        self.structs[index] = WireStruct(name=called, fields=tuple(fields))
        return index

    def _numbered(self, kind: StructOf, path: Path) -> list[tuple[Number, str, DataType]]:
        """The fields of a STRUCT in the order of their numbers."""
        found = []
        for name, inner in kind.fields:
            number = self.numbers.find(self.dataset, path, name)
            if number is None:
                raise ValueError(f"the field {name!r} of {self.dataset} has no number")
            found.append((number, name, inner))
        return sorted(found, key=lambda one: one[0].number)

    def _list(self, called: str, kind: ListOf, path: Path, depth: int, lines: list[str]) -> int:
        """Adds the message of a list in a list; its index."""
        index = self._reserve_index()
        lines.append(f"{'  ' * depth}message {called} {{")
        nested: list[str] = []
        message = self._inner("Item", kind.item, path, depth + 1, nested)
        lines.append(f"{'  ' * (depth + 1)}repeated {self._shown(kind.item, 'Item')} items = 1;")
        lines += [*nested, f"{'  ' * depth}}}"]
        self.structs[index] = WireStruct(name=called, fields=(self._field("items", 1, kind, message),), meaning=ITEMS)
        return index

    def _inner(self, called: str, item: DataType, path: Path, depth: int, lines: list[str]) -> int:
        """The index of the message of a field or item; -1 where it has none."""
        match item:
            case StructOf():
                lines.append("")
                return self._struct(called, item, path, depth, lines)
            case ListOf():
                lines.append("")
                return self._list(called, item, path, depth, lines)
            case Scalar("TIMESTAMP"):
                if self.timestamp < 0:
                    self.timestamp = self._reserve_index()
                    self.structs[self.timestamp] = _TIMESTAMP
                return self.timestamp
        return -1

    def _reserve_index(self) -> int:
        self.structs.append(None)
        return len(self.structs) - 1

    def _field(self, name: str, number: int, kind: DataType, message: int) -> WireField:
        item = kind.item if isinstance(kind, ListOf) else kind
        wire = KINDS[item.name] if isinstance(item, Scalar) else "message"
        cardinality = PRESENCE
        if isinstance(kind, ListOf):
            cardinality = PACKED if wire in ("int64", "double", "bool") else REPEATED
        meaning = TEXT if item == Scalar("JSON") else ""
        return WireField(name=name, number=number, kind=wire, cardinality=cardinality, message=message, meaning=meaning)

    def _shown(self, item: DataType, called: str) -> str:
        if not isinstance(item, Scalar):
            return called
        return TIMESTAMP_NAME if item.name == "TIMESTAMP" else KINDS[item.name]
