"""The tables of lower and upper say what DuckDB says, for every code point."""

import itertools

import duckdb
import pytest

from headwater.kernel.functions import case_table


def expand(table):
    return {code: code + delta for first, last, step, delta in table for code in range(first, last + 1, step)}


@pytest.mark.parametrize("name", ["lower", "upper"])
def test_table_equals_duckdb(name):
    changed = f"{name}(chr(i::INT))"
    codes = "range(1, 1114112) t(i) WHERE i NOT BETWEEN 55296 AND 57343"
    rows = duckdb.connect().execute(f"SELECT i::INT, unicode({changed}), length({changed}) FROM {codes}")
    answers = rows.fetchall()
    assert all(length == 1 for _, _, length in answers)
    assert expand(getattr(case_table, name.upper())) == {code: changed for code, changed, _ in answers if code != changed}


@pytest.mark.parametrize("name", ["LOWER", "UPPER"])
def test_ranges_ascend(name):
    table = getattr(case_table, name)
    assert all(first <= last and step in (1, 2) for first, last, step, _ in table)
    assert all(before[1] < after[0] for before, after in itertools.pairwise(table))
