"""`headwater explain`: how rules are found and how far the events of a sample get."""

import json
from pathlib import Path

import pytest

from headwater.cli import main
from headwater.measure import workload

RULES = """
-- rule: likes
INSERT INTO likes SELECT user_id FROM clicks WHERE event = 'like' AND price > 10 AND user_id IS NOT NULL;
-- rule: both
INSERT INTO both SELECT user_id FROM clicks WHERE (event = 'like' OR event = 'view') AND price > 10;
-- rule: slow
INSERT INTO slow SELECT user_id FROM clicks WHERE user_id LIKE 'u%';
-- rule: every
INSERT INTO every SELECT user_id FROM clicks;
-- rule: never
INSERT INTO every SELECT user_id FROM clicks WHERE event = 'like' AND event = 'view';
"""
# The index splits no group of fewer rules.
RULES += "".join(f"-- rule: e{n}\nINSERT INTO every SELECT user_id FROM clicks WHERE event = 'e{n}';\n" for n in range(5))
EVENTS = [
    {"event": "like", "price": 20, "user_id": "u1"},
    {"event": "like", "price": 20},
    {"event": "like", "price": 5, "user_id": "u1"},
    {"event": "view", "price": 11, "user_id": "x"},
]


@pytest.fixture
def given(tmp_path: Path) -> list[str]:
    kinds = {"event": "string", "user_id": "string", "price": "integer"}
    schema = {"type": "object", "properties": {name: {"type": kind} for name, kind in kinds.items()}}
    (tmp_path / "schema.json").write_text(json.dumps(schema))
    (tmp_path / "rules.sql").write_text(RULES)
    (tmp_path / "events.ndjson").write_text("\n".join(map(json.dumps, EVENTS)))
    return ["explain", str(tmp_path / "rules.sql"), "--schema", f"clicks={tmp_path / 'schema.json'}"]


def test_how_rules_are_found_and_what_is_shared(capsys: pytest.CaptureFixture[str], given: list[str]) -> None:
    assert main.run([*given, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    rules = {one["rule"]: one for one in found["rules"]}
    assert found["events"] is None
    assert [len(rules[name]["finds"]) for name in ("likes", "both", "slow", "every")] == [1, 1, 0, 0]
    # An OR of equalities of one field is an atom as well; `both` is found by two of its values.
    assert [(rules[name]["finds"][0]["level"], rules[name]["finds"][0]["tested"]) for name in ("likes", "both")] == [
        (1, "no")
    ] * 2
    assert [rules[name]["groups"] for name in ("likes", "both", "slow", "never", "e3")] == [1, 2, 1, 0, 1]
    assert [rules[name]["beside"] for name in ("likes", "both", "slow", "every", "e3")] == [1, 1, 1, 1, 0]
    price = [one["then"][0] for one in (rules["likes"], rules["both"])]
    assert price[0] == price[1]
    assert (price[0]["shared_with"], price[0]["passed"]) == (1, None)
    assert rules["likes"]["evaluated"] is None


def test_how_far_the_events_of_a_sample_get(capsys: pytest.CaptureFixture[str], given: list[str], tmp_path: Path) -> None:
    assert main.run([*given, "--json", "--sample", str(tmp_path / "events.ndjson")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["events"] == 4
    counts = {
        one["rule"]: (one["evaluated"], [each["passed"] for each in one["then"]], one["matched"]) for one in found["rules"][:5]
    }
    assert counts == {
        "likes": (3, [2, 1], 1), "both": (4, [3], 3), "slow": (4, [2], 2), "every": (4, [], 4), "never": (0, [3, 0], 0),
    }  # fmt: skip
    assert [(one["evaluated"], one["finds"][0]["passed"]) for one in found["rules"][5:]] == [(0, 0)] * 5
    assert all(one["ns_per_event"] >= 0 for one in found["rules"])


def test_for_people(capsys: pytest.CaptureFixture[str], given: list[str], tmp_path: Path) -> None:
    assert main.run([*given, "--sample", str(tmp_path / "events.ndjson")]) == 0
    out = capsys.readouterr().out
    assert "(in 1 other rule too)  [2 passed]" in out
    assert "looked at for every event, together with 1 other rule" in out
    assert "never: its conditions contradict each other" in out
    assert "of 4 events: 3 evaluated, 1 matched, " in out


def test_the_workload(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "rules").write_text(workload.rules(50))
    (tmp_path / "schema").write_text(json.dumps(workload.schema()))
    (tmp_path / "events").write_bytes(b"\n".join(workload.events(500)))
    given = ["explain", str(tmp_path / "rules"), "--schema", f"app_events={tmp_path / 'schema'}"]
    assert main.run([*given, "--json", "--sample", str(tmp_path / "events")]) == 0
    rules = json.loads(capsys.readouterr().out)["rules"]
    assert len(rules) == 50
    assert all(one["finds"] for one in rules)
    assert all(one["matched"] <= one["evaluated"] <= 500 for one in rules)
    assert any(one["ns_per_event"] > 0 for one in rules)
    assert sum(one["matched"] for one in rules) > 20


@pytest.mark.parametrize(
    ("file", "content", "text"),
    [("rules.sql", "INSERT INTO d SELECT nothing FROM clicks", "no field `nothing`"), ("events.ndjson", "\n", "holds no event")],
)
def test_wrong_files(
    capsys: pytest.CaptureFixture[str], given: list[str], tmp_path: Path, file: str, content: str, text: str
) -> None:
    (tmp_path / file).write_text(content)
    assert main.run([*given, "--sample", str(tmp_path / "events.ndjson")]) == 1
    assert text in capsys.readouterr().err
