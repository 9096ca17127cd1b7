"""Names: one word, one meaning; and every module says what it is for."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

FORBIDDEN = {
    "message": "event or record",
    "destination": "sink",
    "bucket": "partition, window or what it holds",
    "util": "what it does",
    "helper": "what it does",
    "manager": "what it does",
    "common": "the room it belongs to",
}
SOURCES = ("src/", "kernel/src/")


def words(name: str) -> set[str]:
    """The words of a snake or camel case name, small, without the plural's s."""
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)
    return {part.lower().rstrip("s") for part in parts}


def named(text: str, path: Path) -> Iterator[tuple[int, str]]:
    """(line, name) of the types that a file declares."""
    if path.suffix == ".rs":
        for found in re.finditer(r"^\s*(?:pub(?:\([^)]*\))?\s+)?(?:struct|enum|trait|mod|type)\s+(\w+)", text, re.MULTILINE):
            yield text.count("\n", 0, found.start(1)) + 1, found.group(1)
    else:
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ClassDef):
                yield node.lineno, node.name


def test_no_forbidden_word_names_a_module_or_type(tree):
    offences = []
    for path in (path for under in SOURCES for path in tree.ending(".py", ".pyi", ".rs", under=under)):
        places = [(1, part) for part in (*path.relative_to(tree.root).parts[:-1], path.stem)]
        for line, name in [*places, *named(path.read_text(), path)]:
            for word in sorted(words(name) & FORBIDDEN.keys()):
                offences.append(f"{tree.name(path)}:{line}: {name!r} has the word {word!r}; name it by {FORBIDDEN[word]}")
    assert not offences, "\n".join(offences)


def test_words_of_names():
    assert words("HTTPMessageQueue") == {"http", "message", "queue"}
    assert words("json_utils") == {"json", "util"}


def test_every_module_says_what_it_is_for(tree):
    offences = []
    for path in tree.ending(".py", ".pyi", under="src/"):
        if not ast.get_docstring(ast.parse(path.read_text())):
            offences.append(f"{tree.name(path)}:1: no docstring; say in a sentence what the module is for")
    for path in tree.ending(".rs", under="kernel/src/"):
        if not path.read_text().startswith("//!"):
            offences.append(f"{tree.name(path)}:1: does not begin with a `//!` comment; say in a sentence what the module is for")
    assert not offences, "\n".join(offences)
