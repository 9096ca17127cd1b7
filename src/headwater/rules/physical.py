"""The physical rule: one rule lowered to JSON that needs no SQL parser and no schema.

`docs/formats/physical-rule.md` describes it.
"""

from __future__ import annotations

import hashlib
from typing import Any, TypeAlias

import msgspec

from headwater.core import limits
from headwater.core.types import type_from_json

FORMAT = 1

# An expression in its stored form: ["field", path, T], ["literal", T, value] or ["call", op, T, [argument, …]].
Expression: TypeAlias = list[Any]

# Operations and how many arguments each takes: (least, most), most None for any number.
OPERATIONS: dict[str, tuple[int, int | None]] = {
    **dict.fromkeys(("and", "or", "concat", "in"), (2, None)),
    **dict.fromkeys(
        ("eq", "ne", "lt", "le", "gt", "ge", "distinct", "not_distinct", "nullif", "starts_with", "contains"), (2, 2)
    ),
    **dict.fromkeys(("add", "sub", "mul", "div", "int_div", "mod", "struct_get", "list_get"), (2, 2)),
    **dict.fromkeys(("not", "neg", "is_null", "is_not_null", "cast", "try_cast", "lower", "upper", "length"), (1, 1)),
    **dict.fromkeys(("trim", "ltrim", "rtrim"), (1, 2)),
    **dict.fromkeys(("like", "replace"), (3, 3)),
    "substring": (2, 3),
    **dict.fromkeys(("epoch", "epoch_ms", "epoch_us"), (1, 1)),
    **dict.fromkeys(("date_part", "date_trunc", "strftime"), (2, 2)),
    **dict.fromkeys(("date_diff", "date_sub", "add_interval", "time_bucket"), (3, 3)),
    "make_timestamp": (1, 6),
    **dict.fromkeys(("regexp_matches", "regexp_full_match", "split_part", "list_slice"), (3, 3)),
    **dict.fromkeys(("regexp_extract", "regexp_replace"), (4, 4)),
    **dict.fromkeys(("string_split", "list_contains"), (2, 2)),
    **dict.fromkeys(("abs", "floor", "ceil", "md5"), (1, 1)),
    **dict.fromkeys(("round", "md5_number_lower"), (1, 2)),
    **dict.fromkeys(("greatest", "least"), (1, None)),
    "case": (3, None),
    "coalesce": (1, None),
    "udf": (3, None),
}

_VALUE_TYPES: dict[str, type | tuple[type, ...]] = {
    "BIGINT": int,
    "TIMESTAMP": int,
    "DOUBLE": (int, float),
    "BOOLEAN": bool,
    "VARCHAR": str,
    "NULL": type(None),
}


class Star(msgspec.Struct, frozen=True):
    """`SELECT *`: the whole event, with top-level fields left out or replaced."""

    exclude: tuple[str, ...] = ()
    replace: tuple[tuple[str, Expression], ...] = ()


class _Head(msgspec.Struct, frozen=True):
    """What is asked of a stored rule again and again; the rest of it is passed over."""

    name: str
    source: str = msgspec.field(name="from")
    into: str


_HEAD = msgspec.json.Decoder(_Head)


