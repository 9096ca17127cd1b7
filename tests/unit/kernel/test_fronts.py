"""The native classes and functions as a whole: what holds of every one."""

import re
from pathlib import Path

FRONT = Path(__file__).parents[3] / "kernel/src/python"


def test_work_without_the_gil_turns_panics_into_exceptions():
    """`apart` does; PyO3's `detach` alone makes a PanicException, which `except Exception` does not catch."""
    found = [
        f"{file.name}:{number}: use `apart`"
        for file in sorted(FRONT.glob("*.rs"))
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if re.search(r"\b(detach|allow_threads)\b", line) and file.name != "apart.rs"
    ]
    assert not found, "\n".join(found)
    assert "detach" in (FRONT / "apart.rs").read_text()
