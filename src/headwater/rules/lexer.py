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
# What a semicolon may hide in, and the semicolon itself.
_HIDING = re.compile(r"'[^']*'|\"[^\"]*\"|--[^\n]*|/\*|\$\w*\$|'|\"|;")
_COMMENT_ENDS = re.compile(r"/\*|\*/")
_TEMPLATE = re.compile(r"\s*(\{#)")


class Token:
    """A word, text, number or symbol; ``key`` is the upper-case word of a NAME and the text of a SYMBOL, for comparing."""

    __slots__ = ("end", "key", "kind", "start", "text")

    def __init__(self, kind: str, text: str, key: str, start: int, end: int) -> None:
        self.kind = kind
        self.text = text
        self.key = key
        self.start = start
        self.end = end


def pieces(file: SourceFile, findings: Findings) -> Iterator[tuple[int, Token]]:
    """The parts of a file between semicolons: where each starts, and the END token behind it.

    A text, name or comment that never ends is a finding; the part that it cuts off is the last one.
    """
    text, at, start = file.text, 0, 0
    while found := _HIDING.search(text, at):
        opening, at = found.group(), found.end()
        if opening == ";":
            yield start, Token(END, "", "", found.start(), found.start())
            start = at
        elif len(opening) == 1 or opening == "/*" or opening[0] == "$":
            at = _block_end(text, found.start()) if opening == "/*" else text.find(opening, at) + len(opening)
            if at < found.end():
                what = {"'": "text", '"': "quoted name", "/*": "comment"}.get(opening, "text")
                hint = f"close it with {opening[::-1]}"
                findings.add(file, found.start(), found.end(), UNTERMINATED, f"this {what} never ends", hint)
                yield start, Token(END, UNTERMINATED, "", found.start(), found.start())
                return
    yield start, Token(END, "", "", len(text), len(text))


def tokenize(file: SourceFile, findings: Findings) -> list[Token]:
    """The tokens of a whole file, END last."""
    lexer, tokens = Lexer(file, findings), [Token(END, "", "", 0, 0)]
    for start, end in pieces(file, findings):
        semicolon = tokens.pop().start
        if start:
            tokens.append(Token(SYMBOL, ";", ";", semicolon, start))
        tokens += lexer.tokens(start, end)
    return tokens


class Lexer:
    """Splits parts of one file into tokens. Making one costs more than a statement does."""

    def __init__(self, file: SourceFile, findings: Findings) -> None:
        self.file = file
        self.findings = findings
        self.tokenizer = _Tokenizer(dialect="duckdb")

    def tokens(self, start: int, end: Token) -> list[Token]:
        """The tokens from ``start`` to the END token ``end``, which is the last one."""
        text = self.file.text
        part = text[start : end.start]
        try:
            raw = self.tokenizer.tokenize(part)
        except TokenError:
            self.findings.add(
                self.file, start, start + 1, "unreadable", "this statement cannot be split into words", "look for an odd quote"
            )
            return [Token(END, UNTERMINATED, "", end.start, end.start)]
        tokens = []
        for one in raw:
            kind = _KINDS.get(one.token_type, SYMBOL)
            first, last = start + one.start, start + one.end + 1
            if kind is NAME:
                tokens.append(Token(NAME, one.text, one.text.upper(), first, last))
            elif kind is SYMBOL:
                written = text[first:last]
                tokens.append(Token(SYMBOL, written, written, first, last))
            else:
                tokens.append(Token(kind, one.text, "", first, last))
        tokens.append(end)
        if "{#" in part:
            _refuse_templates(self.file, start, tokens, self.findings)
        return tokens


def _refuse_templates(file: SourceFile, start: int, tokens: list[Token], findings: Findings) -> None:
    """sqlglot's tokenizer takes `{# … #}` for a comment in every dialect; DuckDB does not know it."""
    at = start
    for token in tokens:
        if "{#" in file.text[at : token.start]:
            comments = list(comment_lines(file.text, at, token.start))
            behind = comments[-1][0] + 2 + len(comments[-1][1]) if comments else at
            if found := _TEMPLATE.match(file.text, behind, token.start):
                hint = "write -- or /* … */"
                findings.add(file, found.start(1), found.end(1), "outside_subset", "`{#` begins no comment", hint)
        at = token.end


def _block_end(text: str, start: int) -> int:
    """One past a block comment that starts at ``start``, which may hold further ones; -1 where it never ends."""
    depth = 0
    for found in _COMMENT_ENDS.finditer(text, start):
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
