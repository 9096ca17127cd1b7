"""Every case of `tests/cases`, on the reference and on the kernel, as NDJSON and as a list of items."""

import case_files
import pytest
from engines import ENGINES, all_of, exact, exact_rows

LOADED = list(case_files.load())
CASES = dict(LOADED)


@pytest.fixture(params=ENGINES)
def engine(request):
    return ENGINES[request.param]


@pytest.mark.parametrize("name", CASES)
def test_case(engine, name):
    case = CASES[name]
    if "rules" in case:
        check_whole(engine, case)
    elif "type" in case:
        check_reading(engine, case)
    else:
        check_expression(engine, case)


def check_reading(engine, case):
    select = [["v", ["field", ["v"], case["type"]]]]
    for given, result, *flags in case["values"]:
        text, written = case_files.json_text(given), case_files.json_text(result)
        counts = ("c" in flags, "e" in flags)
        program = engine([case_files.physical(select=select)])
        found = all_of(program, program.run(b'{"v":' + text.encode() + b"}"))
        assert found["outputs"] == {"out": [exact("{}" if written is None else '{"v":' + written + "}")]}, text
        assert found["fields"] == ({"v": counts} if any(counts) else {}), text
        assert not found["rejects"], text


def check_expression(engine, case):
    fields = case["fields"]
    expression = case_files.resolved(case["expression"], fields)
    events = [case_files.event_of(dict(zip(fields, arguments, strict=True))) for *arguments, _ in case["values"]]
    program = engine([case_files.physical(select=[["i", ["literal", "BIGINT", 1]], ["r", expression]])])
    for event, (*arguments, given) in zip(events, case["values"], strict=True):
        result = case_files.json_text(given)
        found = all_of(program, program.run([event]))
        if result is not None and result.startswith("fail"):
            operation = result[5:-1] or expression[1]
            assert found["outputs"] == {}, arguments
            assert found["failures"] == [(0, 0, len(event), "r", "r", operation)], arguments
            assert found["rules"] == {"r": (0, 0, 1, 0)}, arguments
        else:
            assert found["outputs"] == {"out": [exact('{"i":1}' if result is None else '{"i":1,"r":' + result + "}")]}, arguments
            assert found["failures"] == [], arguments
    if expression[2] == "BOOLEAN":
        check_where(engine, case, expression, events)


def check_where(engine, case, expression, events):
    program = engine([case_files.physical(where=expression, select=[])])
    results = [str(case_files.json_text(result)) for *_, result in case["values"]]
    expected = case.get(
        "where", ["error" if text.startswith("fail") else "match" if text == "true" else "miss" for text in results]
    )
    for event, matched in zip(events, expected, strict=True):
        counts = {"match": {"r": (1, 0, 0, 0)}, "miss": {}, "error": {"r": (0, 1, 0, 0)}}[matched]
        found = all_of(program, program.run([event]))
        assert found["rules"] == counts, event
        assert found["rows"] == ({"out": 1} if matched == "match" else {}), event


def check_whole(engine, case):
    rules = [case_files.physical(**rule) for rule in case["rules"]]
    events = [case_files.as_bytes(event) for event in case["events"]]
    program = engine(rules)
    places = []
    for event in events:
        start = places[-1][1] + 1 if places else 0
        places.append((start, start + len(event)))
    check_result(case, program, program.run(b"\n".join(events)), places)
    check_result(case, program, program.run(events), [(0, len(event)) for event in events])


def check_result(case, program, result, places):
    found = all_of(program, result)
    for rows in result.outputs.values():
        exact_rows(rows)
    expected = {
        "outputs": {dataset: [exact(row) for row in rows] for dataset, rows in case.get("outputs", {}).items()},
        "rejects": [(index, *places[index], reason, at) for index, reason, at in case.get("rejects", [])],
        "failures": [(index, *places[index], *failure) for index, *failure in case.get("failures", [])],
        "fields": {path: tuple(counts) for path, counts in case.get("counted", {}).items()},
    }
    assert {name: found[name] for name in expected} == expected
    if "counts" in case:
        assert found["rules"] == {rule: tuple(counts) for rule, counts in case["counts"].items()}
    assert found["rows"] == {dataset: len(rows) for dataset, rows in expected["outputs"].items()}
    for dataset, rows in case.get("verbatim", {}).items():
        assert result.outputs[dataset] == "".join(f"{row}\n" for row in rows).encode()


def test_files_are_cases():
    assert len(CASES) == len(LOADED), "two cases of one file have the same name"
    assert sum(len(case.get("values", [case])) for case in CASES.values()) > 500
