"""Functions of Python as they are loaded and called: what they get, what they may give, and what becomes of errors."""

from datetime import UTC, datetime

import msgspec
import pytest

from headwater.core.errors import UdfError
from headwater.core.limits import UDF_REASON_CHARS_MAX, UDF_VALUE_BYTES_MAX
from headwater.kernel.udf.functions import Functions
from headwater.rules import read_udfs

HEAD = "from datetime import datetime, timedelta, timezone\nimport headwater\n"


def loaded(source: str) -> Functions:
    udfs, findings = read_udfs({"udfs/f.py": HEAD + source})
    assert not findings, findings
    return Functions(udfs)


def call(source: str, *columns: list[object]) -> list[object]:
    """What `f` of a source gives; a failure as its reason in a tuple."""
    answer = loaded(source).call("f", len(columns[0]), msgspec.msgpack.encode(columns))
    found = msgspec.msgpack.decode(answer)
    return [(each[""],) if isinstance(each, dict) else each for each in found] if isinstance(found, list) else found


def test_a_function_gets_columns_and_gives_one():
    source = "@headwater.udf\ndef f(x: list[int], y: list[str | None]) -> list[str]:\n"
    source += "    return [str(a) + (b or '-') for a, b in zip(x, y)]"
    assert call(source, [1, 2], ["a", None]) == ["1a", "2-"]


@pytest.mark.parametrize(
    ("kind", "body", "given", "expected"),
    [
        ("float", "[x[0], 2]", [1.5, 0.0], [1.5, 2.0]),
        ("bool", "[True, False]", [1.5, 0.0], [True, False]),
        ("list[str]", "[['a', None], ()]", [1.5, 0.0], [["a", None], []]),
        (
            "datetime",
            "[datetime(1970, 1, 1, 0, 0, 1), datetime(1970, 1, 1, tzinfo=timezone(timedelta(hours=1)))]",
            [0.0, 0.0],
            [10**6, -3600 * 10**6],
        ),
        ("float | None", "[None, float('inf')]", [1.5, 0.0], [None, float("inf")]),
        ("int", "(1, 2)", [1.5, 0.0], [1, 2]),
    ],
)
def test_what_may_be_given(kind, body, given, expected):
    assert call(f"@headwater.udf\ndef f(x: list[float]) -> list[{kind}]:\n    return {body}", given) == expected


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        ("int", "True", "it gave bool, not int"),
        ("int", "1.0", "it gave float, not int"),
        ("int", "2**63", "it gave an int that is outside BIGINT"),
        ("float", "'1'", "it gave str, not float"),
        ("float", "10**400", "it gave an int that is outside DOUBLE"),
        ("float", "None", "it gave None; a function that may do so is annotated -> list[float | None]"),
        ("bool", "1", "it gave int, not bool"),
        ("str", "b'a'", "it gave bytes, not str"),
        ("str", "chr(0xd800)", "it gave a str with a lone surrogate, which is no VARCHAR"),
        (
            "str",
            f"'a' * {UDF_VALUE_BYTES_MAX + 1}",
            f"it gave a str of {UDF_VALUE_BYTES_MAX + 1} bytes; at most {UDF_VALUE_BYTES_MAX} are taken",
        ),
        ("datetime", "1", "it gave int, not datetime"),
        (
            "datetime",
            "datetime.max.replace(tzinfo=timezone(-timedelta(hours=1)))",
            "it gave a datetime that is outside TIMESTAMP",
        ),
        ("list[int]", "'ab'", "it gave str, not list[int]"),
        ("list[int]", "[1, 'a']", "it gave str, not int"),
    ],
)
def test_a_value_of_another_type_fails_alone(kind, value, said):
    source = f"@headwater.udf\ndef f(x: list[int]) -> list[{kind}]:\n"
    source += f"    return [{value} if each == 2 else GOOD[{kind!r}] for each in x]\n"
    source += "GOOD = dict(int=1, float=1.0, bool=True, str='a', datetime=datetime(1970, 1, 1)) | {'list[int]': [1]}\n"
    found = call(source, [1, 2, 3])
    assert found[1] == (f"wrong_result: {said}",)
    assert not isinstance(found[0], tuple)
    assert not isinstance(found[2], tuple)


