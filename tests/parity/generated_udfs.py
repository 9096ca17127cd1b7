"""Generated rules in which Python functions are called: around random parts of other rules, in one another, too."""

from __future__ import annotations

import json
from typing import Any

import generated
from hypothesis import strategies as st

from headwater.core.types import type_to_json
from headwater.core.udf import Signature
from headwater.kernel.udf.functions import Functions
from headwater.rules import read_udfs

SOURCE = """
from datetime import datetime, timedelta

import headwater


@headwater.udf
def whole(x: list[int]) -> list[int | None]:
    if any(each % 7 == 3 for each in x):
        raise ValueError("no such number: " + ", ".join(str(each) for each in x if each % 7 == 3))
    return [None if each == 2 else each * 3 for each in x]


@headwater.udf
def sum_of(x: list[int | None], y: list[float | None]) -> list[float]:
    return [None if a == 1 else "text" if a == 7 else float(a or 0) + (b or 0.0) for a, b in zip(x, y)]


@headwater.udf
def half(x: list[float]) -> list[float]:
    return [each / 2 for each in x if each != 0.5]


@headwater.udf
def either(x: list[bool | None], y: list[bool]) -> list[bool | None]:
    return [a if b else None for a, b in zip(x, y)]


@headwater.udf
def is_odd(x: list[int | None]) -> list[bool]:
    return [a is not None and a % 2 == 1 for a in x]


@headwater.udf
def shout(x: list[str], times: list[int | None]) -> list[str]:
    assert "nan" not in x, "not\\na number"
    return [each.upper() * min(abs(n or 0), 3) for each, n in zip(x, times)]


@headwater.udf
def letters(x: list[str | None]) -> list[list[str]]:
    return [list(each or "")[:4] + [None] for each in x]


@headwater.udf
def reverse(x: list[list[int]]) -> list[list[int] | None]:
    return [list(reversed(each)) if each else None for each in x]


@headwater.udf
def tomorrow(x: list[datetime]) -> list[datetime]:
    return [each + timedelta(days=1, microseconds=1) for each in x]
"""

UDFS, FINDINGS = read_udfs({"udfs/generated.py": SOURCE})
SIGNATURES = UDFS.signatures
CALLABLE = {json.dumps(type_to_json(one.result)): [] for one in SIGNATURES}
for one in SIGNATURES:
    CALLABLE[json.dumps(type_to_json(one.result))].append(one)


def functions() -> Functions:
    """The functions, in this process."""
    return Functions(UDFS)


def called(one: Signature, given: list[Any]) -> Any:
    """A call of a function."""
    marks = "".join("n" if parameter.null else "s" for parameter in one.parameters)
    return ["call", "udf", type_to_json(one.result), [["literal", "VARCHAR", one.name], ["literal", "VARCHAR", marks], *given]]


@st.composite
def calls(draw: st.DrawFn, inner: Any, kind: Any) -> Any:
    """A call that gives this type, with ``inner`` among its arguments where it fits."""
    one = draw(st.sampled_from(CALLABLE[json.dumps(kind)]))
    given = []
    for parameter in one.parameters:
        wanted = type_to_json(parameter.type)
        given.append(inner if wanted == kind and inner not in given else draw(generated.expressions(wanted, 1)))
    return called(one, given)


@st.composite
def rewritten(draw: st.DrawFn, expression: Any) -> Any:
    """An expression with calls around some of its parts."""
    if expression[0] == "literal":
        return expression
    if expression[0] == "call":
        expression = [*expression[:3], [draw(rewritten(argument)) for argument in expression[3]]]
    if json.dumps(expression[2]) in CALLABLE and draw(st.integers(0, 3)) == 0:
        return draw(calls(expression, expression[2]))
    return expression


@st.composite
def rules(draw: st.DrawFn, number: int) -> bytes:
    rule = json.loads(draw(generated.rules(number)))
    if rule["where"] is not None:
        rule["where"] = draw(rewritten(rule["where"]))
        if draw(st.integers(0, 2)) == 0:
            second = draw(rewritten(draw(generated.expressions("BOOLEAN", 2))))
            rule["where"] = ["call", "and", "BOOLEAN", [rule["where"], second]]
    columns = rule["select"] if isinstance(rule["select"], list) else rule["select"]["replace"]
    for column in columns:
        column[1] = draw(rewritten(column[1]))
    return json.dumps(rule).encode()


programs = st.integers(1, 4).flatmap(lambda count: st.tuples(*(rules(number) for number in range(count)))).map(list)
