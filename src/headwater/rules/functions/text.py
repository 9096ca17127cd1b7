"""Functions of text."""

from __future__ import annotations

from headwater.rules.functions.declaration import ANY_LIST, Function, Signature

_TEXT = (Signature(("VARCHAR",), "VARCHAR"),)
_TRIM = (Signature(("VARCHAR", "VARCHAR"), "VARCHAR", optional=1),)
_TEST = (Signature(("VARCHAR", "VARCHAR"), "BOOLEAN"),)

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
        (Signature(("VARCHAR",), "BIGINT"), Signature((ANY_LIST,), "BIGINT")),
        "How many characters (code points) a text has, or items a list.",
        "length(properties.tags)",
        ("len", "char_length", "character_length", "strlen", "array_length", "list_length", "size", "cardinality"),
    ),
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
        ("regexp_replace", "translate"),
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
