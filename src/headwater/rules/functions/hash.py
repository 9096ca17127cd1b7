"""Hashes."""

from __future__ import annotations

from headwater.core.types import DOUBLE
from headwater.rules.functions.declaration import Function, Signature
from headwater.rules.lowering import UBIGINT, Lowering, Value, call
from headwater.rules.syntax import Node


def _number_lower(low: Lowering, values: list[Value], node: Node) -> Value:
    """As the DOUBLE that it stands for alone; `%` makes another operation of it."""
    return Value(call("md5_number_lower", DOUBLE, values, node).expression, UBIGINT, node)


FUNCTIONS = (
    Function("md5", (Signature(("VARCHAR",), "VARCHAR"),), "The MD5 digest in hexadecimal digits.", "md5(user_id)"),
    Function(
        "md5_number_lower",
        (Signature(("VARCHAR",), "UBIGINT"),),
        "The lower 64 bits of the MD5 digest; `% BIGINT`, `/ number` or CAST to DOUBLE follows.",
        "md5_number_lower(user_id) % 100 < 5",
        ("hash", "md5_number", "crc32"),
        _number_lower,
    ),
)
