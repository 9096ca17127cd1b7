"""The grammar of statements and their header comments. A part that is refused is a finding, and the rest is read on."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import pairwise

from headwater.core import limits
from headwater.rules.cursor import Cursor
from headwater.rules.expressions import parse_expression
from headwater.rules.findings import Findings, SourceFile, closest_name
from headwater.rules.lexer import END, NAME, STRING, UNTERMINATED, Lexer, Token, comment_lines, pieces
from headwater.rules.refused import CONSTRUCTS, STATEMENTS
from headwater.rules.syntax import Item, RefusedError, Statement, Word

HEADER_KEYS = ("rule", "owner", "tier", "description")
TIERS = ("P0", "P1", "P2", "P3")
_HEADER = re.compile(r"\s*([A-Za-z_]+)\s*:(.*)")
_RULE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:/-]*")
_DATASET_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DATASET_NAME_VALID = "valid are letters, digits and _, beginning with a letter or _"
DATASET_CHARS_MAX = 128


class Piece:
    """What stands between two semicolons of a file: as a rule one statement and the comments before it."""

    __slots__ = ("end", "gap_start", "start", "text")

    def __init__(self, file: SourceFile, start: int, end: Token, gap_start: int) -> None:
        self.start = start
        self.end = end
        self.gap_start = gap_start
        self.text = file.text[start : end.start]

    @property
    def whole(self) -> bool:
        """Whether its text says all about it: it is not cut off, and no header stands before it."""
        return not self.end.text and self.gap_start == self.start


class StatementReader:
    """Reads the statements of a file, in order. Findings of a statement are its `notes`, those of the file go to ``findings``."""

    def __init__(self, file: SourceFile, findings: Findings) -> None:
        self.file = file
        self.findings = findings
        self.number = 0
        self._gap_start = 0
        self._lexer: Lexer | None = None

    def pieces(self) -> Iterator[Piece]:
        """The file's pieces; give each to `statements` or `skip` before taking the next."""
        for start, end in pieces(self.file, self.findings):
            yield Piece(self.file, start, end, self._gap_start)
        _unused_header(self.file, self._gap_start, self.findings)

    def skip(self, piece: Piece) -> None:
        """Passes over a piece that is known to be one statement."""
        self.number += 1
        self._gap_start = piece.end.start + 1

    def statements(self, piece: Piece) -> Iterator[Statement]:
        """The statements of a piece; more than one where a semicolon is missing, which is a finding. One is held in memory."""
        self._lexer = self._lexer or Lexer(self.file, self.findings)
        tokens = self._lexer.tokens(piece.start, piece.end)
        begin = 0
        for at, token in enumerate(tokens):
            again = token.key == "INSERT" and at > begin and tokens[at + 1].key == "INTO"
            if not again and (token.kind is not END or at == begin):
                continue
            self.number += 1
            statement = Statement(tokens[begin].start, self.number)
            self._read(statement, tokens[begin:at], token)
            if again and not statement.broken:
                hint = "write `;` after it"
                notes = statement.notes
                notes.add(self.file, token.start, token.end, "syntax", "the statement before this one has no end", hint)
                statement.broken = True
            self._gap_start, begin = token.start, at
            yield statement
        self._gap_start = min(self._gap_start, piece.end.start + 1) if not tokens[:-1] else piece.end.start + 1

    def _read(self, statement: Statement, tokens: list[Token], after: Token) -> None:
        _header(self.file, self._gap_start, statement, statement.notes)
        end = after if after.kind is END else Token(END, "", "", after.start, after.start)
        _Parser(self.file, statement.notes, statement).parse([*tokens, end])
        _misplaced_headers(self.file, tokens, statement.notes)


def _header(file: SourceFile, gap_start: int, statement: Statement, findings: Findings) -> None:
    """Reads `-- key: value` of the comments before a statement."""
    for offset, line in comment_lines(file.text, gap_start, statement.start):
        found = _HEADER.match(line)
        if not found:
            continue
        key, value = found[1].lower(), found[2].strip()
        start = offset + 2 + found.start(1)
        if key not in HEADER_KEYS:
            if (meant := closest_name(key, HEADER_KEYS)) and abs(len(meant) - len(key)) < 2:
                message = f"`{found[1]}:` is no header of a rule"
                findings.add(file, start, start + len(key), "header_key", message, f"did you mean `{meant}:`?", "warning")
            continue
        word = Word(value, offset + 2 + found.start(2) + len(found[2]) - len(found[2].lstrip()), offset + 2 + len(line.rstrip()))
        if key in statement.header:
            findings.add(file, start, start + len(key), "header_repeated", f"`{key}:` stands twice before this rule", "keep one")
            statement.broken = True
        elif problem := _header_problem(key, value):
            findings.add(file, min(word.start, word.end - 1), word.end, "header_value", *problem)
            statement.broken = True
        else:
            statement.header[key] = word


