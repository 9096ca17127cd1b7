"""Types as they are written after CAST … AS and `::`."""

from __future__ import annotations

from headwater.core import limits
from headwater.core.types import SCALARS, DataType, ListOf, Scalar, StructOf
from headwater.rules.cursor import Cursor
from headwater.rules.findings import closest_name
from headwater.rules.lexer import NAME
from headwater.rules.refused import TYPE_NAMES
from headwater.rules.syntax import RefusedError, too_deep

VALID_TYPES = f"{', '.join(SCALARS)}, STRUCT(name type, …) and type[]"


def parse_type(c: Cursor) -> DataType:
    """A type: a scalar's name in any letter case, ``STRUCT(a BIGINT, …)``, and ``[]`` after either. Raises RefusedError."""
    return _type(c)[0]


def _type(c: Cursor) -> tuple[DataType, int]:
    """A type and how deep it nests."""
    token = c.token
    if token.kind is not NAME:
        raise c.unexpected(f"a type: {VALID_TYPES}")
    kind: DataType
    depth = 1
    if token.key == "STRUCT":
        kind, depth = _struct(c)
    elif token.key in SCALARS:
        c.next()
        kind = Scalar(token.key)
        if c.token.key == "(" or c.token.key in ("PRECISION", "WITH"):
            raise RefusedError(
                token.start, c.token.end, "type", f"the type {token.key} takes nothing after its name", f"write {token.key}"
            )
    else:
        meant = TYPE_NAMES.get(token.key) or closest_name(token.text, [*SCALARS, "STRUCT"])
        hint = f"write {meant}; valid types are {VALID_TYPES}" if meant else f"valid types are {VALID_TYPES}"
        if token.key == "DATE":
            hint = "the day of a TIMESTAMP is date_trunc('day', x), and its text strftime(x, '%Y-%m-%d')"
        raise RefusedError(token.start, token.end, "type", f"{c.shown(token)} is no type of rules", hint)
    while c.token.key == "[":
        c.next()
        c.expect("]", "(a list has no length): type[]")
        kind = ListOf(kind)
        depth += 1
    if depth > limits.RULE_DEPTH_MAX:
        raise too_deep(token.start, token.end)
    return kind, depth


def _struct(c: Cursor) -> tuple[DataType, int]:
    c.enter()
    c.next()
    c.expect("(", "after STRUCT, as in STRUCT(name BIGINT)")
    fields: list[tuple[str, DataType]] = []
    seen: set[str] = set()
    deepest = 0
    while True:
        name = c.name("the name of a field, as in STRUCT(name BIGINT)")
        if name.text.casefold() in seen:
            raise RefusedError(
                name.start,
                name.end,
                "type",
                f"the field `{name.text}` stands twice in this STRUCT",
                "letter case aside, names differ",
            )
        seen.add(name.text.casefold())
        kind, depth = _type(c)
        deepest = max(deepest, depth)
        fields.append((name.text, kind))
        if not c.take(","):
            break
    c.expect(")", "after the fields of STRUCT")
    c.level -= 1
    return StructOf(tuple(fields)), deepest + 1
