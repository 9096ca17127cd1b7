"""Which registered event types a WHERE admits: those for which it may still be TRUE once `event` and `app` are known."""

from __future__ import annotations

from collections.abc import Iterator

from headwater.core.dataset import EventTypeSchema
from headwater.rules.syntax import Node


def admitted(where: Node | None, by_event: dict[str, list[EventTypeSchema]]) -> list[EventTypeSchema]:
    """The event types that the WHERE does not rule out, in the order they were registered under their event."""
    events = restricted_to(where, "event")
    names = by_event if events is None else [name for name in by_event if name in events] if len(events) > 8 else sorted(events)
    candidates = [one for name in names for one in by_event.get(name, ())]
    if where is None:
        return candidates
    return [one for one in candidates if _possible(where, one.app, one.event)[0]]


def restricted_to(where: Node | None, name: str) -> frozenset[str] | None:
    """The values of field ``name`` outside which the WHERE is never TRUE; None where it sets no such bound."""
    if where is None:
        return None
    if where.kind == "and":
        bound: frozenset[str] | None = None
        for arg in where.args:
            one = restricted_to(arg, name)
            if one is not None:
                bound = one if bound is None else bound & one
        return bound
    if where.kind == "or":
        parts = [restricted_to(arg, name) for arg in where.args]
        if any(part is None for part in parts):
            return None
        return frozenset().union(*(part for part in parts if part is not None))
    found = _atom(where)
    if found and found[0] == name and not found[2]:
        return found[1]
    return None


def literals_of(where: Node | None, name: str) -> Iterator[Node]:
    """Every text literal that field ``name`` is compared with by = or IN, wherever it stands in the WHERE."""
    if where is None:
        return
    if where.kind in ("and", "or", "not"):
        for arg in where.args:
            yield from literals_of(arg, name)
    elif (found := _atom(where)) and found[0] == name:
        for arg in where.args:
            if arg.kind == "literal":
                yield arg


def _atom(node: Node) -> tuple[str, frozenset[str], bool] | None:
    """(field, values, negated) of `event = 'a'`, `event <> 'a'`, `event IN ('a', 'b')` and their likes for any top-level name."""
    if node.kind == "compare" and node.value in ("eq", "ne"):
        left, right = node.args
        if left.kind == "literal":
            left, right = right, left
        if left.kind == "name" and right.kind == "literal" and right.value[0] == "VARCHAR":
            return left.value, frozenset((right.value[1],)), node.value == "ne"
    elif node.kind == "in" and node.args[0].kind == "name":
        items = node.args[1:]
        if all(item.kind == "literal" and item.value[0] == "VARCHAR" for item in items):
            return node.args[0].value, frozenset(item.value[1] for item in items), bool(node.value)
    return None


def _possible(node: Node, app: str, event: str) -> tuple[bool, bool]:
    """Whether the condition can be TRUE, and whether it can be FALSE, for an event of this app and type."""
    match node.kind:
        case "and" | "or":
            parts = [_possible(arg, app, event) for arg in node.args]
            true, false = [part[0] for part in parts], [part[1] for part in parts]
            return (all(true), any(false)) if node.kind == "and" else (any(true), all(false))
        case "not":
            true_, false_ = _possible(node.args[0], app, event)
            return false_, true_
        case "literal":
            return node.value[1] is True, node.value[1] is False
    found = _atom(node)
    if found and found[0] in ("event", "app"):
        holds = ((event if found[0] == "event" else app) in found[1]) is not found[2]
        return holds, not holds
    return True, True