def _header_problem(key: str, value: str) -> tuple[str, str] | None:
    if not value:
        return f"`{key}:` is empty", "write a value, or leave the line out"
    if key == "tier" and value not in TIERS:
        return f"`{value}` is no tier", f"valid are {', '.join(TIERS)}"
    if key == "rule" and not _RULE_NAME.fullmatch(value):
        return (
            f"`{value[:60]}` cannot be the name of a rule",
            "valid are letters, digits and _ . : / -, beginning with a letter, digit or _",
        )
    if key == "rule" and len(value) > limits.RULE_NAME_BYTES_MAX:
        return "the name of the rule is too long", f"at most {limits.RULE_NAME_BYTES_MAX} characters"
    return None


def _misplaced_headers(file: SourceFile, tokens: list[Token], findings: Findings) -> None:
    """Warns of headers that stand inside a statement, where they do nothing."""
    if "--" not in file.text[tokens[0].start : tokens[-1].end]:
        return
    for before, after in pairwise(tokens):
        for offset, line in comment_lines(file.text, before.end, after.start):
            if (found := _HEADER.match(line)) and found[1].lower() in HEADER_KEYS:
                start = offset + 2 + found.start(1)
                hint = "headers stand before INSERT"
                findings.add(
                    file, start, start + len(found[1]), "header_misplaced", "this header stands inside a rule", hint, "warning"
                )


def _unused_header(file: SourceFile, gap_start: int, findings: Findings) -> None:
    for offset, line in comment_lines(file.text, gap_start, len(file.text)):
        found = _HEADER.match(line)
        if found and found[1].lower() == "rule":
            start = offset + 2 + found.start(1)
            findings.add(file, start, start + 4, "header_unused", "no statement follows this header", None, "warning")


