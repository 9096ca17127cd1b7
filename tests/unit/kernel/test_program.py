"""The native program as Python sees it. What rules mean is tested in tests/parity."""

import json
import threading
from typing import Any

import pytest

from headwater.core.record import Record, decode_all, encode
from headwater.kernel import Counters, Program

KEYS = ("matched", "failed", "where_errors", "not_finite")
EVENT = ["field", ["event"], "VARCHAR"]
AMOUNT = ["field", ["amount"], "BIGINT"]


def rule(name: str, where: Any = None, select: Any = None, into: str = "out", **changes: Any) -> bytes:
    stored = {
        "format": 1,
        "name": name,
        "owner": None,
        "tier": None,
        "description": None,
        "from": "app_events",
        "into": into,
        "where": where,
        "select": [["event", EVENT]] if select is None else select,
        **changes,
    }
    return json.dumps(stored).encode()


def equals(name: str) -> list[Any]:
    return ["call", "eq", "BOOLEAN", [EVENT, ["literal", "VARCHAR", name]]]


def cast(value: list[Any]) -> list[Any]:
    return ["call", "cast", "BIGINT", [value]]


def test_what_a_program_says_of_itself() -> None:
    program = Program([rule("a", equals("x"), into="z"), rule("b", select=[["n", AMOUNT]], into="y")])
    assert program.rule_names == ["a", "b"]
    assert program.datasets == ["y", "z"]
    assert program.field_paths == ["amount", "event"]


def test_lines_and_items_give_the_same() -> None:
    program = Program([rule("likes", equals("like")), rule("all", select={"star": True}, into="events")])
    events = [b'{"event":"like"}', b"{", b'{"event":"view"}']
    lines, items = program.run(b"\n".join(events)), program.run(events)
    assert lines.outputs == items.outputs == {"out": b'{"event":"like"}\n', "events": b'{"event":"like"}\n{"event":"view"}\n'}
    assert lines.rows == items.rows == {"out": 1, "events": 2}
    assert lines.rules == items.rules == [(0, 1, 0, 0, 0), (1, 2, 0, 0, 0)]
    assert lines.rejects == [(1, 17, 18, "unexpected_end", 1)]
    assert items.rejects == [(1, 0, 1, "unexpected_end", 1)]


def test_blank_lines_are_numbered_and_passed_over() -> None:
    result = Program([rule("all")]).run(b'\n \t\r\n{"event":1}\n[]\n')
    assert result.events == 2
    assert result.rejects == [(3, 17, 19, "not_an_object", 0)]
    assert result.fields == [(0, 1, 0)]


def test_an_event_that_is_not_utf8_costs_no_other() -> None:
    result = Program([rule("all")]).run(b'{"event":"a"}\n{"event":"\xff"}\n{"event":"b"}')
    assert result.outputs == {"out": b'{"event":"a"}\n{"event":"b"}\n'}
    assert result.rejects == [(1, 14, 27, "invalid_utf8", 10)]


def test_a_failure_names_rule_column_and_operation() -> None:
    program = Program([rule("first"), rule("second", select=[["ok", EVENT], ["n", cast(EVENT)]])])
    result = program.run([b'{"event":"7"}', b'{"event":"x"}'])
    assert result.failures == [(1, 0, 13, 1, "n", "cast")]
    assert result.rules == [(0, 2, 0, 0, 0), (1, 1, 0, 1, 0)]
    assert result.outputs["out"] == b'{"event":"7"}\n{"ok":"7","n":7}\n{"event":"x"}\n'


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        (b"{", "a rule is not JSON: unexpected_end at byte 1"),
        (b"{}", "a rule has no name"),
        (rule("r", format=2), "rule `r`: format 2 is not known; this kernel reads format 1"),
        (rule("r", ["call", "frob", "BOOLEAN", []]), "rule `r`: where: operation `frob` is not known; known are and, or,"),
        (rule("r", EVENT), "rule `r`: where: its type is VARCHAR; valid is BOOLEAN"),
        (rule("r", select=[["n", ["field", ["a"], "TEXT"]]]), 'rule `r`: column `n`: "TEXT" is not a type; valid are BIGINT,'),
        (rule("r", select=[["n", ["field", [], "BIGINT"]]]), "rule `r`: column `n`: [] is not a path"),
        (rule("r", select=[["n", ["literal", "BIGINT", 1.5]]]), "rule `r`: column `n`: 1.5 is not a literal of type"),
        (
            rule("r", select=[["n", ["call", "add", "BIGINT", [EVENT, AMOUNT]]]]),
            "rule `r`: column `n`: `add` takes two BIGINT or two DOUBLE → the same, not VARCHAR, BIGINT → BIGINT",
        ),
        (rule("r", select=[["n", EVENT], ["n", EVENT]]), "rule `r`: select: the column `n` stands twice"),
        (rule("r", select={"all": True}), "rule `r`: select:"),
    ],
)
def test_a_rule_that_cannot_be_linked_is_named(stored: bytes, said: str) -> None:
    with pytest.raises(ValueError) as refused:
        Program([rule("good"), stored])
    assert said in str(refused.value)


def test_two_rules_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="rule `r`: another rule has the same name"):
        Program([rule("r"), rule("r")])


def test_expressions_that_are_too_deep_are_refused_and_deep_ones_run() -> None:
    def stored(depth: int) -> bytes:
        before = f'["call", "add", "BIGINT", [{json.dumps(AMOUNT)}, ' * (depth - 1)
        value = before + '["literal", "BIGINT", 1]' + "]]" * (depth - 1)
        return rule("deep", select=[["n", "HERE"]]).replace(b'"HERE"', value.encode())

    assert Program([stored(1000)]).run(b'{"amount":2}').outputs == {"out": b'{"n":1999}\n'}
    for depth in (1001, 5000, 200_000):
        with pytest.raises(ValueError, match="deeper than 1000 expressions"):
            Program([stored(depth)])


