"""The workload's rules as Python code, a fair translation to measure the kernel beside.

One function an event type holds the rules that can match it, each inlined. Fields that several conditions need are read once. A
field of the right type costs one type test; anything else goes through a function that reads by the reading table. `orjson` reads
events and writes rows; an event passed on whole is the line itself. It does what the workload needs and refuses the rest; it does
not do everything that the kernel does: no duplicate keys, no integers beyond 64 bits, no counters of fields.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from headwater.rules import PhysicalRule

INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
BIGINT = range(-(2**63), 2**63)


def read_bigint(value: Any) -> int | None:
    """BIGINT of what is no int."""
    if (type(value) is str and INTEGER.fullmatch(value)) or (type(value) is float and value.is_integer()):
        value = int(value)
    return value if type(value) is int and value in BIGINT else None


def read_double(value: Any) -> float | None:
    """DOUBLE of what is no float."""
    return float(value) if type(value) is int or (type(value) is str and NUMBER.fullmatch(value)) else None


def read_varchar(value: Any) -> str | None:
    """VARCHAR of what is no str."""
    return None if value is None or type(value) in (dict, list) else orjson.dumps(value).decode()


def read_boolean(value: Any) -> bool | None:
    """BOOLEAN of what is no bool."""
    return {"true": True, "false": False}.get(value.lower()) if type(value) is str else None


def cast_bigint(value: str | None) -> int | None:
    """TRY_CAST of text, for what the workload has: digits."""
    try:
        return int(value) if value is not None else None
    except ValueError:
        return None


PLAIN = {"BIGINT": "int", "DOUBLE": "float", "VARCHAR": "str", "BOOLEAN": "bool"}
READERS: dict[str, Callable[[Any], Any]] = {
    "BIGINT": read_bigint, "DOUBLE": read_double, "VARCHAR": read_varchar, "BOOLEAN": read_boolean,
}  # fmt: skip


def reader(kind: Any) -> Callable[[Any], Any]:
    """A function that reads a value of any type."""
    if isinstance(kind, str):
        plain, other = {"int": int, "float": float, "str": str, "bool": bool}[PLAIN[kind]], READERS[kind]
        return lambda value: value if type(value) is plain else other(value)
    if "list" in kind:
        item = reader(kind["list"])
        return lambda value: [item(each) for each in value] if type(value) is list else None
    fields = {name: reader(inner) for name, inner in kind["struct"]}

    def struct(value: Any) -> Any:
        if type(value) is not dict:
            return None
        return {name: read for name, inner in value.items() if name in fields and (read := fields[name](inner)) is not None}

    return struct


def conjuncts(where: Any) -> list[Any]:
    """The conditions that a WHERE joins with AND."""
    if where is None:
        return []
    return [each for inner in where[3] for each in conjuncts(inner)] if where[:2] == ["call", "and"] else [where]


def event_names(where: Any) -> list[str] | None:
    """The event types that a WHERE admits, if one of its conditions is `event = …` or `event IN …`."""
    for condition in conjuncts(where):
        if condition[0] == "call" and condition[1] in ("eq", "in") and condition[3][0] == ["field", ["event"], "VARCHAR"]:
            return [literal[2] for literal in condition[3][1:]]
    return None


def fields_of(expression: Any) -> Iterator[tuple[tuple[str, ...], str]]:
    """The scalar fields that an expression reads."""
    if expression[0] == "field" and isinstance(expression[2], str):
        yield tuple(expression[1]), expression[2]
    elif expression[0] == "call":
        for argument in expression[3]:
            yield from fields_of(argument)


class Translation:
    """Writes the function of one event type."""

    def __init__(self, names: dict[str, Any]) -> None:
        self.names = names
        self.parents: dict[tuple[str, ...], str] = {(): "event"}
        self.local: dict[tuple[tuple[str, ...], str], str] = {}
        self.lines: list[str] = []

    def constant(self, value: Any) -> str:
        """A name for a value that the code needs."""
        name = f"k{len(self.names)}"
        self.names[name] = value
        return name

    def parent(self, path: tuple[str, ...]) -> str:
        """The variable of an object on the way to a field, read before the first rule."""
        if path not in self.parents:
            outer = self.parent(path[:-1])
            name = f"o{len(self.parents)}"
            self.parents[path] = name
            self.lines.append(f"{name} = {outer}.get({path[-1]!r})\n if type({name}) is not dict: {name} = EMPTY")
        return self.parents[path]

    def field(self, path: tuple[str, ...], kind: Any) -> str:
        """An expression that reads a field."""
        if isinstance(kind, str) and (path, kind) in self.local:
            return self.local[path, kind]
        raw = f"{self.parent(path[:-1])}.get({path[-1]!r})"
        if not isinstance(kind, str):
            return f"{self.constant(reader(kind))}({raw})"
        return f"(v if type(v := {raw}) is {PLAIN[kind]} else read_{kind.lower()}(v))"

    def hoist(self, path: tuple[str, ...], kind: str) -> None:
        """Reads a field once, before the first rule."""
        name = f"f{len(self.local)}"
        self.lines.append(f"{name} = {self.field(path, kind)}")
        self.local[path, kind] = name

    def value(self, expression: Any) -> str:
        """Python code of a value; NULL is None."""
        match expression:
            case ["field", path, kind]:
                return self.field(tuple(path), kind)
            case ["literal", _, value]:
                return repr(value)
            case ["call", "coalesce", _, [*parts]]:
                *first, last = [self.value(part) for part in parts]
                return "(" + " ".join(f"w if (w := {part}) is not None else" for part in first) + f" {last})"
            case ["call", "nullif", _, [one, other]]:
                return f"(None if (w := {self.value(one)}) == {self.value(other)} else w)"
            case ["call", "try_cast", "BIGINT", [inner]]:
                return f"cast_bigint({self.value(inner)})"
            case ["call", "cast", "DOUBLE", [inner]]:
                return self.value(inner)
            case ["call", "div", _, [one, ["literal", _, divisor]]]:
                return f"(None if (w := {self.value(one)}) is None else w / {divisor!r})"
            case ["call", ("lower" | "upper") as op, _, [inner]]:
                return f"(None if (w := {self.value(inner)}) is None else w.{op}())"
            case ["call", "case", _, [*parts]]:
                *branches, otherwise = parts
                pairs = zip(branches[::2], branches[1::2], strict=True)
                return (
                    "("
                    + "".join(f"{self.value(then)} if {self.true(test)} else " for test, then in pairs)
                    + f"{self.value(otherwise)})"
                )
        raise NotImplementedError(expression)

    def true(self, condition: Any) -> str:
        """Python code that is true where a condition is TRUE."""
        match condition:
            case ["field", *_]:
                return f"{self.value(condition)} is True"
            case ["call", ("and" | "or") as op, _, parts]:
                return "(" + f" {op} ".join(self.true(part) for part in parts) + ")"
            case ["call", "not", _, [inner]]:
                return self.false(inner)
            case ["call", "is_not_null", _, [inner]]:
                return f"{self.value(inner)} is not None"
            case ["call", "in", _, [one, *literals]]:
                return f"{self.value(one)} in {self.constant(frozenset(literal[2] for literal in literals))}"
            case ["call", "like", _, [one, ["literal", _, pattern], _]]:
                return self.like(self.value(one), pattern)
            case ["call", "eq", _, [one, ["literal", _, value]]]:
                return f"{self.value(one)} == {value!r}"
            case ["call", ("ne" | "lt" | "le" | "gt" | "ge") as op, _, [one, ["literal", _, value]]]:
                sign = {"ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}[op]
                return f"((w := {self.value(one)}) is not None and w {sign} {value!r})"
        raise NotImplementedError(condition)

    def false(self, condition: Any) -> str:
        """Python code that is true where a condition is FALSE, and not where it is NULL."""
        match condition:
            case ["field", *_]:
                return f"{self.value(condition)} is False"
            case ["call", ("and" | "or") as op, _, parts]:
                return "(" + (" or " if op == "and" else " and ").join(self.false(part) for part in parts) + ")"
            case ["call", "not", _, [inner]]:
                return self.true(inner)
            case ["call", ("eq" | "in" | "like" | "lt" | "le" | "gt" | "ge"), _, [one, *_]]:
                return f"({self.value(one)} is not None and not {self.true(condition)})"
        raise NotImplementedError(condition)

    def like(self, text: str, pattern: str) -> str:
        """The two forms of pattern that the workload has."""
        inner = pattern.strip("%")
        if "%" in inner or "_" in inner:
            raise NotImplementedError(pattern)
        test = f"{inner!r} in w" if pattern.startswith("%") else f"w.startswith({inner!r})"
        return f"((w := {text}) is not None and {test})"

    def rule(self, number: int, rule: dict[str, Any]) -> None:
        """The code of one rule."""
        condition = " and ".join(self.true(each) for each in conjuncts(rule["where"])) or "True"
        if isinstance(rule["select"], dict):
            row = "line"
        else:
            columns = ", ".join(f"{name!r}: {self.value(expression)}" for name, expression in rule["select"])
            row = f"row({{{columns}}})"
        output = self.constant(self.names["outputs"].setdefault(rule["into"], []))
        self.lines.append(f"if {condition}:\n  {output}.append({row})\n  matched[{number}] += 1")

    def code(self, rules: list[tuple[int, dict[str, Any]]]) -> str:
        """The function's source."""
        used = Counter(field for _, rule in rules for field in set(fields_of(rule["where"] or ["literal"])))
        for (path, kind), count in used.items():
            if count > 1:
                self.hoist(path, kind)
        for number, rule in rules:
            self.rule(number, rule)
        return "def function(event, line):\n " + "\n ".join(self.lines or ["pass"])


