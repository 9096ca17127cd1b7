"""Functions of numbers."""

from __future__ import annotations

from headwater.core.types import DOUBLE
from headwater.rules.functions.declaration import COMMON, Function, Signature
from headwater.rules.lowering import Lowering, Value, call
from headwater.rules.syntax import Node


def _ceil(low: Lowering, values: list[Value], node: Node) -> Value:
    return call("ceil", DOUBLE, [low.convert(values[0], DOUBLE)], node)


_ONE = (Signature(("DOUBLE",), "DOUBLE"),)

FUNCTIONS = (
    Function(
        "abs",
        (Signature(("BIGINT",), "BIGINT"), Signature(("DOUBLE",), "DOUBLE")),
        "The number without its sign.",
        "abs(properties.duration_ms)",
    ),
    Function(
        "round",
        (Signature(("BIGINT", "BIGINT"), "BIGINT", optional=1), Signature(("DOUBLE", "BIGINT"), "DOUBLE", optional=1)),
        "The number rounded to so many digits behind the point, or before it where that is negative; halves away from zero.",
        "round(properties.price, 1)",
        ("round_even", "trunc"),
    ),
    Function("floor", _ONE, "The greatest whole number that is not above the number.", "floor(properties.price)"),
    Function("ceil", _ONE, "The least whole number that is not below the number.", "ceil(properties.price)"),
    Function("ceiling", _ONE, "As `ceil`.", "ceiling(properties.price)", (), _ceil),
    Function(
        "greatest",
        (Signature((COMMON,), COMMON, variadic=True),),
        "The greatest argument; NULL is passed over.",
        "greatest(properties.duration_ms, 0)",
    ),
    Function(
        "least",
        (Signature((COMMON,), COMMON, variadic=True),),
        "The least argument; NULL is passed over.",
        "least(properties.duration_ms, 86_400_000)",
    ),
)
