"""Functions of text."""

from __future__ import annotations

from headwater.core.types import BIGINT
from headwater.rules.functions.declaration import ANY_LIST, SEPARATOR, Function, Signature
from headwater.rules.lowering import Lowering, Value, call
from headwater.rules.patterns import lower_split
from headwater.rules.syntax import Node

_TEXT = (Signature(("VARCHAR",), "VARCHAR"),)
_TRIM = (Signature(("VARCHAR", "VARCHAR"), "VARCHAR", optional=1),)
_TEST = (Signature(("VARCHAR", "VARCHAR"), "BOOLEAN"),)
_LENGTH = (Signature(("VARCHAR",), "BIGINT"), Signature((ANY_LIST,), "BIGINT"))


def _len(low: Lowering, values: list[Value], node: Node) -> Value:
    return call("length", BIGINT, values, node)


FUNCTIONS = (
    Function("lower", _TEXT, "The text in lower case.", "lower(context.device.model)", ("lcase",)),
    Function("upper", _TEXT, "The text in upper case.", "upper(platform)", ("ucase",)),
    Function(
        "trim",
        _TRIM,
        "The text without spaces at both ends; with a second text, without any of its characters.",
        "trim(properties.title)",
        ("btrim", "strip"),
    ),
    Function("ltrim", _TRIM, "As `trim`, at the start only.", "ltrim(properties.title, '#')", ("lstrip",)),
    Function("rtrim", _TRIM, "As `trim`, at the end only.", "rtrim(properties.title, '!?')", ("rstrip",)),
    Function(
        "length",
        _LENGTH,
        "How many characters (code points) a text has, or items a list.",
        "length(properties.tags)",
        ("char_length", "character_length", "strlen", "array_length", "list_length", "size", "cardinality"),
    ),
    Function("len", _LENGTH, "As `length`.", "len(properties.title)", (), _len),
    Function(
        "substring",
        (Signature(("VARCHAR", "BIGINT", "BIGINT"), "VARCHAR", optional=1),),
        "A part of the text: from which character (1 is the first, -1 the last), and at most how many.",
        "substring(properties.title, 1, 20)",
        ("substr", "mid", "left", "right"),
    ),
    Function(
        "replace",
        (Signature(("VARCHAR", "VARCHAR", "VARCHAR"), "VARCHAR"),),
        "The text with every occurrence of the second text replaced by the third.",
        "replace(properties.title, 'colour', 'color')",
        ("translate",),
    ),
    Function(
        "split_part",
        (Signature(("VARCHAR", "VARCHAR", "BIGINT"), "VARCHAR"),),
        "The part of the text with this number (1 is the first, -1 the last) between separators; empty where there is none.",
        "split_part(properties.title, ':', 1)",
        ("substring_index",),
    ),
    Function(
        "string_split",
        (Signature(("VARCHAR", SEPARATOR), "VARCHAR[]"),),
        "The parts of the text between separators; an empty separator stands between any two characters.",
        "string_split(properties.title, ' ')",
        ("split", "str_split", "string_to_array"),
        lower_split,
    ),
    Function(
        "starts_with",
        _TEST,
        "Whether the text begins with the second text.",
        "starts_with(properties.title, 'Live:')",
        ("startswith", "prefix"),
    ),
    Function(
        "contains",
        _TEST,
        "Whether the second text occurs in the text.",
        "contains(properties.title, 'goal')",
        ("strpos", "instr", "position", "includes"),
    ),
)
