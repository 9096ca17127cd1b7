"""Functions of VARCHAR. Arguments are not NULL; positions and lengths count code points."""

from __future__ import annotations

import re
from functools import lru_cache

from headwater.kernel.functions import case_table
from headwater.kernel.functions.numbers import Failed

# Unicode's space separators (Zs): what DuckDB trims. Tabs and line ends are not among them.
SPACES = " \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
SUBSTRING_MAX = 2**32 - 1


def _translation(table: tuple[tuple[int, int, int, int], ...]) -> dict[int, int]:
    return {code: code + delta for first, last, step, delta in table for code in range(first, last + 1, step)}


_LOWER = _translation(case_table.LOWER)
_UPPER = _translation(case_table.UPPER)


def lower(text: str) -> str:
    """Every code point in lower case."""
    return text.translate(_LOWER)


def upper(text: str) -> str:
    """Every code point in upper case."""
    return text.translate(_UPPER)


def trim(text: str, characters: str = SPACES) -> str:
    """Without any of the characters at both ends."""
    return text.strip(characters) if characters else text


def ltrim(text: str, characters: str = SPACES) -> str:
    """Without any of the characters at the start."""
    return text.lstrip(characters) if characters else text


def rtrim(text: str, characters: str = SPACES) -> str:
    """Without any of the characters at the end."""
    return text.rstrip(characters) if characters else text


def substring(text: str, start: int, length: int = SUBSTRING_MAX) -> str:
    """Part of a text: from position 1, from the end where the start is negative, backwards where the length is."""
    if not (-SUBSTRING_MAX - 1 <= start <= SUBSTRING_MAX and -SUBSTRING_MAX - 1 <= length <= SUBSTRING_MAX):
        raise Failed
    begin = start - 1 if start > 0 else len(text) + start if start < 0 else -1
    end = begin + length
    if length < 0:
        begin = max(begin, 0)
        begin, end = begin + length, begin
    return text[max(begin, 0) : max(end, 0)]


def split(text: str, separator: str) -> list[str]:
    """The parts between separators; an empty separator stands between any two characters."""
    return text.split(separator) if separator else list(text) or [""]


def split_part(text: str, separator: str, number: int) -> str:
    """The part with this number: from 1, from the end where it is negative; an empty text where there is none."""
    parts = split(text, separator)
    index = number - 1 if number > 0 else len(parts) + number
    return parts[index] if number and 0 <= index < len(parts) else ""


def replace(text: str, old: str, new: str) -> str:
    """Every occurrence of `old` replaced, from left to right; an empty `old` replaces nothing."""
    return text.replace(old, new) if old else text


def concat(*texts: str) -> str:
    """The texts one after the other."""
    return "".join(texts)


def starts_with(text: str, start: str) -> bool:
    """Whether the text begins so."""
    return text.startswith(start)


def contains(text: str, part: str) -> bool:
    """Whether the text has this part."""
    return part in text


@lru_cache(maxsize=4096)
def like_pattern(pattern: str, escape: str) -> re.Pattern[str]:
    """A LIKE pattern as a regular expression. Raises ValueError for an escape or a pattern that linking refuses."""
    if len(escape) > 1 or not escape.isascii():
        raise ValueError(f"the escape of LIKE is one ASCII character or empty, not {escape!r}")
    parts = []
    characters = iter(pattern)
    for character in characters:
        if escape and character == escape:
            escaped = next(characters, None)
            if escaped is None:
                raise ValueError(f"the LIKE pattern {pattern!r} ends in its escape character {escape!r}")
            parts.append(re.escape(escaped))
        elif character == "%":
            parts.append(".*")
        else:
            parts.append("." if character == "_" else re.escape(character))
    return re.compile("".join(parts), re.DOTALL)


def like(text: str, pattern: str, escape: str) -> bool:
    """Whether the whole text is like the pattern."""
    return like_pattern(pattern, escape).fullmatch(text) is not None
