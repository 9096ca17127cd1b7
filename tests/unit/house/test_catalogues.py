"""The two catalogues: every limit is used and says what happens at it; every error has a code, and is raised and tested."""

import ast
import inspect
import re

import pytest

from headwater.core import errors, limits
from headwater.core.errors import HeadwaterError

UNIT = re.compile(r"_(MAX|MIN|MS|S|BYTES|THREADS)$")
LIMITS = sorted(name for name in vars(limits) if name.isupper())
ERRORS = sorted(
    (kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, HeadwaterError)),
    key=lambda kind: kind.__name__,
)


def names_used(tree, under: str, but: str) -> set[str]:
    """Every name that code under a directory reads, imports or calls."""
    used: set[str] = set()
    for path in tree.ending(".py", under=under):
        if tree.name(path) != but:
            for node in ast.walk(ast.parse(path.read_text())):
                match node:
                    case ast.Name(id=name) | ast.Attribute(attr=name):
                        used.add(name)
    return used


def test_every_limit_is_used(tree):
    used = names_used(tree, "src/", "src/headwater/core/limits.py")
    unused = [name for name in LIMITS if name not in used]
    assert not unused, f"src/headwater/core/limits.py: nothing under src/ uses {', '.join(unused)}; delete them"


def test_every_limit_says_what_it_bounds_and_what_happens(tree):
    lines = (tree.root / "src/headwater/core/limits.py").read_text().splitlines()
    offences = []
    for number, line in enumerate(lines, 1):
        name = line.partition(" ")[0].rstrip(":")
        if name in LIMITS:
            above = next((before for before in reversed(lines[: number - 1]) if before.partition(" ")[0] not in LIMITS), "")
            if not above.startswith("#"):
                offences.append(f"src/headwater/core/limits.py:{number}: no comment above {name} says what happens at it")
            if not UNIT.search(name):
                offences.append(f"src/headwater/core/limits.py:{number}: {name} does not end in _MAX, _MIN or its unit")
    assert not offences, "\n".join(offences)


def test_codes_are_unique():
    codes = [kind.code for kind in ERRORS]
    assert len(set(codes)) == len(codes), f"errors share a code: {sorted(codes)}"
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", code) for code in codes), codes


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_every_error_is_documented_raised_and_tested(tree, kind):
    assert "code" in vars(kind), f"{kind.__name__} has no code of its own"
    assert kind.__doc__, f"{kind.__name__} has no docstring"
    if kind is not HeadwaterError:
        assert kind.__name__ in names_used(tree, "src/", "src/headwater/core/errors.py"), f"nothing raises {kind.__name__}"
    assert kind.__name__ in names_used(tree, "tests/", ""), f"no test expects {kind.__name__}"


def test_errors_are_declared_in_the_catalogue_only(tree):
    catalogue, offences = {kind.__name__ for kind in ERRORS}, []
    for path in tree.ending(".py", under="src/"):
        if path.name != "errors.py" or path.parent.name != "core":
            for node in ast.walk(ast.parse(path.read_text())):
                bases = (
                    {base.id for base in node.bases if isinstance(base, ast.Name)} if isinstance(node, ast.ClassDef) else set()
                )
                if bases & catalogue:
                    offences.append(f"{tree.name(path)}:{node.lineno}: {node.name} belongs into core/errors.py")
    assert not offences, "\n".join(offences)
