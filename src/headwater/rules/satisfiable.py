"""Whether a lowered WHERE can ever be TRUE. Sound and incomplete: a reason is given only where no event can match."""

from __future__ import annotations

import operator
from typing import Any

from headwater.rules.physical import Expression

_TESTS = {"eq": operator.eq, "ne": operator.ne, "lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge}
_MIRRORED = {"eq": "eq", "ne": "ne", "lt": "gt", "le": "ge", "gt": "lt", "ge": "le"}
_OPPOSITE = {"eq": "ne", "ne": "eq", "lt": "ge", "le": "gt", "gt": "le", "ge": "lt"}


# What a part of a timestamp lies between; the others are not bounded more than the year is.
_PART_BOUNDS = {
    "microsecond": (0, 59_999_999), "millisecond": (0, 59_999), "second": (0, 59), "minute": (0, 59), "hour": (0, 23),
    "dow": (0, 6), "isodow": (1, 7), "day": (1, 31), "doy": (1, 366), "week": (1, 53), "month": (1, 12), "quarter": (1, 4),
    "year": (1, 9999),
}  # fmt: skip


class _Facts:
    """What must hold of one field, or of what an operation gives, for the conditions met so far."""

    __slots__ = ("excluded", "kind", "least", "most", "null", "values")

    def __init__(self, kind: Any) -> None:
        self.kind = kind
        self.values: frozenset[Any] | None = None
        self.excluded: frozenset[Any] = frozenset()
        self.least: tuple[Any, bool] | None = None
        self.most: tuple[Any, bool] | None = None
        self.null: bool | None = None

    def copy(self) -> _Facts:
        other = _Facts(self.kind)
        for name in self.__slots__:
            setattr(other, name, getattr(self, name))
        return other

    def compare(self, op: str, value: Any) -> None:
        """Adds `field op value`; the value is never NULL, so the field is not either."""
        self.must_be_null(False)
        if op == "eq":
            self.one_of(frozenset((value,)))
        elif op == "ne":
            self.excluded |= {value}
        elif op in ("gt", "ge"):
            # Among whole numbers `> 5` is `>= 6`.
            bound = (value + 1, False) if op == "gt" and self.kind == "BIGINT" else (value, op == "gt")
            self.least = bound if self.least is None else max(self.least, bound)
        else:
            bound = (value - 1, True) if op == "lt" and self.kind == "BIGINT" else (value, op == "le")
            self.most = bound if self.most is None else min(self.most, bound)

    def one_of(self, values: frozenset[Any]) -> None:
        self.must_be_null(False)
        self.values = values if self.values is None else self.values & values

    def must_be_null(self, null: bool) -> None:
        if self.null is None:
            self.null = null
        elif self.null is not null:
            self.values = frozenset()

    def contradict(self) -> bool:
        values = self.values
        if values is not None:
            return not any(self._within(value) for value in values - self.excluded)
        if self.kind == "BOOLEAN" and self.excluded >= {True, False}:
            return True
        if self.least is None or self.most is None:
            return False
        low, high = self.least[0], self.most[0]
        return bool(low > high or (low == high and (self.least[1] or not self.most[1])))

    def _within(self, value: Any) -> bool:
        if self.least and not (value > self.least[0] or (value == self.least[0] and not self.least[1])):
            return False
        return not self.most or value < self.most[0] or (value == self.most[0] and self.most[1])


def never_true(where: Expression) -> str | None:
    """Why the WHERE can never be TRUE, or None where it may be."""
    facts: dict[str, _Facts] = {}
    return _assume(where, facts)


def _assume(condition: Expression, facts: dict[str, _Facts]) -> str | None:
    """Adds what must hold where the condition is TRUE; gives the reason where that cannot be."""
    if condition[0] == "literal":
        return None if condition[2] is True else "it is " + ("NULL" if condition[2] is None else "FALSE")
    alternatives: list[Expression] = []
    pending = [condition]
    while pending:
        one = pending.pop()
        if one[0] == "call" and one[1] == "and":
            pending.extend(reversed(one[3]))
        elif one[0] == "call" and one[1] == "or":
            alternatives.append(one)
        elif reason := _atom(one, facts, negated=False):
            return reason
    for one in alternatives:
        reasons = [_assume(part, {path: fact.copy() for path, fact in facts.items()}) for part in one[3]]
        if all(reasons):
            return reasons[0] if len(set(reasons)) == 1 else "no side of its OR can be TRUE"
    return None


def _atom(one: Expression, facts: dict[str, _Facts], negated: bool) -> str | None:
    if one[0] == "literal":
        holds = one[2] is (not negated)
        return None if holds else "a part of it is " + ("NULL" if one[2] is None else "FALSE")
    if one[0] == "field":
        fact = _fact(one, facts)
        fact.compare("eq", not negated)
        return _reason(one, fact)
    op, args = one[1], one[3]
    if op == "not":
        return _atom(args[0], facts, not negated)
    if op in ("is_null", "is_not_null") and args[0][0] != "literal":
        fact = _fact(args[0], facts)
        fact.must_be_null((op == "is_null") is not negated)
        return _reason(args[0], fact)
    if op == "in" and args[0][0] != "literal":
        fact = _fact(args[0], facts)
        values = frozenset(arg[2] for arg in args[1:])
        if negated:
            fact.must_be_null(False)
            fact.excluded |= values
        else:
            fact.one_of(values)
        return _reason(args[0], fact)
    return _comparison(op, args, facts, negated) if op in _TESTS else None


def _comparison(op: str, args: list[Expression], facts: dict[str, _Facts], negated: bool) -> str | None:
    left, right = args
    op = _OPPOSITE[op] if negated else op
    if left[0] == "literal" and right[0] != "literal":
        left, right, op = right, left, _MIRRORED[op]
    if left[0] == "literal" and right[0] == "literal":
        return None if _TESTS[op](left[2], right[2]) else "two literals in it never compare so"
    if right[0] != "literal":
        return None
    fact = _fact(left, facts)
    fact.compare(op, right[2])
    return _reason(left, fact)


def _fact(expression: Expression, facts: dict[str, _Facts]) -> _Facts:
    key = repr(expression)
    if key not in facts:
        fact = facts[key] = _Facts(expression[2])
        if bounds := _bounds(expression):
            fact.least, fact.most = (bounds[0], False), (bounds[1], True)
    return facts[key]


def _bounds(expression: Expression) -> tuple[int, int] | None:
    """What a `date_part` lies between."""
    if expression[0] == "call" and expression[1] == "date_part":
        return _PART_BOUNDS.get(expression[3][0][2])
    return None


def _name(expression: Expression) -> str:
    """An expression in words."""
    match expression:
        case ["field", path, _kind]:
            return ".".join(path)
        case ["literal", _kind, value]:
            return repr(value)
    _call, op, kind, args = expression
    if op == "udf":
        op, args = args[0][2], args[2:]
    of = f" as {kind}" if op in ("cast", "try_cast") else ""
    return f"{op}({', '.join(map(_name, args))}{of})"


def _reason(expression: Expression, fact: _Facts) -> str | None:
    if not fact.contradict():
        return None
    bounds = _bounds(expression)
    within = f", which is {bounds[0]} to {bounds[1]}," if bounds else ""
    name = _name(expression)
    shown = name if len(name) <= 60 else name[:60] + "…"
    return f"its conditions on `{shown}`{within} contradict each other"
