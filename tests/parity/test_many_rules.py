"""Many rules of one group, which the kernel sieves by their ranges and lists: the same rows as the reference's."""

import json
from typing import Any

import pytest
from case_files import physical
from engines import differences

from headwater.core.ids import seeded_random

INTEGERS = [-(2**63), -(2**63) + 1, -7, -1, 0, 1, 2, 5, 9, 10, 11, 50, 99, 100, 101, 2**53 + 1, 2**63 - 2, 2**63 - 1]
DOUBLES = [-1e300, -2.5, -0.0, 0.0, 5e-324, 0.25, 0.5, 1.0, 99.5, 1e15, 1e300]
TEXTS = ["", "a", "b", "ab", "x y", "é", "10"]
FIELDS: dict[str, tuple[str, list[Any]]] = {
    "i": ("BIGINT", INTEGERS),
    "j": ("BIGINT", INTEGERS),
    "d": ("DOUBLE", DOUBLES),
    "b": ("BOOLEAN", [True, False]),
    "t": ("VARCHAR", TEXTS),
    "at": ("TIMESTAMP", ["2020-01-01T00:00:00Z", "2024-02-29T12:00:00.5Z"]),
}
# What else stands in events: coerced, of the wrong type, no value.
ODD = ["12", "x", "true", 1.5, 3.0, 10**30, None, True, [], {}]
COMPARISONS = ["lt", "le", "gt", "ge", "eq", "ne"]


def call(op: str, *arguments: Any) -> list[Any]:
    return ["call", op, "BOOLEAN", list(arguments)]


def literal(chance: Any, kind: str, values: list[Any]) -> list[Any]:
    if kind == "BIGINT" and chance.random() < 0.7:
        return ["literal", kind, chance.randrange(-20, 400)]
    if kind == "TIMESTAMP":
        return ["literal", kind, chance.choice([1577836800000000, 1709208000500000, chance.randrange(2 * 10**15)])]
    return ["literal", kind, chance.choice(values)]


def condition(chance: Any, depth: int = 0) -> list[Any]:
    """A comparison, a list, a test for NULL, or several of these."""
    name = chance.choice(list(FIELDS))
    kind, values = FIELDS[name]
    field = ["field", [name], kind]
    match chance.randrange(8 if depth < 2 else 5):
        case 0 if kind in ("BIGINT", "VARCHAR"):
            return call("in", field, *(literal(chance, kind, values) for _ in range(chance.randrange(1, 5))))
        case 1:
            return call(chance.choice(["is_null", "is_not_null"]), field)
        case 5:
            return call("not", condition(chance, depth + 1))
        case 6 | 7 as joined:
            return call("and" if joined == 6 else "or", *(condition(chance, depth + 1) for _ in range(chance.randrange(2, 4))))
    op = chance.choice(COMPARISONS[-2:] if kind == "BOOLEAN" else COMPARISONS)
    return call(op, field, literal(chance, kind, values))


def event(chance: Any) -> bytes:
    """Each field mostly as it is registered, sometimes odd, sometimes missing."""
    found = {}
    for name, (kind, values) in FIELDS.items():
        drawn = chance.random()
        if drawn < 0.75:
            near = kind == "BIGINT" and chance.random() < 0.6
            found[name] = chance.randrange(-20, 400) if near else chance.choice(values)
        elif drawn < 0.85:
            found[name] = chance.choice(ODD)
    return json.dumps(found).encode()


@pytest.mark.parametrize(("seed", "count"), [(1, 33), (2, 64), (3, 65), (4, 200), (5, 900)])
def test_many_conditions(seed: int, count: int) -> None:
    chance = seeded_random(seed)
    column = [["x", ["field", ["i"], "BIGINT"]]]
    rules = [
        physical(f"r{number}", where=call("and", condition(chance), condition(chance)), select=column) for number in range(count)
    ]
    batch = b"\n".join(event(chance) for _ in range(200 if count < 500 else 60))
    assert differences(rules, batch) == []


@pytest.mark.parametrize("count", [100, 700])
def test_a_value_at_each_bound(count: int) -> None:
    """More bounds than a table has places, and a value below, at and above each."""

    def between(at: int) -> list[Any]:
        field = ["field", ["i"], "BIGINT"]
        return call("and", *(call(op, field, ["literal", "BIGINT", at * 3 + more]) for op, more in (("ge", 0), ("le", 4))))

    rules = [physical(f"r{at}", where=between(at), select=[["x", ["field", ["i"], "BIGINT"]]]) for at in range(count)]
    values = [*range(-2, count * 3 + 6, 1 if count < 500 else 7), *INTEGERS]
    assert differences(rules, b"\n".join(b'{"i":%d}' % value for value in values)) == []
