import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from headwater.core.errors import DemoError
from headwater.demo import report as reports
from headwater.demo.report import Dataset, Report, judge
from headwater.demo.run import has_arrived, prepare
from headwater.demo.server import Server, count_lines, rows_of, sample_lines
from headwater.demo.simulator import Reported

VIOLATIONS = [{"app": "video", "event": f"event_{n}", "violation": "missing:properties.id", "count": n} for n in range(12)]


def status(**changed):
    return {
        "collect": {
            "received": 12,
            "accepted": 9,
            "dropped": {"wrong_key": 1},
            "dead": {"unregistered_event": 1, "malformed": 1},
            "violations": VIOLATIONS,
        },
        "etl": {"read": 9, "duplicates": 1, "dead": 0, "rules": {"likes": {"failed": 2}}, "datasets": {"likes": {"emitted": 4}}},
        "deliver": {"likes": {"read": 4, "written": 4, "lag": 0}},
        "balances": [{"hop": "collect", "in": 12, "out": 9, "dropped": 1, "dead": 2, "balanced": True}],
        "dead_letters": [
            {"reason": "malformed", "detail": "a comma too many"},
            {"reason": "rule_failed", "rule": "likes", "column": "uid", "detail": "cast"},
        ],
        "errors": [],
        "delay_ms": {"p50": 20, "p99": 90},
        **changed,
    }


def reported(**changed):
    found = Reported(**changed)
    found.sent["video"] = 10
    found.mistakes["reported twice"] = 1
    return found


LIKES = {"likes": Dataset(4, ['{"uid":"u1"}'])}


def test_all_is_well():
    assert judge(reported(), status(), LIKES) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"balances": [{"hop": "etl", "in": 3, "out": 1, "dropped": 1, "dead": 0, "balanced": True}]}, "hop etl does not hold"),
        ({"balances": [{"hop": "etl", "in": 3, "out": 3, "dropped": 0, "dead": 0, "balanced": False}]}, "hop etl does not hold"),
        ({"deliver": {"likes": {"read": 4, "written": 5}}}, "hold 4 rows, but the sink says that it wrote 5"),
        ({"etl": {"read": 9, "duplicates": 1, "datasets": {"likes": {}, "orders": {}}}}, "The dataset orders got no rows"),
        ({"etl": {"read": 9, "duplicates": 2, "datasets": {}}}, "1 events were reported twice, but 2 repeats"),
        ({"etl": {"read": 8, "duplicates": 1, "datasets": {}}}, "accepted 9 events, but the first hop read 8"),
        ({"collect": {"accepted": 9, "dead": {}}}, "reported 10 events, but 9"),
        ({"errors": ["disk full"]}, "disk full"),
    ],
)
def test_what_is_wrong_is_said(changed, said):
    assert [said in problem for problem in judge(reported(), status(**changed), LIKES)] == [True]


def test_a_client_that_could_not_report_is_said():
    problems = judge(reported(not_queued=3), status(), LIKES)
    assert problems == ["The client had no room for 3 events"]
    found = reported()
    found.refused["401"] += 1
    assert judge(found, status(), LIKES) == []
    found.refused["503"] += 1
    assert len(judge(found, status(), LIKES)) == 1


@pytest.mark.parametrize("problems", [[], ["A sentence."]])
def test_a_report_reads_well(problems):
    report = Report("http://127.0.0.1:1", Path("here"), 3.0, reported(), status(), LIKES, problems)
    out = io.StringIO()
    reports.show(report, Console(file=out, width=130))
    text = out.getvalue()
    for part in (
        "likes: 4 rows",
        '{"uid":"u1"}',
        "wrong_key",
        "a comma too many",
        "rule likes failed",
        "p99 90 ms",
        "4 more kinds",
        "cast of uid",
    ):
        assert part in text
    assert ("A sentence." in text) == bool(problems)
    assert json.loads(reports.as_json(report))["ok"] == (not problems)


def test_the_project_is_written_anew(tmp_path):
    directory = tmp_path / "demo"
    assert sorted(prepare(directory)) == ["shop", "video"]
    (directory / "out").mkdir()
    keys = prepare(directory)
    assert not (directory / "out").exists()
    assert all(key.startswith("wk_") for key in keys.values())
    assert (directory / "headwater.toml").exists()


def test_a_directory_of_somebody_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(DemoError, match="was not made by"):
        prepare(tmp_path)
    assert (tmp_path / "thesis.txt").exists()


def test_rows_are_counted_by_reading(tmp_path):
    likes = tmp_path / "out" / "likes"
    likes.mkdir(parents=True)
    (likes / "2.ndjson").write_text('{"n":3}\n{"n":4}\n{"n":')
    (likes / "1.ndjson").write_text('{"n":1}\n{"n":2}\n')
    files = rows_of(tmp_path)["likes"]
    assert [file.name for file in files] == ["1.ndjson", "2.ndjson"]
    assert count_lines(files) == 4
    assert sample_lines(files[:1], 2) == ['{"n":1}', '{"n":2}']
    assert rows_of(tmp_path / "none") == {}


def test_a_server_that_cannot_start_says_why(tmp_path):
    with pytest.raises(DemoError, match="ended with exit code"), Server(tmp_path, 0):
        pass


def test_everythinghas_arrived_or_not():
    arrived = status()
    assert has_arrived(arrived)
    assert not has_arrived(status(etl={"read": 8, "datasets": {}}))
    assert not has_arrived(status(etl={"read": 9, "datasets": {"likes": {"emitted": 5}}}))
    assert not has_arrived(status(deliver={"likes": {"read": 4, "written": 4, "lag": 2}}))