def row(columns: dict[str, Any]) -> bytes:
    """The row without its NULL columns."""
    if None in columns.values():
        columns = {name: value for name, value in columns.items() if value is not None}
    return orjson.dumps(columns)


class PythonProgram:
    """Rules as compiled Python code; takes NDJSON and gives NDJSON by dataset."""

    def __init__(self, rules: list[PhysicalRule]) -> None:
        self.outputs: dict[str, list[bytes]] = {}
        self.matched = [0] * len(rules)
        stored = [(number, rule.to_json()) for number, rule in enumerate(rules)]
        groups: dict[str | None, list[tuple[int, dict[str, Any]]]] = {}
        for number, rule in stored:
            for name in event_names(rule["where"]) or [None]:
                groups.setdefault(name, []).append((number, rule))
        self.functions = {name: self.compiled(members) for name, members in groups.items()}
        # The rules without a condition on `event` are tried on each.
        self.always = self.functions.pop(None, None)

    def compiled(self, rules: list[tuple[int, dict[str, Any]]]) -> Callable[[dict[str, Any], bytes], None]:
        names: dict[str, Any] = {
            "EMPTY": {}, "row": row, "outputs": self.outputs, "matched": self.matched, "cast_bigint": cast_bigint,
            "read_bigint": read_bigint, "read_double": read_double, "read_varchar": read_varchar, "read_boolean": read_boolean,
        }  # fmt: skip
        exec(compile(Translation(names).code(rules), "<rules>", "exec"), names)
        function: Callable[[dict[str, Any], bytes], None] = names["function"]
        return function

    def run(self, batch: bytes) -> dict[str, bytes]:
        """Runs a batch of lines that are all JSON objects."""
        functions, always, loads = self.functions, self.always, orjson.loads
        for line in batch.splitlines():
            event = loads(line)
            function = functions.get(event.get("event"))
            if function is not None:
                function(event, line)
            if always is not None:
                always(event, line)
        found = {dataset: b"\n".join(rows) + b"\n" for dataset, rows in self.outputs.items() if rows}
        for rows in self.outputs.values():
            rows.clear()
        return found
