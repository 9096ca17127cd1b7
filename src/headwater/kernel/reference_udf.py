"""Calls of Python functions in the reference interpreter: one event at a time, each call with columns of one row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from headwater.core.udf import Signature
from headwater.kernel.udf.functions import Failure, Functions, outcomes
from headwater.kernel.udf.values import column

if TYPE_CHECKING:
    from headwater.kernel.reference_expression import Call, Expression

__all__ = ["Udfs", "calls_udf", "split"]


class Udfs:
    """The functions, as rules call them by name."""

    def __init__(self, functions: Functions) -> None:
        self._functions = functions

    def call(self, name: str, values: list[Any]) -> Any:
        """The value, or a Failure whose reason is what a dead letter says."""
        signature, function = self._functions.loaded(name)
        columns = [column([value], part.type) for value, part in zip(values, signature.parameters, strict=True)]
        (found,) = outcomes(function, signature, columns, 1)
        return Failure(f"udf {name}: {found.reason}") if isinstance(found, Failure) else found

    @property
    def signatures(self) -> Mapping[str, Signature]:
        """By name."""
        return self._functions.signatures


def calls_udf(expression: Expression) -> bool:
    """Whether an expression calls a function."""
    arguments: tuple[Expression, ...] = getattr(expression, "arguments", ())
    return getattr(expression, "op", "") == "udf" or any(map(calls_udf, arguments))


def split(where: Expression) -> tuple[list[Expression], list[Expression]]:
    """The operands of the top `and` that call no function, and those that do."""
    call: Call = where  # type: ignore[assignment]
    if getattr(where, "op", "") != "and":
        return ([], [where]) if calls_udf(where) else ([where], [])
    parts = [split(argument) for argument in call.arguments]
    return [one for plain, _ in parts for one in plain], [one for _, calling in parts for one in calling]