def test_a_row_that_raises_fails_alone():
    source = "@headwater.udf\ndef f(x: list[int]) -> list[float]:\n    x.append(9)\n    return [1 / each for each in x[:-1]]"
    zero = ("ZeroDivisionError: division by zero",)
    assert call(source, [4, 0, 2, 0, 1, 8, 5]) == [0.25, zero, 0.5, zero, 1.0, 0.125, 0.2]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("x[1:]", "wrong_result: it gave 0 values for 1 row"),
        ("x + x", "wrong_result: it gave 2 values for 1 row"),
        ("'a'", "wrong_result: it gave a str, not a list"),
        ("None", "wrong_result: it gave a NoneType, not a list"),
        ("exit(3)", "SystemExit: 3"),
        ("[][0]", "IndexError: list index out of range"),
        ("nothing", "NameError: name 'nothing' is not defined"),
        ("f(x)", "RecursionError: maximum recursion depth exceeded"),
    ],
)
def test_a_function_that_always_fails(body, said):
    assert call(f"@headwater.udf\ndef f(x: list[int]) -> list[int]:\n    return {body}", [1, 2, 3]) == [(said,)] * 3


def test_a_reason_is_one_line_and_bounded():
    source = "@headwater.udf\ndef f(x: list[str]) -> list[str]:\n    raise ValueError(x[0])"
    assert call(source, ["first\nsecond"]) == [("ValueError: first",)]
    (found,) = call(source, ["a" * 1000])
    assert len(found[0]) == UDF_REASON_CHARS_MAX
    assert found[0].endswith("…")
    assert call(source, [""]) == [("ValueError",)]


def test_times_come_as_datetimes_in_utc():
    source = "@headwater.udf\ndef f(x: list[datetime | None], y: list[list[datetime]]) -> list[str]:\n"
    source += "    return [repr((a, b)) for a, b in zip(x, y)]"
    at = repr(datetime(2026, 1, 2, 3, 4, 5, 123456, tzinfo=UTC))
    assert call(source, [1767323045123456, None], [[0], [None]]) == [
        f"({at}, [datetime.datetime(1970, 1, 1, 0, 0, tzinfo=datetime.timezone.utc)])",
        "(None, [None])",
    ]


def test_a_function_that_is_not_there():
    assert msgspec.msgpack.decode(loaded("").call("g", 1, b"\x90")) == {"": "unknown: there is no function g"}


@pytest.mark.parametrize(
    ("source", "line", "said"),
    [
        ("import nothing_of_this_name", 3, "ModuleNotFoundError: No module named 'nothing_of_this_name'"),
        ("x = 1\ny = x / 0", 4, "ZeroDivisionError: division by zero"),
        ("raise SystemExit('no')", 3, "SystemExit: no"),
        (
            "@headwater.udf\ndef f(x: list[int]) -> list[int]:\n    return x\nf = 3",
            4,
            "`f` is int once the file has run, not a function",
        ),
    ],
)
def test_a_file_that_cannot_be_run(source, line, said):
    with pytest.raises(UdfError) as raised:
        loaded(source)
    assert (raised.value.file, raised.value.line, raised.value.text) == ("udfs/f.py", line, said)
    assert str(raised.value) == f"udfs/f.py:{line}: {said}"


def test_a_dataclass_in_a_file():
    source = "from dataclasses import dataclass\n\n@dataclass\nclass A:\n    n: int\n"
    source += "@headwater.udf\ndef f(x: list[int]) -> list[int]:\n    return [A(each).n for each in x]"
    assert call(source, [1]) == [1]
