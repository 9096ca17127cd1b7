"""Which functions files of Python declare, and how rules call them."""

import pytest

from headwater.core.udf import UdfSet
from headwater.rules import Cache, compile_files, compile_sql, read_udfs

SOURCE = """
from __future__ import annotations
from datetime import datetime
from typing import Optional
import headwater as hw
from headwater import udf as mark

def not_marked(x): ...

@hw.udf
def risk(amount: list[float | None], country: list[str]) -> list[float]:
    return amount

@mark
def kinds(
    a: list[int], b: "list[None | bool]", c: list[Optional[str]], d: list[datetime], e: list[list[str]]
) -> list[list[int] | None]:
    return a
"""


def test_signatures_are_read_from_the_text():
    udfs, findings = read_udfs({"udfs/a.py": SOURCE})
    assert findings == ()
    risk, kinds = udfs.signatures
    assert (risk.form(), risk.file, risk.line) == ("risk(DOUBLE, VARCHAR)", "udfs/a.py", 11)
    assert [(one.name, one.null) for one in risk.parameters] == [("amount", True), ("country", False)]
    assert (str(risk.result), risk.null) == ("DOUBLE", False)
    assert kinds.form() == "kinds(BIGINT, BOOLEAN, VARCHAR, TIMESTAMP, VARCHAR[])"
    assert [one.null for one in kinds.parameters] == [False, True, True, False, False]
    assert (str(kinds.result), kinds.null) == ("BIGINT[]", True)
    assert [type(one).from_json(one.to_json()) for one in udfs.signatures] == [risk, kinds]


HEAD = "import headwater\n@headwater.udf\n"
COLUMNS = "a column is list[int], list[float], list[bool], list[str], list[datetime], or a list of lists of these; "
COLUMNS += "with NULLs, list[float | None]"
COLUMN = "it is given a whole column: write"
ORDER = "`f` has parameters that rules cannot give; it takes columns in their order, without defaults, * and /"
WRONG = [
    ("def f(x) -> list[int]: ...", 7, f"the parameter `x` has no annotation; write x: and a column; {COLUMNS}"),
    ("def f(x: list[int]): ...", 5, f"`f` does not say what it gives; write -> and a column; {COLUMNS}"),
    ("def é(ü: float) -> list[int]: ...", 10, f"the parameter `ü` cannot be float; {COLUMN} list[float]"),
    ("def f(x: list[int]) -> int | None: ...", 24, f"what `f` gives cannot be int | None; {COLUMN} list[int | None]"),
    ("def f(x: list) -> list[int]: ...", 10, f"the parameter `x` cannot be list; {COLUMNS}"),
    ("def f(x: dict[str, int]) -> list[int]: ...", 10, f"the parameter `x` cannot be dict[str, int]; {COLUMNS}"),
    ("def f(x: list[int | str]) -> list[int]: ...", 10, f"the parameter `x` cannot be list[int | str]; {COLUMNS}"),
    ("def f(x: list[list[list[int]]]): ...", 10, f"the parameter `x` cannot be list[list[list[int]]]; {COLUMNS}"),
    ("def f(x: 'list[int') -> list[int]: ...", 10, f"the parameter `x` cannot be 'list[int'; {COLUMNS}"),
    (
        "def f() -> list[int]: ...",
        5,
        "`f` takes no column; a function that needs none is a constant: write its value into the rule",
    ),
    ("def f(*x: list[int]) -> list[int]: ...", 5, ORDER),
    ("def f(x: list[int] = 1) -> list[int]: ...", 5, ORDER),
    ("async def f(x: list[int]) -> list[int]: ...", 11, "`f` is async; write def; rules wait for what it gives"),
    ("def lower(x: list[str]) -> list[str]: ...", 5, "`lower` is a name of SQL; give it a name of your own"),
    ("def Count(x: list[str]) -> list[str]: ...", 5, "`Count` is a name of SQL; give it a name of your own"),
    ("def left(x: list[str]) -> list[str]: ...", 5, "`left` is a name of SQL; give it a name of your own"),
]


@pytest.mark.parametrize(("text", "column", "said"), WRONG)
def test_a_declaration_that_is_refused(text, column, said):
    udfs, (finding,) = read_udfs({"udfs/a.py": HEAD + text + "\n"})
    assert udfs.signatures == ()
    assert (finding.severity, finding.file, (finding.line, finding.column)) == ("error", "udfs/a.py", (3, column))
    assert f"{finding.message}; {finding.hint}" == said
    assert finding.source_line == text


def test_a_function_inside_of_a_class_or_an_if():
    source = "import headwater\nclass A:\n    @headwater.udf\n    def f(self, x: list[int]) -> list[int]: ...\n"
    _, (finding,) = read_udfs({"a.py": source})
    assert (finding.line, finding.column, finding.message) == (4, 9, "`f` stands inside of something else")


