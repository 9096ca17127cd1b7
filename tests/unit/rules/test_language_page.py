"""docs/sql.md: its examples compile, its table of functions is what is declared, and every declared example compiles."""

import json
import re
from pathlib import Path

import pytest

from headwater.registry.json_schema import source_from_json_schema
from headwater.rules import compile_sql
from headwater.rules.functions import FUNCTIONS
from headwater.rules.physical import OPERATIONS

PAGE = (Path(__file__).parents[3] / "docs" / "sql.md").read_text()
SCHEMA = json.loads(re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)[1])
SOURCES = {"app_events": source_from_json_schema("app_events", SCHEMA)}
BLOCKS = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("sql", BLOCKS)
def test_examples_compile(sql):
    compiled = compile_sql(sql, "page.sql", SOURCES)
    assert not compiled.findings, "\n".join(map(str, compiled.findings))
    assert compiled.rules


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_the_example_of_each_function_compiles(function):
    compiled = compile_sql(f"INSERT INTO d SELECT {function.example} AS x FROM app_events WHERE event = 'a'", "f.sql", SOURCES)
    assert not compiled.findings, "\n".join(map(str, compiled.findings))
    operation = compiled.rules[0].select[0][1][1]
    assert operation == function.name or function.lower
    assert operation in OPERATIONS


def test_the_table_of_functions_is_what_is_declared():
    rows = ["| function | gives | | example |", "|---|---|---|---|"]
    for function in FUNCTIONS.values():
        forms = "<br>".join(f"`{form}`" for form in function.forms())
        gives = {"the common type" if one.result == "common" else one.result for one in function.signatures}
        rows.append(f"| {forms} | {' or '.join(sorted(gives))} | {function.doc} | `{function.example}` |")
    shown = re.search(r"<!-- functions -->\n(.*?)\n<!-- end of functions -->", PAGE, re.DOTALL)
    assert shown, "docs/sql.md has no table of functions"
    assert shown[1] == "\n".join(rows), "put this into docs/sql.md:\n" + "\n".join(rows)
