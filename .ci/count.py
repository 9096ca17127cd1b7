"""Prints `N passed, N failed` for a run of the tests: python3 .ci/count.py LOG JUNIT.

LOG holds what `cargo test` printed, JUNIT is what `pytest --junitxml` wrote. Tests that were skipped or ignored have failed, and
so has a runner that ran nothing. The exit code is 1 where anything failed.
"""

import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

CARGO = re.compile(r"^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored", re.MULTILINE)


def of_cargo(log: str) -> tuple[int, int]:
    """(passed, failed) of every `test result` line."""
    found = [tuple(map(int, numbers)) for numbers in CARGO.findall(log)]
    return sum(passed for passed, _, _ in found), sum(failed + ignored for _, failed, ignored in found)


def of_pytest(junit: Path) -> tuple[int, int]:
    """(passed, failed) of pytest's report; nothing where it wrote none."""
    if not junit.exists():
        return 0, 0
    suites = list(ElementTree.parse(junit).getroot().iter("testsuite"))
    failed = sum(int(suite.get(kind, 0)) for suite in suites for kind in ("failures", "errors", "skipped"))
    return sum(int(suite.get("tests", 0)) for suite in suites) - failed, failed


def main(log: str, junit: str) -> int:
    """Prints the counts of both runners as one line; 1 where anything failed."""
    passed = failed = 0
    for runner, counts in (("cargo", of_cargo(Path(log).read_text(errors="replace"))), ("pytest", of_pytest(Path(junit)))):
        if sum(counts) == 0:
            print(f"{runner} ran no test, which counts as one that failed")
            counts = (0, 1)
        passed, failed = passed + counts[0], failed + counts[1]
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
