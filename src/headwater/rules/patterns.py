"""Calls with a regular expression: its literals are checked here, by the reader that the kernel links with."""

from __future__ import annotations

import re

from headwater.core.types import BOOLEAN, VARCHAR, ListOf
from headwater.kernel import check_pattern
from headwater.rules.lowering import Lowering, Value, call, literal
from headwater.rules.syntax import Node

_GROUP_MAX = 9
_REFERENCE = re.compile(r"\\(.?)", re.DOTALL)


def lower_match(op: str, low: Lowering, values: list[Value], node: Node) -> Value | None:
    """`regexp_matches` and `regexp_full_match`: text, pattern, options."""
    checked = _check(low, op, values[1], values[2] if len(values) > 2 else None)
    return checked and call(op, BOOLEAN, [values[0], values[1], literal(node, "VARCHAR", checked[0])], node)


def lower_extract(low: Lowering, values: list[Value], node: Node) -> Value | None:
    """`regexp_extract`: text, pattern, group, options."""
    checked = _check(low, "regexp_extract", values[1], values[3] if len(values) > 3 else None)
    group = values[2] if len(values) > 2 else literal(node, "BIGINT", 0)
    if checked is None:
        return None
    options, groups = checked
    most = min(groups, _GROUP_MAX)
    if not group.is_literal or not 0 <= group.expression[2] <= most:
        hint = "0 is the whole match" if most == 0 else f"0 is the whole match; the pattern has the groups 1 to {most}"
        low.refuse(group.node, "literal", f"the group of regexp_extract is a number from 0 to {most}", hint)
        return None
    return call("regexp_extract", VARCHAR, [*values[:2], group, literal(node, "VARCHAR", options)], node)


def lower_replace(low: Lowering, values: list[Value], node: Node) -> Value | None:
    """`regexp_replace`: text, pattern, replacement, options."""
    checked = _check(low, "regexp_replace", values[1], values[3] if len(values) > 3 else None)
    replacement = values[2]
    if checked is None or not _is_text(low, replacement, "the replacement of regexp_replace"):
        return None
    options, groups = checked
    for found in _REFERENCE.finditer(replacement.expression[2]):
        reference = found[1]
        place = _place(low, replacement, found.start(), 2)
        if reference.isascii() and reference.isdigit() and int(reference) > groups:
            hint = f"the pattern has {groups} group{'s' * (groups != 1)}; \\0 is the whole match"
            low.refuse(place, "literal", f"the replacement names group {reference}", hint)
            return None
        if not (reference.isascii() and reference.isdigit()) and reference != "\\":
            hint = "write \\\\ for a backslash, \\0 for the match, \\1 for its first group"
            low.refuse(place, "literal", "a backslash in a replacement stands before a digit or another backslash", hint)
            return None
    return call("regexp_replace", VARCHAR, [*values[:3], literal(node, "VARCHAR", options)], node)


def lower_split(low: Lowering, values: list[Value], node: Node) -> Value | None:
    """`string_split`: text, separator."""
    if not _is_text(low, values[1], "the separator of string_split"):
        return None
    return call("string_split", ListOf(VARCHAR), values, node)


def _is_text(low: Lowering, value: Value, what: str) -> bool:
    if not value.is_literal or value.is_null:
        low.refuse(value.node, "literal", f"{what} is a text literal", "write it as '…'")
        return False
    return True


def _check(low: Lowering, op: str, pattern: Value, options: Value | None) -> tuple[str, int] | None:
    """The options in their stored form, and how many groups the pattern has."""
    if not _is_text(low, pattern, f"the pattern of {op}"):
        return None
    if options is not None and not _is_text(low, options, f"the options of {op} are one text:"):
        return None
    chosen = {"g": False, "i": False, "l": False, "s": False}
    for letter in options.expression[2] if options else "":
        name, on = {"c": ("i", False), "m": ("s", False), "n": ("s", False), "p": ("s", False)}.get(letter, (letter, True))
        if letter in " \t\n":
            continue
        if name not in chosen or (name == "g" and op != "regexp_replace"):
            hint = "i: letter case does not count, c: it does, s: . takes line ends, l: plain text"
            hint += ", g: every match" if op == "regexp_replace" else ""
            low.refuse(options.node if options else pattern.node, "literal", f"{op} has no option `{letter}`", hint)
            return None
        chosen[name] = on
    stored = "".join(letter for letter, on in chosen.items() if on)
    groups, at, why = check_pattern(pattern.expression[2], stored)
    if groups is None:
        low.refuse(_place(low, pattern, at, 1), "pattern", "the regular expression cannot be read here", why)
        return None
    return stored, groups


def _place(low: Lowering, value: Value, at: int, length: int) -> Node:
    """The characters of a text literal from the one numbered ``at``; the whole literal where it is not written plainly."""
    node, text = value.node, value.expression[2]
    if low.file.text[node.start : node.end] != "'" + text.replace("'", "''") + "'":
        return node
    start = node.start + 1 + len(text[:at].replace("'", "''"))
    return Node("literal", start, min(start + length, node.end), [])
