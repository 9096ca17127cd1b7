"""The types of fields and columns, as they are written in physical rules, plans and snapshots.

A scalar type is its name (``"BIGINT"``), a list is ``{"list": T}`` and a struct is ``{"struct": [[name, T], …]}``.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

SCALARS = ("BIGINT", "DOUBLE", "BOOLEAN", "VARCHAR", "TIMESTAMP", "JSON")


def quoted(name: str) -> str:
    """A name as SQL takes it whatever its characters: in double quotes."""
    return '"' + name.replace('"', '""') + '"'


class Scalar(msgspec.Struct, frozen=True):
    """BIGINT, DOUBLE, BOOLEAN, VARCHAR, TIMESTAMP (µs since 1970, UTC) or JSON; NULL is the type of a bare NULL."""

    name: str

    def __str__(self) -> str:
        return self.name


class ListOf(msgspec.Struct, frozen=True):
    """A list of one item type."""

    item: DataType

    def __str__(self) -> str:
        return f"{self.item}[]"


class StructOf(msgspec.Struct, frozen=True):
    """An object with registered fields, in their registered order."""

    fields: tuple[tuple[str, DataType], ...]

    def field(self, name: str) -> DataType | None:
        """The type of a field, or None where it is not registered."""
        for known, kind in self.fields:
            if known == name:
                return kind
        return None

    def __str__(self) -> str:
        return f"STRUCT({', '.join(f'{quoted(name)} {kind}' for name, kind in self.fields)})"


DataType: TypeAlias = Scalar | ListOf | StructOf

BIGINT, DOUBLE, BOOLEAN, VARCHAR, TIMESTAMP, JSON = (Scalar(name) for name in SCALARS)
NULL = Scalar("NULL")


def type_to_json(kind: DataType) -> Any:
    """The stored form of a type: a str, ``{"list": …}`` or ``{"struct": [[name, …], …]}``."""
    match kind:
        case Scalar(name):
            return name
        case ListOf(item):
            return {"list": type_to_json(item)}
        case StructOf(fields):
            return {"struct": [[name, type_to_json(inner)] for name, inner in fields]}


def type_from_json(stored: Any) -> DataType:
    """Reads what `type_to_json` wrote. Raises ValueError that names what is not a type."""
    match stored:
        case str() if stored in SCALARS or stored == "NULL":
            return Scalar(stored)
        case {"list": item}:
            return ListOf(type_from_json(item))
        case {"struct": [*fields]}:
            return StructOf(tuple((name, type_from_json(inner)) for name, inner in fields))
    raise ValueError(f"not a type: {stored!r}; valid are {', '.join(SCALARS)}, {{'list': type}} and {{'struct': [[name, type]]}}")
