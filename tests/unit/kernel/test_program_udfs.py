"""Programs whose rules call Python functions: when functions are called, with what, and what becomes of the answers."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.core.record import Record, decode_all, encode
from headwater.kernel import Counters, Program

A, N = ["field", ["a"], "VARCHAR"], ["field", ["n"], "BIGINT"]


def rule(name: str, select: Any, where: Any = None, into: str = "out") -> bytes:
    head = {"format": 1, "name": name, "owner": None, "tier": None, "description": None, "from": "e", "into": into}
    return json.dumps({**head, "where": where, "select": select}).encode()


def call(op: str, kind: str, *arguments: Any) -> list[Any]:
    return ["call", op, kind, list(arguments)]


def udf(name: str, kind: str, *arguments: Any, marks: str = "") -> list[Any]:
    head = [["literal", "VARCHAR", name], ["literal", "VARCHAR", marks or "s" * len(arguments)]]
    return ["call", "udf", kind, [*head, *arguments]]


def big(value: int) -> list[Any]:
    return ["literal", "BIGINT", value]


class Fake:
    """Functions that note their calls: `twice` of BIGINT, `fails` always, `is_even`."""

    def __init__(self) -> None:
        self.batches = 0
        self.calls: list[tuple[str, list[Any]]] = []

    def batch(self) -> Any:
        self.batches += 1
        return self.call

    def call(self, name: str, rows: int, columns: bytes) -> bytes:
        given = msgspec.msgpack.decode(columns)
        assert all(len(column) == rows for column in given)
        self.calls.append((name, given))
        made = {
            "twice": lambda: [None if n is None else 2 * n for n in given[0]],
            "is_even": lambda: [n % 2 == 0 for n in given[0]],
            "fails": lambda: {"": "ValueError: no"},
            "fails_on_3": lambda: [{"": "ValueError: three"} if n == 3 else n for n in given[0]],
        }
        return msgspec.msgpack.encode(made[name]())


def run(rules: list[bytes], events: list[dict[str, Any]]) -> tuple[Any, Fake]:
    fake = Fake()
    program = Program(rules, fake)
    return program.run("".join(json.dumps(event) + "\n" for event in events).encode()), fake


def test_a_function_is_called_once_a_batch_and_only_for_rows_that_pass_the_rest():
    twice = udf("twice", "BIGINT", N)
    where = call("and", "BOOLEAN", call("gt", "BOOLEAN", twice, big(4)), call("eq", "BOOLEAN", A, ["literal", "VARCHAR", "x"]))
    rules = [rule("one", [["t", twice]], where), rule("two", [["u", call("add", "BIGINT", twice, big(1))]], where)]
    events = [{"a": "x" if n % 2 else "y", "n": n} for n in range(6)]
    result, fake = run(rules, events)
    assert fake.calls == [("twice", [[1, 3, 5]])]
    assert fake.batches == 1
    assert result.outputs["out"] == b'{"t":6}\n{"u":7}\n{"t":10}\n{"u":11}\n'


def test_a_batch_that_asks_for_nothing_calls_nothing():
    never = call("eq", "BOOLEAN", A, ["literal", "VARCHAR", "none"])
    _, fake = run([rule("one", [["t", udf("twice", "BIGINT", N)]], never)], [{"a": "x", "n": 1}, {"n": None}])
    assert (fake.batches, fake.calls) == (0, [])


def test_a_function_in_a_function_takes_a_round_each():
    nested = udf("twice", "BIGINT", call("add", "BIGINT", udf("twice", "BIGINT", N), big(1)))
    result, fake = run([rule("r", [["t", nested]])], [{"n": 1}, {"n": 5}])
    assert fake.calls == [("twice", [[1, 5]]), ("twice", [[3, 11]])]
    assert result.outputs["out"] == b'{"t":6}\n{"t":22}\n'


def test_what_is_not_needed_is_not_asked_for():
    even, twice = udf("is_even", "BOOLEAN", N), udf("twice", "BIGINT", N)
    case = call("case", "BIGINT", even, twice, big(-1))
    either = call("or", "BOOLEAN", call("gt", "BOOLEAN", N, big(2)), even)
    result, fake = run([rule("r", [["c", case]], either)], [{"n": n} for n in range(5)])
    assert fake.calls == [("is_even", [[0, 1, 2, 3, 4]]), ("twice", [[0, 2, 4]])]
    assert result.outputs["out"] == b'{"c":0}\n{"c":4}\n{"c":-1}\n{"c":8}\n'


def test_null_goes_only_where_it_is_taken():
    rules = [
        rule("no", [["t", udf("twice", "BIGINT", N)]], into="a"),
        rule("yes", [["t", udf("twice", "BIGINT", N, marks="n")]], into="b"),
    ]
    with pytest.raises(ValueError, match="rule `yes`: it calls the function `twice` with other types than another call does"):
        Program(rules, Fake())
    for one, calls in zip(rules, ([[1]], [[1, None]]), strict=True):
        result, fake = run([one], [{"n": 1}, {"n": None}])
        assert fake.calls == [("twice", calls)]
        assert next(iter(result.outputs.values())) == b'{"t":2}\n{}\n'


def test_failures_are_said_in_the_order_of_events_and_rules():
    three = udf("fails_on_3", "BIGINT", N)
    rules = [
        rule("select", [["m", N], ["t", call("add", "BIGINT", three, big(0))]]),
        rule("where", [["t", N]], call("is_null", "BOOLEAN", three)),
        rule("plain", [["t", call("int_div", "BIGINT", N, big(0))]]),
    ]
    result, _ = run(rules, [{"n": 2}, {"n": 3}])
    assert [(index, number, column, operation) for index, _, _, number, column, operation in result.failures] == [
        (0, 2, "t", "int_div"),
        (1, 0, "t", "udf fails_on_3: ValueError: three"),
        (1, 1, "", "udf fails_on_3: ValueError: three"),
        (1, 2, "t", "int_div"),
    ]
    assert result.rules == [(0, 1, 0, 1, 0), (1, 0, 0, 1, 0), (2, 0, 0, 2, 0)]
    assert result.outputs == {"out": b'{"m":2,"t":2}\n'}


def test_errors_of_what_stands_around_a_call_are_counted_as_ever():
    where = call("gt", "BOOLEAN", call("int_div", "BIGINT", udf("twice", "BIGINT", N), big(0)), big(1))
    result, _ = run([rule("r", [["n", N]], where)], [{"n": 2}])
    assert (result.rules, result.failures) == ([(0, 0, 1, 0, 0)], [])


def test_rows_stay_in_the_order_of_events_whatever_is_called():
    rules = [
        rule("calls", [["t", udf("twice", "BIGINT", N)]]),
        rule("plain", [["n", N]]),
        rule("whole", {"star": True, "exclude": [], "replace": [["n", udf("twice", "BIGINT", N)]]}, into="all"),
    ]
    result, _ = run(rules, [{"n": n} for n in range(3)])
    assert result.outputs["out"] == b'{"t":0}\n{"n":0}\n{"t":2}\n{"n":1}\n{"t":4}\n{"n":2}\n'
    assert result.outputs["all"] == b'{"n":0}\n{"n": 2}\n{"n": 4}\n'.replace(b'{"n":0}', b'{"n": 0}')


def test_records_and_lists_of_events():
    program = Program([rule("r", [["t", udf("twice", "BIGINT", N)]])], Fake())
    records = [encode(Record(payload=b'{"n":%d}' % n, event_id=f"e{n}")) for n in range(3)]
    out = program.run_records(b"".join(records), "topic", 0, 7, 1).outputs["out"]
    assert [(one.payload, one.event_id, one.origin) for one in decode_all(out)] == [
        (b'{"t":%d}' % (2 * n), f"e{n}", ("topic", 0, 7 + n)) for n in range(3)
    ]
    counters = Counters(program)
    result = program.run([b'{"n":4}', b" ", b"no", b'{"n":5}'])
    counters.add(result)
    assert result.outputs["out"] == b'{"t":8}\n{"t":10}\n'
    assert (counters.events(), counters.rejects(), counters.rules()["r"]["matched"]) == (3, 1, 2)


def test_an_answer_that_is_none_makes_its_calls_fail():
    class Broken(Fake):
        def call(self, name: str, rows: int, columns: bytes) -> bytes:
            return msgspec.msgpack.encode([1] * (rows + 1))

    program = Program([rule("r", [["t", udf("twice", "BIGINT", N)]])], Broken())
    result = program.run(b'{"n":1}\n')
    assert [operation for *_, operation in result.failures] == ["udf twice: unreadable: what came back is no answer"]


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.binary(max_size=40)
    | st.integers(0, 200).map(lambda cut: msgspec.msgpack.encode([["a", None], {"": "b"}, ["c" * 20]])[:cut])
)
def test_whatever_comes_back_gives_a_row_or_a_failure(answer: bytes):
    class Answers(Fake):
        def call(self, name: str, rows: int, columns: bytes) -> bytes:
            return answer

    called = ["call", "udf", {"list": "VARCHAR"}, [["literal", "VARCHAR", "f"], ["literal", "VARCHAR", "s"], N]]
    result = Program([rule("r", [["t", called]])], Answers()).run(b'{"n":1}\n{"n":2}\n{"n":3}\n')
    assert sum(result.rows.values()) + len(result.failures) == 3


def test_what_the_caller_raises_is_raised():
    class Raises(Fake):
        def batch(self) -> Any:
            raise OSError("no process")

    program = Program([rule("r", [["t", udf("twice", "BIGINT", N)]])], Raises())
    with pytest.raises(OSError, match="no process"):
        program.run(b'{"n":1}\n')
    assert program.run(b"\n").events == 0


def test_rules_that_call_functions_need_some():
    with pytest.raises(ValueError, match="rules call the functions twice, and no functions are given"):
        Program([rule("r", [["t", udf("twice", "BIGINT", N)]])])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (call("udf", "BIGINT", ["literal", "VARCHAR", "f"], ["literal", "VARCHAR", ""]), "`udf` takes name, marks and what"),
        (udf("f", "BIGINT", N, marks="x"), "a mark for each argument, n or s; got `f` and `x`"),
        (udf("f", "BIGINT", N, marks="ss"), "a mark for each argument, n or s; got `f` and `ss`"),
        (udf("", "BIGINT", N), "got `` and `s`"),
        (call("udf", "BIGINT", A, ["literal", "VARCHAR", "s"], N), "`udf` takes a literal name and literal marks"),
        (udf("f", "JSON", N), "`udf` takes name, marks"),
        (udf("f", "BIGINT", ["field", ["a"], "JSON"]), "`udf` takes name, marks"),
    ],
)
def test_calls_that_are_refused(wrong: Any, said: str):
    with pytest.raises(ValueError) as raised:
        Program([rule("r", [["t", wrong]])], Fake())
    assert said in str(raised.value)
