"""Functions with a regular expression."""

from __future__ import annotations

from functools import partial

from headwater.rules.functions.declaration import OPTIONS, PATTERN, REPLACEMENT, Function, Signature
from headwater.rules.patterns import lower_extract, lower_match, lower_replace

_MATCH = (Signature(("VARCHAR", PATTERN, OPTIONS), "BOOLEAN", optional=1),)

FUNCTIONS = (
    Function(
        "regexp_matches",
        _MATCH,
        "Whether the regular expression is found in the text.",
        "regexp_matches(properties.title, '^live[: ]', 'i')",
        ("regexp_like", "rlike", "regexp_contains", "match"),
        partial(lower_match, "regexp_matches"),
    ),
    Function(
        "regexp_full_match",
        _MATCH,
        "Whether the regular expression is the whole text.",
        "regexp_full_match(user_id, '[0-9]+')",
        (),
        partial(lower_match, "regexp_full_match"),
    ),
    Function(
        "regexp_extract",
        (Signature(("VARCHAR", PATTERN, "BIGINT", OPTIONS), "VARCHAR", optional=2),),
        "What the regular expression finds first, or the group of it with this number; an empty text where it finds nothing.",
        "regexp_extract(properties.title, '([0-9]+):([0-9]+)', 1)",
        ("regexp_substr",),
        lower_extract,
    ),
    Function(
        "regexp_replace",
        (Signature(("VARCHAR", PATTERN, REPLACEMENT, OPTIONS), "VARCHAR", optional=1),),
        "The text with what the regular expression finds first replaced, with option `g` all of it; `\\1` is its first group.",
        "regexp_replace(properties.title, '[0-9]+', '#', 'g')",
        (),
        lower_replace,
    ),
)
