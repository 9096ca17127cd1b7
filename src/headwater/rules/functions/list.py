"""Functions of lists."""

from __future__ import annotations

from headwater.core.types import BOOLEAN, ListOf
from headwater.rules.conversion import COMPARABLE
from headwater.rules.functions.declaration import ANY_LIST, COMMON, Function, Signature
from headwater.rules.lowering import Lowering, Value, call
from headwater.rules.syntax import Node


def _contains(low: Lowering, values: list[Value], node: Node) -> Value | None:
    items, wanted = values
    assert isinstance(items.type, ListOf)
    kind = items.type.item
    if kind not in COMPARABLE:
        hint = "cast the list first, as in CAST(x AS VARCHAR[])" if str(kind) == "JSON" else "compare a part of one item"
        low.refuse(items.node, "type", f"list_contains cannot compare the items of {low.text(items.node)}: {kind}", hint)
        return None
    typed = low.timestamp(wanted) if str(kind) == "TIMESTAMP" else wanted
    if typed is None:
        return None
    if str(kind) == "DOUBLE" and str(typed.type) == "BIGINT":
        typed = low.convert(typed, kind)
    if typed.type != kind:
        text = low.text(wanted.node)
        hint = f"write CAST({text[1:-1]} AS {kind})"
        low.refuse(wanted.node, "type", f"the items of {low.text(items.node)} are {kind}, but {text} is {wanted.type}", hint)
        return None
    return call("list_contains", BOOLEAN, [items, typed], node)


FUNCTIONS = (
    Function(
        "list_contains",
        (Signature((ANY_LIST, COMMON), "BOOLEAN"),),
        "Whether an item of the list equals the value.",
        "list_contains(properties.tags, 'sport')",
        ("list_has", "array_contains", "array_has", "element_at", "list_position"),
        _contains,
    ),
)
