"""The types of a topic's fields where nobody registered them: those that a sample of its payloads has."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from headwater.core.types import BIGINT, BOOLEAN, DOUBLE, JSON, NULL, VARCHAR, DataType, ListOf, StructOf

_BIGINT_MAX = 2**63


def inferred(payloads: Iterable[bytes]) -> StructOf:
    """One type for all payloads. What is no JSON object adds nothing; what has different types is JSON."""
    kind: DataType = StructOf(())
    for payload in payloads:
        try:
            value = msgspec.json.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        if isinstance(value, dict):
            kind = _united(kind, _type_of(value))
    found = _named(kind)
    return found if isinstance(found, StructOf) else StructOf(())


def _type_of(value: Any) -> DataType:
    match value:
        case None:
            return NULL
        case bool():
            return BOOLEAN
        case int():
            return BIGINT if -_BIGINT_MAX <= value < _BIGINT_MAX else DOUBLE
        case float():
            return DOUBLE
        case str():
            return VARCHAR
        case dict():
            return StructOf(tuple((name, _type_of(inner)) for name, inner in value.items()))
    item: DataType = NULL
    for each in value:
        item = _united(item, _type_of(each))
    return ListOf(item)


def _united(one: DataType, other: DataType) -> DataType:
    if one == other or other == NULL:
        return one
    if one == NULL:
        return other
    if {one, other} == {BIGINT, DOUBLE}:
        return DOUBLE
    if isinstance(one, ListOf) and isinstance(other, ListOf):
        return ListOf(_united(one.item, other.item))
    if isinstance(one, StructOf) and isinstance(other, StructOf):
        fields = dict(one.fields)
        for name, kind in other.fields:
            fields[name] = _united(fields[name], kind) if name in fields else kind
        return StructOf(tuple(fields.items()))
    return JSON


def _named(kind: DataType) -> DataType:
    """Without what has no type that rules know, and without names that differ only in case from an earlier one."""
    if isinstance(kind, StructOf):
        names: dict[str, str] = {}
        fields = [(name, _named(inner)) for name, inner in kind.fields if names.setdefault(name.casefold(), name) == name]
        return StructOf(tuple(fields)) if fields else JSON
    if isinstance(kind, ListOf):
        return JSON if kind.item == NULL else ListOf(_named(kind.item))
    return JSON if kind == NULL else kind
