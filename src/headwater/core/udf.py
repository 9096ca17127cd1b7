"""Functions of one's own in Python, as rules see them: a name, types, and the file that they stand in."""

from __future__ import annotations

from typing import Any

import msgspec

from headwater.core.types import DataType, type_from_json, type_to_json


class Parameter(msgspec.Struct, frozen=True):
    """What a function takes: a column of this type. Where ``null`` is False, it is not called for rows in which it is NULL."""

    name: str
    type: DataType
    null: bool


class Signature(msgspec.Struct, frozen=True):
    """A function, declared on this ``line`` of ``file``. Where ``null`` is False, it gives a value for every row."""

    name: str
    file: str
    line: int
    parameters: tuple[Parameter, ...]
    result: DataType
    null: bool

    def form(self) -> str:
        """How a call is written: ``risk(DOUBLE, VARCHAR)``."""
        return f"{self.name}({', '.join(str(one.type) for one in self.parameters)})"

    def to_json(self) -> dict[str, Any]:
        """The stored form, as values of JSON."""
        parameters = [[one.name, type_to_json(one.type), one.null] for one in self.parameters]
        head = {"name": self.name, "file": self.file, "line": self.line}
        return {**head, "parameters": parameters, "result": type_to_json(self.result), "null": self.null}

    @staticmethod
    def from_json(stored: dict[str, Any]) -> Signature:
        """Reads what `to_json` wrote."""
        parameters = tuple(Parameter(name, type_from_json(kind), null) for name, kind, null in stored["parameters"])
        result = type_from_json(stored["result"])
        return Signature(stored["name"], stored["file"], stored["line"], parameters, result, stored["null"])


class UdfSet(msgspec.Struct, frozen=True):
    """All functions of a project: the texts of the files by name, and what they declare."""

    files: dict[str, str] = {}
    signatures: tuple[Signature, ...] = ()

    def by_name(self) -> dict[str, Signature]:
        """The functions by their names in lower case, since SQL knows no case in names of functions."""
        return {one.name.lower(): one for one in self.signatures}