def test_records_keep_their_header_and_get_their_origin() -> None:
    program = Program([rule("likes", equals("like")), rule("all", select={"star": True}, into="events")])
    first = Record(b'{"event":"like"}', key="k", tier=1, event_time=5, received_time=6, event_id="e1")
    second = Record(b'{"event":"view"}', event_id="e2", origin=("other", 3, 77), rule="before", snapshot=2)
    broken = Record(b"nonsense", event_id="e3")
    batch = b"".join(encode(record) for record in (first, second, broken))
    result = program.run_records(batch, "app_events", 4, 100, 9)
    kept = {"key": "k", "tier": 1, "event_time": 5, "received_time": 6, "event_id": "e1", "snapshot": 9}
    assert list(decode_all(result.outputs["out"])) == [
        Record(b'{"event":"like"}', origin=("app_events", 4, 100), rule="likes", **kept)  # type: ignore[arg-type]
    ]
    one, two = decode_all(result.outputs["events"])
    assert one == Record(b'{"event":"like"}', origin=("app_events", 4, 100), rule="all", **kept)  # type: ignore[arg-type]
    assert two == Record(b'{"event":"view"}', event_id="e2", origin=("other", 3, 77), rule="all", snapshot=9)
    assert result.events == 3
    index, start, end, reason, offset = result.rejects[0]
    assert (index, batch[start:end], reason, offset) == (
        2,
        b"nonsense",
        "unexpected_end" if offset == 8 else "unexpected_byte",
        1,
    )


def test_an_empty_payload_is_a_reject() -> None:
    result = Program([rule("all")]).run_records(encode(Record(b"")), "t", 0, 0, 1)
    assert (result.events, result.rejects) == (1, [(0, 48, 48, "unexpected_end", 0)])


def test_bytes_that_are_no_records_are_refused_as_a_whole() -> None:
    program = Program([rule("all")])
    good = encode(Record(b'{"event":"a"}'))
    with pytest.raises(ValueError, match=f"a record is cut off at byte {len(good)} of {len(good) + 10}"):
        program.run_records(good + good[:10], "t", 0, 0, 1)
    with pytest.raises(ValueError, match="record version 7 at byte 0 is not known"):
        program.run_records(good[:4] + b"\x07" + good[5:], "t", 0, 0, 1)
    assert program.run_records(good, "t", 0, 0, 1).rules == [(0, 1, 0, 0, 0)]


def test_what_is_no_batch_is_refused() -> None:
    program = Program([rule("all")])
    with pytest.raises(TypeError, match="not str"):
        program.run("text")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        program.run([b"{}", "text"])  # type: ignore[list-item]


def test_counters_add_up() -> None:
    rules = [rule("likes", equals("like")), rule("numbers", select=[["n", cast(EVENT)], ["a", AMOUNT]], into="numbers")]
    program = Program(rules)
    counters = Counters(program)
    for _ in range(3):
        counters.add(program.run([b'{"event":"like","amount":"1"}', b'{"event":"5","amount":[]}', b"["]))
    assert (counters.events(), counters.rejects()) == (9, 3)
    nothing = {"where_errors": 0, "not_finite": 0}
    counted = counters.rules()
    assert {name: {key: each[key] for key in KEYS} for name, each in counted.items()} == {
        "likes": {"matched": 3, "failed": 0, **nothing},
        "numbers": {"matched": 3, "failed": 3, **nothing},
    }
    # Of each batch the first event is sampled.
    amount = {"coerced": 3, "type_errors": 3, "present": 3, "nulls": 0}
    assert counters.fields() == {"amount": amount, "event": {"coerced": 0, "type_errors": 0, "present": 3, "nulls": 0}}
    assert counters.outputs() == {"out": {"rows": 3, "bytes": 51}, "numbers": {"rows": 3, "bytes": 24}}
    assert counters.sampled() == 3
    with pytest.raises(ValueError, match="another program"):
        counters.add(Program(rules).run(b"{}"))


def test_the_interpreter_goes_on_while_a_batch_runs() -> None:
    program = Program([rule("all", select={"star": True})])
    batch = b'{"event":"like","text":"' + b"x" * 1000 + b'"}\n'
    batch *= 100_000
    done = threading.Event()
    steps = 0

    def work() -> None:
        program.run(batch)
        done.set()

    thread = threading.Thread(target=work)
    thread.start()
    while not done.is_set():
        steps += 1
    thread.join()
    # With the lock held, this thread would make next to no steps.
    assert steps > 1000


def test_one_program_runs_on_several_threads_at_once() -> None:
    program = Program([rule("likes", equals("like")), rule("all", select={"star": True}, into="events")])
    batch = b'{"event":"like","a":1}\n{"event":"view"}\n' * 500
    expected = program.run(batch).outputs
    given: list[dict[str, bytes]] = []
    threads = [threading.Thread(target=lambda: given.extend(program.run(batch).outputs for _ in range(20))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert given == [expected] * 80


def test_a_line_of_ten_megabytes_and_deep_nesting() -> None:
    program = Program([rule("all", select={"star": True})])
    long = b'{"event":"' + b"x" * 10_000_000 + b'"}'
    deep = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
    result = program.run([long, deep])
    assert result.outputs == {"out": long + b"\n" + deep + b"\n"}