class _Parser:
    """Fills one Statement from its tokens."""

    def __init__(self, file: SourceFile, findings: Findings, statement: Statement) -> None:
        self.file = file
        self.findings = findings
        self.statement = statement

    def parse(self, tokens: list[Token]) -> None:
        c = self.c = Cursor(tokens, self.file.text)
        self.statement.end = tokens[-2].end
        if not self._begin():
            return
        self._attempt(self._into, ("SELECT",))
        if c.token.kind is END and self.statement.broken:
            return
        self._attempt(lambda: c.expect("SELECT", "after the dataset"), ())
        if c.peek(-1).key != "SELECT":
            return
        if c.token.key == "*":
            self._attempt(self._star, ("FROM",))
        else:
            self._items()
        if c.token.kind is END and self.statement.broken:
            return
        self._attempt(self._from, ("WHERE",))
        if c.take("WHERE"):
            self._attempt(self._where, ())
        if c.token.kind is not END and not self.statement.broken:
            self._attempt(self._end, ())

    def _attempt(self, step: Callable[[], object], go_on_at: tuple[str, ...]) -> None:
        """Runs a step of the grammar; where it refuses, notes that and skips to a word outside parentheses, or to the end."""
        c = self.c
        try:
            step()
        except RefusedError as refused:
            if refused.code != UNTERMINATED:
                self.findings.add(self.file, refused.start, refused.end, refused.code, refused.message, refused.hint)
            self.statement.broken = True
            c.level = 0
            self._skip(go_on_at)

    def _skip(self, go_on_at: tuple[str, ...]) -> None:
        """Goes to the next of these words outside parentheses; where those do not close, to the next at all; else to the end."""
        c, depth, inside = self.c, 0, None
        for at, token in enumerate(c.tokens):
            depth += (token.key in ("(", "[")) - (token.key in (")", "]"))
            if at < c.at or token.key not in go_on_at:
                continue
            if depth == 0:
                c.at, c.token = at, token
                return
            inside = at if inside is None else inside
        c.at = len(c.tokens) - 1 if inside is None else inside
        c.token = c.tokens[c.at]

    def _begin(self) -> bool:
        c = self.c
        if c.token.key == "INSERT":
            c.next()
            return True
        what = f"the statement {c.token.key}" if c.token.kind is NAME and c.token.key in STATEMENTS else c.shown(c.token)
        hint = "a rule is INSERT INTO dataset SELECT … FROM source WHERE …"
        self.findings.add(self.file, c.token.start, c.token.end, "outside_subset", f"{what} is no rule", hint)
        self.statement.broken = True
        return False

    def _into(self) -> None:
        c = self.c
        if c.token.key == "OR":
            raise c.refuse(f"INSERT OR {c.peek().text}", "write INSERT INTO")
        c.expect("INTO", "after INSERT")
        into = c.name("the name of a dataset")
        self._dataset_name(into)
        if c.token.key in ("-", "/", ":"):
            raise RefusedError(
                into.start, c.token.end, "dataset_name", f"{c.shown(c.token)} cannot be in a name", _DATASET_NAME_VALID
            )
        self.statement.into = into
        if c.token.key == "(":
            raise c.refuse("a list of columns after INTO", "columns go to the dataset by name: write SELECT … AS name")
        if c.token.key == "BY":
            raise c.refuse("BY NAME", "leave it out: columns go to the dataset by name")
        if c.token.key in ("AS", "DEFAULT"):
            raise c.refuse(f"{c.token.key} after INTO")

    def _dataset_name(self, name: Word) -> None:
        c = self.c
        if c.token.key == ".":
            raise c.refuse("a dataset name with a dot", "write the name of the dataset alone")
        if not _DATASET_NAME.fullmatch(name.text) or len(name.text) > DATASET_CHARS_MAX:
            hint = f"{_DATASET_NAME_VALID}, at most {DATASET_CHARS_MAX}"
            raise RefusedError(name.start, name.end, "dataset_name", f"`{name.text[:60]}` cannot be the name of a dataset", hint)

    def _items(self) -> None:
        c = self.c
        while True:
            self._attempt(self._item, (",", "FROM"))
            if not c.take(","):
                return

    def _item(self) -> None:
        item = self._named()
        if self.c.token.key not in (",", "FROM"):
            raise self.c.unexpected("a comma, FROM, or AS and a name" if item.name is None else "a comma or FROM")
        self.statement.items.append(item)

    def _named(self) -> Item:
        c = self.c
        if c.token.key in ("ALL", "TOP") and c.peek().kind is not END and c.peek().key not in (",", "FROM", "AS", "."):
            raise c.refuse(f"SELECT {c.token.key}")
        if c.token.key == "*":
            raise c.refuse("`*` beside columns", "write `SELECT *` alone; EXCLUDE and REPLACE change it")
        expression = parse_expression(c)
        item = Item(expression, None, expression.start, expression.end)
        if c.take("AS"):
            word = c.name("a name for the column") if c.token.kind is not STRING else None
            if word is None:
                raise c.unexpected('a name for the column, without quotes or as "name"')
            item.name, item.name_start, item.name_end = word.text, word.start, word.end
        return item

    def _star(self) -> None:
        c = self.c
        token = c.next()
        self.statement.star = Word("*", token.start, token.end)
        if c.token.key == ",":
            raise c.refuse("`*` beside columns", "write `SELECT *` alone; EXCLUDE and REPLACE change it")
        if c.token.key == "EXCEPT":
            raise c.refuse("EXCEPT after `*`", "write EXCLUDE (…)")
        if c.token.key in ("RENAME", "LIKE"):
            raise c.refuse(f"{c.token.key} after `*`", "valid are EXCLUDE (…) and REPLACE (… AS name)")
        if c.take("EXCLUDE"):
            self._listed(lambda: self.statement.exclude.append(c.name("the name of a top-level field")))
        if c.take("REPLACE"):
            self._listed(self._replacement)
        if c.token.key != "FROM":
            raise c.unexpected("EXCLUDE (…), REPLACE (…) or FROM")

    def _listed(self, one: Callable[[], object]) -> None:
        c = self.c
        c.expect("(", "as in `* EXCLUDE (a, b)` and `* REPLACE (lower(a) AS a)`")
        one()
        while c.take(","):
            one()
        c.expect(")", "to close the list")

    def _replacement(self) -> None:
        item = self._named()
        if item.name is None:
            raise self.c.unexpected("AS and the field that is replaced")
        self.statement.replace.append(item)

    def _from(self) -> None:
        c = self.c
        c.expect("FROM", "and the dataset that the rule reads")
        if c.token.key == "(":
            raise c.refuse("a subquery in FROM", "name one dataset")
        if c.token.kind is STRING:
            raise c.refuse("a file in FROM", "name one dataset")
        source = c.name("the name of a dataset")
        if c.token.key == "(":
            raise c.refuse("a table function in FROM", "name one dataset")
        if c.token.key == ".":
            raise c.refuse("a dataset name with a dot", "write the name of the dataset alone")
        self.statement.source = source
        if c.token.key == ",":
            raise c.refuse("a second table in FROM", "a rule reads one dataset, event by event")
        if c.token.key == "AS" or (c.token.kind is NAME and c.token.key != "WHERE" and c.token.key not in CONSTRUCTS):
            self.statement.alias = (c.peek() if c.token.key == "AS" else c.token).text
            raise c.refuse("a name for the dataset in FROM", "fields are named without it: event, properties.price")
        if c.token.key != "WHERE" and c.token.kind is not END:
            raise c.unexpected("WHERE or `;`")

    def _where(self) -> None:
        where = parse_expression(self.c)
        if self.c.token.kind is not END:
            # What was read is a part of a condition: `event` of `event == 'x'`.
            raise self.c.unexpected("AND, OR or `;`")
        self.statement.where = where

    def _end(self) -> None:
        if self.c.token.kind is not END:
            raise self.c.unexpected("`;`")
