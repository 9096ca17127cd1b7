"""A place in the tokens of one statement, with the refusals that every part of the parser shares."""

from __future__ import annotations

from headwater.core import limits
from headwater.rules.lexer import END, NAME, QUOTED, Token
from headwater.rules.refused import CONSTRUCTS
from headwater.rules.syntax import RefusedError, Word, too_deep

# Words that end an expression or begin a clause; a field of such a name is written with quotes.
RESERVED = frozenset(
    (  # noqa: SIM905
        "ALL AND ANTI ANY AS ASC ASOF BETWEEN BY CASE COLLATE CROSS DESC DISTINCT ELSE END ESCAPE EXCEPT EXISTS FALSE FETCH "
        "FROM FULL GLOB GROUP HAVING ILIKE IN INNER INSERT INTERSECT INTERVAL INTO IS ISNULL JOIN LEFT LIKE LIMIT NATURAL "
        "NOT NOTNULL NULL OFFSET ON OR ORDER OUTER OVER PIVOT POSITIONAL QUALIFY REGEXP RETURNING RIGHT SELECT SEMI SIMILAR "
        "SOME TABLESAMPLE THEN TRUE UNION UNPIVOT USING VALUES WHEN WHERE WINDOW WITH"
    ).split()
)


class Cursor:
    """Reads tokens one after the other; ``level`` counts how deep the expression nests at this place."""

    def __init__(self, tokens: list[Token], text: str) -> None:
        self.tokens = tokens
        self.text = text
        self.at = 0
        self.token = tokens[0]
        self.level = 0

    def next(self) -> Token:
        """Takes the current token; the END token is never passed."""
        token = self.token
        if token.kind is not END:
            self.at += 1
            self.token = self.tokens[self.at]
        return token

    def peek(self, ahead: int = 1) -> Token:
        """The token ``ahead`` places on; END where there is none."""
        return self.tokens[min(self.at + ahead, len(self.tokens) - 1)]

    def take(self, key: str) -> Token | None:
        """Takes the current token if it is this word or symbol."""
        return self.next() if self.token.key == key else None

    def expect(self, key: str, where: str) -> Token:
        """Takes this word or symbol, or refuses what stands there instead."""
        if self.token.key == key:
            return self.next()
        raise self.unexpected(f"`{key}` {where}")

    def last_end(self) -> int:
        """Where the token before this one ends."""
        return self.tokens[self.at - 1].end if self.at else self.token.start

    def unexpected(self, wanted: str) -> RefusedError:
        """A refusal of the current token: what it is, and what would be valid."""
        token = self.token
        if found := CONSTRUCTS.get(token.key):
            return self.refuse(*found)
        if token.kind is END and token.text:
            return RefusedError(token.start, token.end, token.text, "the statement is cut off")
        if token.kind is END:
            return RefusedError(token.start, token.start + 1, "syntax", "the statement ends too early", f"valid here is {wanted}")
        return RefusedError(token.start, token.end, "syntax", f"{self.shown(token)} cannot stand here", f"valid here is {wanted}")

    def shown(self, token: Token) -> str:
        """A token as findings name it."""
        written = self.text[token.start : token.end]
        return f"`{written if len(written) <= 40 else written[:40] + '…'}`"

    def refuse(self, what: str, hint: str | None = None, first: Token | None = None) -> RefusedError:
        """A refusal of something that SQL knows and rules do not, by its name; from ``first`` to the current token."""
        first = first or self.token
        end = max(first.end, self.token.end if self.token.start == first.start else self.last_end())
        return RefusedError(first.start, end, "outside_subset", f"{what} cannot be used in rules", hint)

    def name(self, what: str) -> Word:
        """Takes a plain or quoted name."""
        token = self.token
        if token.kind is QUOTED or (token.kind is NAME and token.key not in RESERVED):
            if not token.text:
                raise RefusedError(token.start, token.end, "syntax", "a name cannot be empty")
            self.next()
            return Word(token.text, token.start, token.end)
        if token.kind is NAME:
            hint = f'valid here is {what}; a name that is a word of SQL is written with quotes: "{token.text}"'
            raise RefusedError(token.start, token.end, "syntax", f"{self.shown(token)} cannot stand here", hint)
        raise self.unexpected(what)

    def enter(self) -> None:
        """Goes one level deeper, or refuses. Pair with ``self.level -= 1``."""
        self.level += 1
        if self.level > limits.RULE_DEPTH_MAX:
            raise too_deep(self.token.start, self.token.end)
