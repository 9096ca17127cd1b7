"""Regular expressions by RE2 itself, on the UTF-8 of texts. Arguments are not NULL; options are a part of `gils`."""

from __future__ import annotations

from functools import lru_cache

import re2


@lru_cache(maxsize=4096)
def compiled(pattern: str, options: str) -> re2._Regexp:
    """A pattern made ready. Raises ValueError where RE2 refuses it."""
    chosen = re2.Options()
    chosen.log_errors = False
    chosen.case_sensitive = "i" not in options
    chosen.literal = "l" in options
    chosen.dot_nl = "s" in options
    try:
        return re2.compile(pattern.encode(), chosen)
    except re2.error as error:
        raise ValueError(f"the pattern {pattern!r}: {error}") from error


def matches(text: str, pattern: str, options: str) -> bool:
    """Whether the pattern is found in the text."""
    return compiled(pattern, options).search(text.encode()) is not None


def full_match(text: str, pattern: str, options: str) -> bool:
    """Whether the pattern is the whole text."""
    return compiled(pattern, options).fullmatch(text.encode()) is not None


def extract(text: str, pattern: str, group: int, options: str) -> str:
    """A group of the first match; an empty text where there is none, the group took no part, or there is no such group."""
    regexp = compiled(pattern, options)
    found = regexp.search(text.encode())
    if found is None or group > regexp.groups:
        return ""
    return (found[group] or b"").decode()


def replace(text: str, pattern: str, replacement: str, options: str) -> str:
    """The first match replaced, with `g` all that do not overlap. An empty match where the last one ended is none."""
    source = text.encode()
    parts = pieces(replacement)
    out, at, last_end = [], 0, -1
    while at <= len(source) and (found := compiled(pattern, options).search(source, at)):
        start, end = found.span()
        out.append(source[at:start])
        if start == end == last_end:
            after = start + len(source[start:].decode()[:1].encode())
            out.append(source[start:after])
            at = max(after, start + 1)
            continue
        out += [part if isinstance(part, bytes) else found[part] or b"" for part in parts]
        at = last_end = end
        if "g" not in options:
            break
    return b"".join([*out, source[at:]]).decode()


def pieces(replacement: str) -> list[bytes | int]:
    """A replacement in parts: texts and numbers of groups. Raises ValueError for a backslash that stands alone."""
    found: list[bytes | int] = []
    characters = iter(replacement)
    for character in characters:
        if character != "\\":
            found.append(character.encode())
            continue
        following = next(characters, "")
        if following == "\\":
            found.append(b"\\")
        elif following and following in "0123456789":
            found.append(int(following))
        else:
            raise ValueError(f"the replacement {replacement!r}: behind \\ stands a digit or another \\")
    return found
