"""The checked-out tree, for tests of the house rules."""

import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


class Tree:
    """The files that git tracks, and new ones that it does not ignore."""

    root = ROOT

    def __init__(self) -> None:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, check=False
        )
        if listed.returncode:
            pytest.skip(f"not a git checkout: {listed.stderr.decode().strip()}")
        self.files = sorted(ROOT / name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file())

    def ending(self, *suffixes: str, under: str = "") -> list[Path]:
        return [path for path in self.files if path.suffix in suffixes and self.name(path).startswith(under)]

    def texts(self) -> list[tuple[str, str]]:
        """(name, text) of every file that is UTF-8 text."""
        found = []
        for path in self.files:
            text = _read(path)
            if text is not None:
                found.append((self.name(path), text))
        return found

    def name(self, path: Path) -> str:
        return path.relative_to(ROOT).as_posix()


@cache
def _read(path: Path) -> str | None:
    try:
        return path.read_text()
    except UnicodeDecodeError:
        return None


@pytest.fixture(scope="session")
def tree() -> Tree:
    return Tree()
