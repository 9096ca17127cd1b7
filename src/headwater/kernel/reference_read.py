"""Reading a field: the table of `docs/formats/physical-rule.md`, and writing what was read, in plain Python.

Values: BIGINT int, DOUBLE float, BOOLEAN bool, VARCHAR str, TIMESTAMP int (µs), JSON Node, LIST list, STRUCT dict; NULL is None.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from headwater.core.types import DataType, ListOf, Scalar, StructOf
from headwater.kernel.functions import casts
from headwater.kernel.functions.numbers import BIGINT_MAX, BIGINT_MIN, Failed
from headwater.kernel.reference_json import Node, has_surrogate, write_text

INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)\Z")
NUMBER = re.compile(r"(?P<sign>-?)(?P<whole>0|[1-9][0-9]*)(?:\.(?P<part>[0-9]+))?(?:[eE](?P<exponent>[+-]?[0-9]+))?\Z")
BIGINT_DIGITS = 19


class SourceDouble(float):
    """A DOUBLE that was read as it stood, and is written so."""

    lexeme: str

    def __new__(cls, lexeme: str) -> SourceDouble:
        """From the text of a JSON number."""
        made = super().__new__(cls, lexeme)
        made.lexeme = lexeme
        return made


@dataclass(slots=True)
class Reading:
    """What reading a field gave: a value (None is NULL), and what is counted."""

    value: Any = None
    coerced: bool = False
    type_error: bool = False


TYPE_ERROR = Reading(type_error=True)


def read(node: Node | None, kind: DataType) -> Reading:
    """Reads a value as a type. Missing (None) and JSON null are NULL."""
    if node is None or node.kind == "null":
        return Reading()
    match kind:
        case Scalar(name):
            return SCALARS[name](node)
        case ListOf(item):
            return read_list(node, item)
        case StructOf():
            return read_struct(node, kind)


def read_list(node: Node, item: DataType) -> Reading:
    """LIST: an inner NULL stands as NULL."""
    if node.kind != "array":
        return TYPE_ERROR
    inner = [read(value, item) for value in node.items]
    return Reading([each.value for each in inner], any(each.coerced for each in inner), any(each.type_error for each in inner))


def read_struct(node: Node, kind: StructOf) -> Reading:
    """STRUCT: the registered fields in the order of the event, without those that are NULL."""
    if node.kind != "object":
        return TYPE_ERROR
    found = Reading({})
    for member in node.last_members():
        registered = kind.field(member.key)
        if registered is None:
            continue
        inner = read(member.value, registered)
        found.coerced |= inner.coerced
        found.type_error |= inner.type_error
        if inner.value is not None:
            found.value[member.key] = inner.value
    return found


def whole_number(lexeme: str) -> int | None:
    """The value of a JSON number with zero fraction that fits a BIGINT, else None. Exact, whatever the exponent."""
    found = NUMBER.match(lexeme)
    if not found:
        return None
    part = found["part"] or ""
    digits = (found["whole"] + part).lstrip("0")
    if not digits:
        return 0
    exponent = found["exponent"] or "0"
    size = exponent.lstrip("+-").lstrip("0") or "0"
    if len(size) > 18:
        return None
    significant = digits.rstrip("0")
    scale = (-int(size) if exponent[0] == "-" else int(size)) - len(part) + len(digits) - len(significant)
    if scale < 0 or len(significant) + scale > BIGINT_DIGITS:
        return None
    value = int(significant) * 10**scale * (-1 if found["sign"] else 1)
    return value if BIGINT_MIN <= value <= BIGINT_MAX else None


def read_bigint(node: Node) -> Reading:
    """BIGINT."""
    lexeme = ""
    if node.kind == "number":
        lexeme = node.raw.decode()
    elif node.kind == "text" and INTEGER.match(node.text()):
        lexeme = node.text()
    value = whole_number(lexeme)
    if value is None:
        return TYPE_ERROR
    return Reading(value, coerced=node.kind == "text" or not INTEGER.match(lexeme))


def read_double(node: Node) -> Reading:
    """DOUBLE."""
    if node.kind not in ("number", "text"):
        return TYPE_ERROR
    lexeme = node.text() if node.kind == "text" else node.raw.decode()
    if not NUMBER.match(lexeme) or math.isinf(float(lexeme)):
        return TYPE_ERROR
    return Reading(float(lexeme), coerced=True) if node.kind == "text" else Reading(SourceDouble(lexeme))


def read_boolean(node: Node) -> Reading:
    """BOOLEAN."""
    if node.kind in ("true", "false"):
        return Reading(node.kind == "true")
    if node.kind == "text" and node.text().isascii() and node.text().lower() in ("true", "false"):
        return Reading(node.text().lower() == "true", coerced=True)
    return TYPE_ERROR


def read_varchar(node: Node) -> Reading:
    """VARCHAR."""
    if node.kind in ("number", "true", "false"):
        return Reading(node.raw.decode(), coerced=True)
    if node.kind == "text" and not has_surrogate(node.text()):
        return Reading(node.text())
    return TYPE_ERROR


def read_timestamp(node: Node) -> Reading:
    """TIMESTAMP."""
    try:
        if node.kind == "text":
            return Reading(casts.iso_8601(node.text()))
        milliseconds = whole_number(node.raw.decode()) if node.kind == "number" else None
        return TYPE_ERROR if milliseconds is None else Reading(casts.timestamp(milliseconds * 1000), coerced=True)
    except Failed:
        return TYPE_ERROR


SCALARS: dict[str, Callable[[Node], Reading]] = {
    "BIGINT": read_bigint,
    "DOUBLE": read_double,
    "BOOLEAN": read_boolean,
    "VARCHAR": read_varchar,
    "TIMESTAMP": read_timestamp,
    "JSON": Reading,
}


def write(value: Any, kind: DataType) -> str | None:
    """A value that is not NULL as JSON; None for a DOUBLE that is not finite."""
    match kind:
        case ListOf(item):
            return "[" + ",".join("null" if each is None else write(each, item) or "null" for each in value) + "]"
        case StructOf():
            members = ((name, write(inner, kind.field(name) or kind)) for name, inner in value.items())
            return "{" + ",".join(f"{write_text(name)}:{text}" for name, text in members) + "}"
        case Scalar("JSON"):
            return one_line(value.raw).decode()
        case Scalar("DOUBLE"):
            if not math.isfinite(value):
                return None
            return value.lexeme if isinstance(value, SourceDouble) else casts.double_text(value)
        case Scalar("TIMESTAMP"):
            return write_text(casts.timestamp_text(value, "T", "Z"))
        case Scalar("BOOLEAN"):
            return casts.boolean_text(value)
        case Scalar("BIGINT"):
            return str(value)
    return write_text(value)


def one_line(raw: bytes) -> bytes:
    """JSON text without line ends: they can only stand between tokens."""
    return raw.replace(b"\n", b" ").replace(b"\r", b" ")
