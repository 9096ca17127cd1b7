"""Which types convert to which, and literals that are typed when a rule is checked."""

from __future__ import annotations

from headwater.core.types import BIGINT, BOOLEAN, DOUBLE, JSON, NULL, TIMESTAMP, VARCHAR, DataType, ListOf, StructOf
from headwater.kernel.functions import casts
from headwater.kernel.functions.numbers import Failed

COMPARABLE = (BIGINT, DOUBLE, BOOLEAN, VARCHAR, TIMESTAMP)
_PLAIN = (BIGINT, DOUBLE, BOOLEAN, VARCHAR)


def common_type(kinds: list[DataType]) -> DataType | None:
    """The type that all convert to without a cast: equal types, NULL with any, BIGINT with DOUBLE. None where there is none."""
    common: DataType = NULL
    for kind in kinds:
        if common in (kind, NULL):
            common = kind
        elif {common, kind} == {BIGINT, DOUBLE}:
            common = DOUBLE
        elif kind != NULL:
            return None
    return common


def castable(source: DataType, target: DataType) -> bool:
    """Whether CAST has a meaning for the pair, as docs/formats/physical-rule.md lists them."""
    if source in (target, JSON, NULL):
        return True
    if source in _PLAIN and target in _PLAIN:
        return True
    return (source, target) in ((VARCHAR, TIMESTAMP), (TIMESTAMP, VARCHAR))


def castable_targets(source: DataType) -> str:
    """A hint that says which types a CAST of ``source`` may name."""
    targets = [str(kind) for kind in (*_PLAIN, TIMESTAMP) if kind != source and castable(source, kind)]
    return f"{source} can be cast to {', '.join(targets)}" if targets else f"{source} has no casts; take one of its parts"


def timestamp_literal(text: str) -> int | None:
    """Microseconds since 1970 of an ISO 8601 text, read as a field would be (no offset is UTC); None where it is none."""
    try:
        return casts.iso_8601(text)
    except Failed:
        return None


def same_type(left: DataType, right: DataType) -> bool:
    """Whether two types are the same, the order of fields in a STRUCT aside."""
    return left == right or _sorted(left) == _sorted(right)


def _sorted(kind: DataType) -> DataType:
    match kind:
        case StructOf(fields):
            return StructOf(tuple(sorted(((name, _sorted(inner)) for name, inner in fields), key=lambda field: field[0])))
        case ListOf(item):
            return ListOf(_sorted(item))
    return kind
