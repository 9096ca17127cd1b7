"""Writes the tables of `lower` and `upper`, in Rust and in Python, from what DuckDB answers for every code point.

Run `python kernel/tables/case_table.py` after a change of the pinned DuckDB version; a test compares the tables with DuckDB.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

ROOT = Path(__file__).resolve().parents[2]
RUST = ROOT / "kernel/src/functions/case_table.rs"
PYTHON = ROOT / "src/headwater/kernel/functions/case_table.py"
FUNCTIONS = ("lower", "upper")
DOC = {
    "lower": "Code points that `lower` changes: (first, last, step, what is added).",
    "upper": "Code points that `upper` changes: (first, last, step, what is added).",
}

Range = tuple[int, int, int, int]


def mapping(function: str) -> dict[int, int]:
    """Code point → what DuckDB's function makes of it, where that differs. Both map one code point to one."""
    rows = duckdb.sql(
        f"SELECT i::INT, unicode({function}(chr(i::INT))) FROM range(1, 1114112) t(i) WHERE i NOT BETWEEN 55296 AND 57343"
    )
    return {code: changed for code, changed in rows.fetchall() if code != changed}


def ranges(changed: dict[int, int]) -> list[Range]:
    """Runs of one difference, of neighbours (step 1) or of every second code point (step 2), in ascending order."""
    found: list[Range] = []
    codes = sorted(changed)
    while codes:
        first = codes[0]
        delta = changed[first] - first
        best = (first, first, 1, delta)
        for step in (1, 2):
            last = first
            while changed.get(last + step) == last + step + delta and (step == 1 or last + 1 not in changed):
                last += step
            if last > best[1]:
                best = (first, last, step, delta)
        found.append(best)
        codes = [code for code in codes if code > best[1]]
    return found


def rust(tables: dict[str, list[Range]]) -> str:
    """The tables as Rust constants."""
    parts = ["//! Written by `kernel/tables/case_table.py` from DuckDB's answers; do not edit.\n"]
    for name, table in tables.items():
        rows = "".join(f"    (0x{first:X}, 0x{last:X}, {step}, {delta}),\n" for first, last, step, delta in table)
        parts.append(f"/// {DOC[name]}\n#[rustfmt::skip]\npub const {name.upper()}: &[(u32, u32, u32, i32)] = &[\n{rows}];\n")
    return "\n".join(parts)


def python(tables: dict[str, list[Range]]) -> str:
    """The tables as Python tuples."""
    parts = ['"""Written by `kernel/tables/case_table.py` from DuckDB\'s answers; do not edit."""\n']
    for name, table in tables.items():
        rows = "".join(f"    (0x{first:X}, 0x{last:X}, {step}, {delta}),\n" for first, last, step, delta in table)
        parts.append(f"# {DOC[name]}\n{name.upper()}: tuple[tuple[int, int, int, int], ...] = (\n{rows})\n")
    return "\n".join(parts)


def main() -> None:
    """Writes both files."""
    tables = {name: ranges(mapping(name)) for name in FUNCTIONS}
    RUST.write_text(rust(tables), encoding="utf-8")
    PYTHON.write_text(python(tables), encoding="utf-8")


if __name__ == "__main__":
    main()
