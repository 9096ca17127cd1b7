"""The grammar of what has a word of SQL before or inside it: ``TIMESTAMP '…'``, ``INTERVAL …``, ``extract(… FROM …)``."""

from __future__ import annotations

import re

from headwater.kernel.functions import casts
from headwater.kernel.functions.numbers import Failed
from headwater.rules.cursor import Cursor
from headwater.rules.findings import closest_name
from headwater.rules.intervals import UNIT_WORDS, IntervalError, interval_of, interval_of_text
from headwater.rules.lexer import NAME, NUMBER, QUOTED, STRING, Token
from headwater.rules.syntax import Node, RefusedError

# A text that only says how many, so that a unit must stand behind it.
_COUNT = re.compile(r"\s*-?[0-9._]*\s*")
_UTC = frozenset(("", "Z", "+00", "-00", "+00:00", "-00:00", "+0000", "-0000", "UTC"))


def typed_text(c: Cursor) -> Node:
    """A text with a word before it: TIMESTAMP is the only type that is written so."""
    word, text = c.next(), c.next()
    if word.key != "TIMESTAMP":
        hint = "write the text alone"
        if word.key in ("DATE", "TIMESTAMPTZ", "DATETIME", "TIMESTAMP_MS", "TIMESTAMP_S", "TIMESTAMP_NS"):
            hint = f"write TIMESTAMP '{text.text[:40]}'"
        elif word.key.startswith("TIME"):
            hint = "a time of day is part of a TIMESTAMP: write hour(x), minute(x) and second(x)"
        raise c.refuse("a text with a word before it", hint, word)
    try:
        micros = casts.text_to_timestamp(text.text)
    except Failed:
        hint = "write TIMESTAMP '2026-01-31' or TIMESTAMP '2026-01-31 12:00:00', from the year 1 to 9999"
        raise RefusedError(text.start, text.end, "literal", f"{c.shown(text)} is no TIMESTAMP", hint) from None
    if _zone(text.text) not in _UTC:
        message = f"{c.shown(text)} has an offset or a zone, which a TIMESTAMP literal passes over"
        raise RefusedError(text.start, text.end, "literal", message, "write the time in UTC")
    return Node("literal", word.start, text.end, [], ("TIMESTAMP", micros))


def _zone(text: str) -> str:
    """What stands behind the time."""
    date = casts.DATE.match(text)
    time = casts.TIME.match(text, date.end()) if date else None
    return text[time.end() :].strip() if time else ""


def interval(c: Cursor) -> Node:
    """``INTERVAL '1 day 2 hours'``, ``INTERVAL 5 MINUTE``, ``INTERVAL '5' MINUTE`` or ``INTERVAL (-5) MINUTE``."""
    start = c.next()
    token = c.token
    try:
        if token.kind is STRING and not _COUNT.fullmatch(token.text):
            c.next()
            found = interval_of_text(token.text)
        else:
            number = _quantity(c, start)
            found = interval_of(number, _unit(c))
    except IntervalError as error:
        raise RefusedError(start.start, c.last_end(), "literal", error.message, error.hint) from None
    return Node("interval", start.start, c.last_end(), [], found)


def _quantity(c: Cursor, start: Token) -> str:
    """The number of units as text, a sign included."""
    opened = c.take("(")
    sign = "-" if opened and c.take("-") else ""
    token = c.token
    if token.kind is STRING and not opened:
        return c.next().text
    if token.kind is not NUMBER:
        if token.key == "-":
            raise c.refuse("INTERVAL with a sign before its number", f"write INTERVAL (-{c.peek().text}) …", start)
        raise _computed(c, start)
    c.next()
    if opened and not c.take(")"):
        raise _computed(c, start)
    return sign + c.text[token.start : token.end].replace("_", "")


def _computed(c: Cursor, start: Token) -> RefusedError:
    hint = "an INTERVAL is a literal, such as INTERVAL 5 MINUTE; add milliseconds before epoch_ms: epoch_ms(event_time + x)"
    return c.refuse("an INTERVAL that is computed", hint, start)


def _unit(c: Cursor) -> str:
    token = c.token
    unit = UNIT_WORDS.get(token.key.lower()) if token.kind is NAME else None
    if unit is None:
        close = closest_name(token.text, UNIT_WORDS) if token.kind is NAME else None
        hint = f"did you mean `{close.upper()}`?" if close else "the units are YEAR, MONTH, WEEK, DAY, HOUR, MINUTE, SECOND, …"
        raise RefusedError(
            token.start, max(token.end, token.start + 1), "literal", f"{c.shown(token)} is no unit of an INTERVAL", hint
        )
    c.next()
    if c.token.key == "TO" and c.peek().kind is NAME:
        raise c.refuse(f"INTERVAL with {token.key} TO {c.peek().key}", "write one unit, or a text such as '1 day 2 hours'", token)
    return unit


def extract(c: Cursor) -> Node:
    """The part and FROM of ``extract(part FROM timestamp)``, which is ``date_part('part', timestamp)``."""
    token = c.token
    part = Node("literal", token.start, token.end, [], ("VARCHAR", token.text))
    if token.kind not in (NAME, STRING, QUOTED) or c.peek().key != "FROM":
        message = "extract takes a part, FROM and a TIMESTAMP"
        raise RefusedError(token.start, max(token.end, token.start + 1), "syntax", message, "write extract(hour FROM x)")
    c.next()
    c.next()
    return part
