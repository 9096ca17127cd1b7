"""An expression without parentheses means what it means to DuckDB, which gets the text as it stands."""

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.core.dataset import SourceSchema
from headwater.core.types import BIGINT, BOOLEAN, VARCHAR, StructOf
from headwater.rules import compile_sql
from headwater.rules.render import render

SOURCES = {
    "t": SourceSchema(
        "t", StructOf((("i", BIGINT), ("k", BIGINT), ("n", BIGINT), ("b", BOOLEAN), ("c", BOOLEAN), ("s", VARCHAR)))
    )
}
NUMBERS = st.sampled_from(["i", "k", "n", "-i", "- k", "i::BIGINT", "-k::BIGINT", "-n::BIGINT::BIGINT"])
TEXTS = st.sampled_from(["s", "'7'", "'a'"])


@st.composite
def arithmetic(draw):
    parts = [draw(NUMBERS)]
    for _part in range(draw(st.integers(0, 4))):
        parts += [draw(st.sampled_from(["+", "-", "*", "//", "%"])), draw(NUMBERS)]
    return " ".join(parts)


@st.composite
def joined(draw):
    parts = [draw(TEXTS), *(draw(st.one_of(arithmetic(), TEXTS)) for _part in range(draw(st.integers(0, 2))))]
    return " || ".join(parts)


@st.composite
def predicate(draw):
    negation = draw(st.sampled_from(["", "NOT ", "NOT NOT "]))
    number = draw(arithmetic())
    other = draw(arithmetic())
    return negation + draw(
        st.sampled_from(
            [
                f"{number} < {other}",
                f"{number} = {other}",
                f"{number} IS NULL",
                f"{number} IS DISTINCT FROM {other}",
                f"{number} BETWEEN {other} AND {draw(arithmetic())}",
                f"{number} NOT BETWEEN {other} AND {draw(arithmetic())}",
                f"{number} IN ({other}, {draw(arithmetic())})",
                f"{draw(joined())} LIKE '%7%'",
                f"{draw(joined())} NOT LIKE '%7'",
                f"{draw(joined())} = {draw(joined())}",
                "b",
                "c IS NOT NULL",
            ]
        )
    )


@st.composite
def condition(draw):
    parts = [draw(predicate())]
    for _part in range(draw(st.integers(0, 3))):
        parts += [draw(st.sampled_from(["AND", "OR"])), draw(predicate())]
    return " ".join(parts)


@pytest.fixture(scope="module")
def connection():
    connection = duckdb.connect()
    connection.execute("CREATE TABLE t (i BIGINT, k BIGINT, n BIGINT, b BOOLEAN, c BOOLEAN, s VARCHAR)")
    rows = [
        (7, 2, 5, True, False, "7"),
        (-7, 3, 11, False, True, "a7"),
        (13, -4, 3, None, True, "x"),
        (2, 9, None, True, None, None),
    ]
    connection.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?)", rows)
    return connection


@settings(max_examples=150, deadline=None)
@given(st.one_of(arithmetic(), joined(), condition()))
def test_precedence_is_duckdb_s(connection, expression):
    compiled = compile_sql(f"INSERT INTO d SELECT {expression} AS x FROM t", "p.sql", SOURCES)
    assert not compiled.errors, "\n".join(map(str, compiled.errors))
    lowered = render(compiled.rules[0].select[0][1])
    try:
        as_written = connection.execute(f"SELECT {expression} FROM t").fetchall()
    except duckdb.Error as error:
        assert "ivision" in str(error) or "odulo" in str(error) or "verflow" in str(error), error  # noqa: PT017
        return
    assert connection.execute(f"SELECT {lowered} FROM t").fetchall() == as_written
