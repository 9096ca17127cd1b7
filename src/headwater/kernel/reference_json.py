"""A strict reader of RFC 8259 that keeps where everything stands, in plain Python. The kernel's is `kernel/src/json.rs`.

It builds nodes rather than values: numbers keep their text, objects their order and their duplicate keys. Depth costs no stack.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

SPACE = re.compile(rb"[ \t\n\r]*")
TEXT = re.compile(rb'(?:[^"\\\x00-\x1f]+|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4}){1,1000}')  # It takes memory for each turn.
DIGITS = re.compile(rb"[0-9]*")
HEX = frozenset(b"0123456789abcdefABCDEF")
WORDS = {0x74: b"true", 0x66: b"false", 0x6E: b"null"}
CLOSING = {"object": 0x7D, "array": 0x5D}
COMMA = 0x2C
SURROGATE = re.compile("[\ud800-\udfff]")


class Malformed(ValueError):
    """The bytes are not one JSON text: `reason` as in `kernel/src/json.rs`, `at` the offset of the offending byte."""

    def __init__(self, reason: str, at: int) -> None:
        super().__init__(f"{reason} at byte {at}")
        self.reason = reason
        self.at = at


@dataclass(slots=True, eq=False)
class Node:
    """One value: `kind` is null, true, false, number, text, object or array; `source[start:end]` is its text."""

    kind: str
    source: bytes
    start: int
    end: int = 0
    members: list[Member] = field(default_factory=list)
    items: list[Node] = field(default_factory=list)

    @property
    def raw(self) -> bytes:
        """The text of the value, as it stood."""
        return self.source[self.start : self.end]

    def text(self) -> str:
        """The text of a string, escapes resolved. A lone surrogate stays one."""
        return string_text(self.raw)

    def last_members(self) -> list[Member]:
        """The members of an object where of duplicate keys the last one counts, each at its place."""
        last = {member.key: index for index, member in enumerate(self.members)}
        if len(last) == len(self.members):
            return self.members
        return [member for index, member in enumerate(self.members) if last[member.key] == index]

    def get(self, key: str) -> Node | None:
        """The value of a key of an object; None where it is missing or this is no object."""
        for member in reversed(self.members):
            if member.key == key:
                return member.value
        return None


@dataclass(slots=True, eq=False)
class Member:
    """A member of an object: its key, where the key's text starts, and its value."""

    key: str
    start: int
    value: Node


def string_text(raw: bytes) -> str:
    """What a JSON string (quotes included) says. It is well-formed, so the standard library may resolve its escapes."""
    if b"\\" not in raw:
        return raw[1:-1].decode("utf-8")
    text: str = json.loads(raw.decode())
    return text


def has_surrogate(text: str) -> bool:
    """Whether a text read from JSON has a lone surrogate (pairs are resolved to their character)."""
    return SURROGATE.search(text) is not None


def parse(source: bytes) -> Node:
    """Reads exactly one JSON text. Raises Malformed."""
    try:
        source.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed("invalid_utf8", error.start) from None
    reader = _Reader(source)
    node = reader.value()
    reader.space()
    if reader.at != len(source):
        raise Malformed("trailing_bytes", reader.at)
    return node


class _Reader:
    """A cursor that refuses at the same byte as the kernel's."""

    def __init__(self, source: bytes) -> None:
        self.source = source
        self.at = 0

    def peek(self) -> int:
        """The next byte, or -1 at the end."""
        return self.source[self.at] if self.at < len(self.source) else -1

    def skip(self, pattern: re.Pattern[bytes]) -> None:
        """Moves behind what a pattern that may be empty matches here."""
        found = pattern.match(self.source, self.at)
        self.at = found.end() if found else self.at

    def space(self) -> int:
        self.skip(SPACE)
        return self.peek()

    def refusal(self, reason: str) -> Malformed:
        return Malformed("unexpected_end" if self.at >= len(self.source) else reason, self.at)

    def value(self) -> Node:
        """Reads one value. The open objects and arrays are on a stack of its own, so that memory alone bounds the depth."""
        first: Node | None = None
        stack: list[Node] = []
        key: tuple[str, int] | None = None
        while True:
            node = self.begin()
            first = first or node
            if stack and key:
                stack[-1].members.append(Member(key[0], key[1], node))
            elif stack:
                stack[-1].items.append(node)
            if node.kind in CLOSING and self.space() != CLOSING[node.kind]:
                stack.append(node)
                key = self.key() if node.kind == "object" else None
                continue
            if node.kind in CLOSING:
                self.at += 1
            node.end = self.at
            while stack:
                parent = stack[-1]
                byte = self.space()
                if byte != COMMA and byte != CLOSING[parent.kind]:
                    raise self.refusal("unexpected_byte")
                self.at += 1
                if byte == COMMA:
                    key = self.key() if parent.kind == "object" else None
                    break
                parent.end = self.at
                stack.pop()
            else:
                return first

    def begin(self) -> Node:
        """Reads a scalar to its end, or opens an object or an array."""
        byte = self.space()
        node = Node("", self.source, self.at)
        if byte == 0x22:
            node.kind = "text"
            self.string()
        elif byte in (0x7B, 0x5B):
            node.kind = "object" if byte == 0x7B else "array"
            self.at += 1
        elif byte == 0x2D or 0x30 <= byte <= 0x39:
            node.kind = "number"
            self.number()
        elif byte in WORDS:
            node.kind = WORDS[byte].decode()
            for expected in WORDS[byte]:
                if self.peek() != expected:
                    raise self.refusal("unexpected_byte")
                self.at += 1
        else:
            raise self.refusal("unexpected_byte")
        return node

    def key(self) -> tuple[str, int]:
        """Reads a key and its colon: what the key says and where it starts."""
        if self.space() != 0x22:
            raise self.refusal("unexpected_byte")
        start = self.at
        self.string()
        text = string_text(self.source[start : self.at])
        if self.space() != 0x3A:
            raise self.refusal("unexpected_byte")
        self.at += 1
        return text, start

    def string(self) -> None:
        self.at += 1
        while found := TEXT.match(self.source, self.at):
            self.at = found.end()
        byte = self.peek()
        if byte == 0x5C:
            # No whole escape: it is refused at the first byte that is wrong.
            self.at += 1
            if self.peek() == 0x75:
                self.at += 1
                while self.peek() in HEX:
                    self.at += 1
            raise self.refusal("invalid_escape")
        if byte != 0x22:
            raise self.refusal("control_character")
        self.at += 1

    def number(self) -> None:
        if self.peek() == 0x2D:
            self.at += 1
        if self.peek() == 0x30:
            self.at += 1
            if 0x30 <= self.peek() <= 0x39:
                raise self.refusal("invalid_number")
        else:
            self.digits()
        if self.peek() == 0x2E:
            self.at += 1
            self.digits()
        if self.peek() in (0x65, 0x45):
            self.at += 1
            if self.peek() in (0x2B, 0x2D):
                self.at += 1
            self.digits()

    def digits(self) -> None:
        start = self.at
        self.skip(DIGITS)
        if self.at == start:
            raise self.refusal("invalid_number")


def write_text(text: str) -> str:
    """A JSON string of the text, quotes included, with no escapes but those that are needed."""
    return json.dumps(text, ensure_ascii=False)