class PhysicalRule(msgspec.Struct, frozen=True, gc=False):
    """One rule, ready to be linked: its canonical JSON, and the names in it.

    Expressions stand in the text alone and are read anew whenever they are asked for. Those of 10,000 rules are a million objects
    as trees, and each full garbage collection stops every thread while it goes through them.
    """

    name: str
    source: str
    into: str
    _canonical: bytes

    @staticmethod
    def make(
        *,
        name: str,
        owner: str | None,
        tier: str | None,
        description: str | None,
        source: str,
        into: str,
        where: Expression | None,
        select: tuple[tuple[str, Expression], ...] | Star,
    ) -> PhysicalRule:
        """The rule of these parts. ``where`` None takes every event."""
        columns: Any = select
        if isinstance(select, Star):
            columns = {"star": True, "exclude": select.exclude, "replace": select.replace}
        head = {"format": FORMAT, "name": name, "owner": owner, "tier": tier, "description": description}
        stored = {**head, "from": source, "into": into, "where": where, "select": columns}
        return PhysicalRule(name, source, into, msgspec.json.encode(stored, order="sorted"))

    @staticmethod
    def from_canonical(canonical: bytes) -> PhysicalRule:
        """The rule that `canonical` gave. Raises ValueError where it is no JSON, or lacks a name; the kernel checks all of it."""
        head = _HEAD.decode(canonical)
        return PhysicalRule(head.name, head.source, head.into, canonical)

    def canonical(self) -> bytes:
        """The canonical JSON: keys sorted, no white space, UTF-8."""
        return self._canonical

    def to_json(self) -> dict[str, Any]:
        """The stored form, as values of JSON."""
        stored: dict[str, Any] = msgspec.json.decode(self._canonical)
        return stored

    def but(self, **parts: Any) -> PhysicalRule:
        """The rule with other parts, by their names in `make`."""
        stored = self.to_json()
        head = {key: stored[key] for key in ("name", "owner", "tier", "description", "into", "where")}
        return PhysicalRule.make(**{**head, "source": self.source, "select": self.select, **parts})

    @property
    def where(self) -> Expression | None:
        """The condition; None takes every event."""
        where: Expression | None = self.to_json()["where"]
        return where

    @property
    def select(self) -> tuple[tuple[str, Expression], ...] | Star:
        """The columns and their expressions, or the whole event."""
        select = self.to_json()["select"]
        if isinstance(select, dict):
            return Star(tuple(select["exclude"]), _pairs(select["replace"]))
        return _pairs(select)

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical JSON, hexadecimal."""
        return hashlib.sha256(self._canonical).hexdigest()

    @staticmethod
    def from_json(stored: Any) -> PhysicalRule:
        """Reads what `to_json` wrote. Raises ValueError that says what is not valid; a format that is not known by its number."""
        if not isinstance(stored, dict):
            raise ValueError(f"a physical rule is a JSON object, not {type(stored).__name__}")
        if stored.get("format") != FORMAT or isinstance(stored.get("format"), bool):
            raise ValueError(f"physical rule format {stored.get('format')!r} is not known; this Headwater reads format {FORMAT}")
        known = {"format", "name", "owner", "tier", "description", "from", "into", "where", "select"}
        if stored.keys() != known:
            raise ValueError(
                f"a physical rule has the keys {', '.join(sorted(known))}; got {', '.join(sorted(map(str, stored)))}"
            )
        for key in ("name", "from", "into"):
            if not isinstance(stored[key], str) or not stored[key]:
                raise ValueError(f"`{key}` of a physical rule is text, got {stored[key]!r}")
        for key in ("owner", "description"):
            if stored[key] is not None and not isinstance(stored[key], str):
                raise ValueError(f"`{key}` of a physical rule is text or null, got {stored[key]!r}")
        if stored["tier"] not in (None, "P0", "P1", "P2", "P3"):
            raise ValueError(f"`tier` of a physical rule is P0, P1, P2, P3 or null, got {stored['tier']!r}")
        if stored["where"] is not None:
            _check(stored["where"], "where")
            if _type_of(stored["where"]) not in ("BOOLEAN", "NULL"):
                raise ValueError(f"`where` of a physical rule is BOOLEAN, got {_type_of(stored['where'])!r}")
        _check_select(stored["select"])
        return PhysicalRule(stored["name"], stored["from"], stored["into"], msgspec.json.encode(stored, order="sorted"))


def _pairs(columns: list[list[Any]]) -> tuple[tuple[str, Expression], ...]:
    return tuple((column, expression) for column, expression in columns)


def _check_select(select: Any) -> None:
    if isinstance(select, list) and select:
        _check_columns(select, "select")
        return
    if isinstance(select, dict) and select.keys() == {"star", "exclude", "replace"} and select["star"] is True:
        exclude, replace = select["exclude"], select["replace"]
        if isinstance(exclude, list) and isinstance(replace, list) and all(isinstance(name, str) for name in exclude):
            _check_columns(replace, "replace")
            return
    raise ValueError("`select` is a list of [column, expression], not empty, or {star: true, exclude, replace}")


def _check_columns(columns: list[Any], where: str) -> None:
    for column in columns:
        if not isinstance(column, list) or len(column) != 2 or not isinstance(column[0], str):
            raise ValueError(f"`{where}` holds [column, expression], got {str(column)[:100]}")
        _check(column[1], f"column `{column[0]}`")


def _type_of(expression: Expression) -> Any:
    return expression[1] if expression[0] == "literal" else expression[2]


def _check(expression: Any, where: str, depth: int = 0) -> None:
    """Checks the form of an expression: known kinds, operations, numbers of arguments, types, literal values."""
    if depth > 4 * limits.RULE_DEPTH_MAX:
        raise ValueError(f"{where}: the expression nests too deep")
    match expression:
        case ["field", [*path], kind] if path and all(isinstance(part, str) for part in path):
            type_from_json(kind)
        case ["literal", str(kind), value] if kind in _VALUE_TYPES:
            good = isinstance(value, _VALUE_TYPES[kind]) and (kind == "BOOLEAN" or not isinstance(value, bool))
            if not good or (kind in ("BIGINT", "TIMESTAMP") and not -(2**63) <= value < 2**63):
                raise ValueError(f"{where}: {str(value)[:40]!r} is no literal of type {kind}")
        case ["call", str(op), kind, [*args]]:
            if op not in OPERATIONS:
                raise ValueError(f"{where}: the operation {op!r} is not known; known are {', '.join(sorted(OPERATIONS))}")
            least, most = OPERATIONS[op]
            if len(args) < least or (most is not None and len(args) > most) or (op == "case" and len(args) % 2 == 0):
                raise ValueError(f"{where}: `{op}` does not take {len(args)} arguments")
            type_from_json(kind)
            for arg in args:
                _check(arg, where, depth + 1)
        case _:
            raise ValueError(f"{where}: not an expression: {str(expression)[:100]}")