def test_names_are_unique_over_files_and_letter_case():
    text = HEAD + "def f(x: list[int]) -> list[int]: ...\n"
    udfs, (finding,) = read_udfs({"a.py": text, "b.py": text.replace("def f", "def F")})
    assert [one.name for one in udfs.signatures] == ["f"]
    assert (finding.file, finding.line, finding.column, finding.message) == ("b.py", 3, 5, "a function `F` is already at a.py:3")


@pytest.mark.parametrize("text", ["def f(:\n", "x = '\n", "a\0b", "é = (\n"])
def test_what_is_not_python(text):
    _, (finding,) = read_udfs({"a.py": text})
    assert finding.code == "python"
    assert "not Python: " in str(finding)


UDFS = UdfSet({"udfs/a.py": SOURCE}, read_udfs({"udfs/a.py": SOURCE})[0].signatures)


def compiled(select, sources, where="event = 'a'", udfs=UDFS):
    return compile_sql(f"INSERT INTO d SELECT {select} AS v FROM app_events WHERE {where}", "r.sql", sources, udfs)


def expression(select, sources):
    result = compiled(select, sources)
    assert not result.findings, result.findings[0]
    return result.rules[0].select[0][1]


def test_a_call_is_typed_and_every_conversion_explicit(sources):
    head = [["literal", "VARCHAR", "risk"], ["literal", "VARCHAR", "ns"]]
    field = ["field", ["event_time"], "BIGINT"]
    cast = ["call", "cast", "DOUBLE", [field]]
    user = ["call", "upper", "VARCHAR", [["field", ["user_id"], "VARCHAR"]]]
    assert expression("RISK(event_time, upper(user_id))", sources) == ["call", "udf", "DOUBLE", [*head, cast, user]]
    assert expression("risk(NULL, 'x')", sources)[3] == [*head, ["literal", "NULL", None], ["literal", "VARCHAR", "x"]]
    assert expression("risk(1, 'x')", sources)[3] == [*head, ["literal", "DOUBLE", 1.0], ["literal", "VARCHAR", "x"]]
    assert expression("risk(1, NULL)", sources) == ["literal", "NULL", None]
    kinds = expression("kinds(1, TRUE, NULL, '2026-01-02', properties.tags)[1] + 1", sources)
    assert kinds[:3] == ["call", "add", "BIGINT"]
    given = kinds[3][0][3][0][3]
    assert given[1] == ["literal", "VARCHAR", "snnss"]
    assert [each[1] for each in given[2:6]] == ["BIGINT", "BOOLEAN", "NULL", "TIMESTAMP"]


@pytest.mark.parametrize(
    ("select", "said"),
    [
        ("risk(1)", "risk does not take 1 argument; it is risk(DOUBLE, VARCHAR), at udfs/a.py:11"),
        ("risk(user_id, 'x')", "argument 1 of risk is DOUBLE, but `user_id` is VARCHAR; write CAST(user_id AS DOUBLE)"),
        ("risk(1, 2)", "argument 2 of risk is VARCHAR, but `2` is BIGINT; write CAST(2 AS VARCHAR)"),
        ("risk(1, properties.tags)", "but `properties.tags` is VARCHAR[]; it is risk(DOUBLE, VARCHAR), at udfs/a.py:11"),
        ("kinds(1, TRUE, 'a', event_time, NULL)", "but `event_time` is BIGINT; milliseconds since 1970"),
        ("kinds(1, TRUE, 'a', 'b', properties.tags)", "`'b'` is no TIMESTAMP"),
        ("riks(1, 'x')", "no function `riks`; did you mean `risk`?"),
    ],
)
def test_a_call_that_is_refused(select, said, sources):
    errors = compiled(select, sources).errors
    assert said in str(errors[0])


def test_conditions_on_a_call_that_contradict_each_other_name_it(sources):
    where = "event = 'a' AND risk(1, user_id) > 2 AND risk(1, user_id) < 1"
    (warning,) = compiled("user_id", sources, where).findings
    assert "its conditions on `risk(1.0, user_id)` contradict each other" in str(warning)


def test_without_functions_there_is_none(sources):
    assert "no function `risk`" in str(compiled("risk(1, 'x')", sources, udfs=None).errors[0])


def test_a_change_of_a_function_lowers_what_calls_some(sources):
    cache = Cache()
    files = {"r.sql": "-- rule: a\nINSERT INTO d SELECT risk(1, user_id) AS v FROM app_events WHERE event = 'a'"}
    first = compile_files(files, sources, cache, UDFS)
    moved, _ = read_udfs({"udfs/a.py": "\n\n" + SOURCE})
    assert compile_files(files, sources, cache, moved).rules == first.rules
    strict, _ = read_udfs({"udfs/a.py": SOURCE.replace("float | None", "float")})
    assert compile_files(files, sources, cache, strict).rules[0].select[0][1][3][1] == ["literal", "VARCHAR", "ss"]
    assert compile_files(files, sources, cache).errors
    assert compile_files(files, sources, cache, UDFS).rules == first.rules
