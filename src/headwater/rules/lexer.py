"""Tokens of a rule file, by sqlglot's DuckDB tokenizer, each with its exact place.

sqlglot's keywords are left out, so that every word is a word and its place is its own: the grammar decides what a word means.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from sqlglot.dialects.duckdb import DuckDB
from sqlglot.errors import TokenError
from sqlglot.tokenizer_core import TokenType

from headwater.rules.findings import Findings, SourceFile

NAME, QUOTED, STRING, NUMBER, SYMBOL, END = "name", "quoted name", "text", "number", "symbol", "end"
# The text of an END token after a text, name or comment that never ends; its finding is noted already.
UNTERMINATED = "unterminated"


class _Tokenizer(DuckDB.Tokenizer):
    KEYWORDS: ClassVar[dict[str, TokenType]] = {
        word: kind for word, kind in DuckDB.Tokenizer.KEYWORDS.items() if not word[0].isalpha() and word[0] != "{"
    }
    COMMANDS: ClassVar[set[TokenType]] = set()


_KINDS = {
    TokenType.VAR: NAME,
    TokenType.IDENTIFIER: QUOTED,
    TokenType.STRING: STRING,
    TokenType.NUMBER: NUMBER,
}
_SPACE = re.compile(r"\s+")
_STARTS = re.compile(r"'|\"|--[^\n]*|/\*|\$\w*\$")


class Token:
    """A word, text, number or symbol; ``key`` is the upper-case word of a NAME and the text of a SYMBOL, for comparing."""

    __slots__ = ("end", "key", "kind", "start", "text")

    def __init__(self, kind: str, text: str, key: str, start: int, end: int) -> None:
        self.kind = kind
        self.text = text
        self.key = key
        self.start = start
        self.end = end


def tokenize(file: SourceFile, findings: Findings) -> list[Token]:
    """The tokens of a file, END last; an unterminated text or comment is a finding, and the tokens before it are given."""
    text, cut = file.text, len(file.text)
    try:
        raw = _Tokenizer(dialect="duckdb").tokenize(text)
    except TokenError:
        cut = _unterminated(file, findings)
        raw = _Tokenizer(dialect="duckdb").tokenize(text[:cut])
    tokens = []
    for one in raw:
        kind = _KINDS.get(one.token_type, SYMBOL)
        start, end = one.start, one.end + 1
        if kind is NAME:
            tokens.append(Token(NAME, one.text, one.text.upper(), start, end))
        elif kind is SYMBOL:
            written = text[start:end]
            tokens.append(Token(SYMBOL, written, written, start, end))
        else:
            tokens.append(Token(kind, one.text, "", start, end))
    tokens.append(Token(END, UNTERMINATED if cut < len(text) else "", "", cut, cut))
    if "{#" in text:
        _refuse_templates(file, tokens, findings)
    return tokens


def _refuse_templates(file: SourceFile, tokens: list[Token], findings: Findings) -> None:
    """sqlglot's tokenizer takes `{# … #}` for a comment in every dialect; DuckDB does not know it."""
    at = 0
    for token in tokens:
        gap = file.text[at : token.start]
        if "{#" in gap:
            comments = list(comment_lines(file.text, at, token.start))
            end = comments[-1][0] + 2 + len(comments[-1][1]) if comments else at
            if found := re.compile(r"\s*(\{#)").match(file.text, end, token.start):
                findings.add(
                    file, found.start(1), found.end(1), "outside_subset", "`{#` begins no comment", "write -- or /* … */"
                )
        at = token.end


def _unterminated(file: SourceFile, findings: Findings) -> int:
    """Finds where the text, name or comment begins that never ends; notes it and gives its offset."""
    text, at = file.text, 0
    while found := _STARTS.search(text, at):
        opening = found.group()
        if opening.startswith("--"):
            at = found.end()
            continue
        end = _block_end(text, found.start()) if opening == "/*" else text.find(opening, found.end())
        if end < 0:
            what = {"'": "text", '"': "quoted name", "/*": "comment"}.get(opening, "text")
            findings.add(
                file, found.start(), found.end(), UNTERMINATED, f"this {what} never ends", f"close it with {opening[::-1]}"
            )
            return found.start()
        at = end if opening == "/*" else end + len(opening)
    findings.add(file, 0, 1, "unreadable", "the file cannot be split into words")
    return 0


def _block_end(text: str, start: int) -> int:
    """One past a block comment that starts at ``start``, which may hold further ones; -1 where it never ends."""
    depth = 0
    for found in re.compile(r"/\*|\*/").finditer(text, start):
        depth += 1 if found.group() == "/*" else -1
        if depth == 0:
            return found.end()
    return -1


def comment_lines(text: str, start: int, end: int) -> Iterator[tuple[int, str]]:
    """The `--` comments between two tokens: offset of the dashes, and what follows them."""
    at = start
    while at < end:
        if space := _SPACE.match(text, at, end):
            at = space.end()
        elif text.startswith("--", at):
            stop = text.find("\n", at, end)
            stop = end if stop < 0 else stop
            yield at, text[at + 2 : stop]
            at = stop
        elif text.startswith("/*", at):
            at = max(_block_end(text, at), at + 2)
        else:
            return
