"""`headwater bench kernel`: what it measures and prints. What the figures are is not tested."""

import json
from pathlib import Path

import pytest

from headwater.cli import main
from headwater.measure import workload

QUICK = ["--runs", "2", "--seconds", "0", "--json"]
RULES = "INSERT INTO likes SELECT user_id FROM clicks WHERE event = 'like'"


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    assert main.run(["bench", "kernel", *QUICK, *arguments]) == 0
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


@pytest.fixture
def own(tmp_path: Path) -> list[str]:
    """Two events that match, one that does not, one that is none."""
    (tmp_path / "rules.sql").write_text(RULES)
    schema = {"type": "object", "properties": {"event": {"type": "string"}, "user_id": {"type": "string"}}}
    (tmp_path / "schema.json").write_text(json.dumps(schema))
    like = '{"event":"like","user_id":"u1"}'
    (tmp_path / "events.ndjson").write_text(f'{like}\n\n{like}\n{{"event":"view"}}\n[broken')
    files = {"--events": "events.ndjson", "--rules-file": "rules.sql"}
    given = [text for option, name in files.items() for text in (option, str(tmp_path / name))]
    return [*given, "--schema", f"clicks={tmp_path / 'schema.json'}"]


def test_the_built_in_workload(capsys: pytest.CaptureFixture[str]) -> None:
    found = printed(capsys, "--rules", "30")
    assert (found["rules"], found["events"], found["batch_events"], found["runs"]) == (30, 20_000, 1000, 2)
    assert found["dispatch"] in ("avx512", "avx2", "sse2", "portable")
    assert found["encoding"] == "json"
    assert isinstance(found["outputs_per_event"], float)
    assert found["outputs_per_event"] > 0
    assert found["rejects"] == found["failures"] == 0
    for name in ("events_per_cpu_second", "ns_per_event", "ns_per_output", "structure_ns_per_event", "event_bytes"):
        assert isinstance(found[name], int)
        assert found[name] > 0
    fraction = found["structure_fraction"]
    assert isinstance(fraction, float)
    # Finding structure is the first part of the whole.
    assert 0 < fraction < 1
    assert fraction == pytest.approx(found["structure_ns_per_event"] / found["ns_per_event"], abs=0.05)


def test_own_files(capsys: pytest.CaptureFixture[str], own: list[str]) -> None:
    found = printed(capsys, *own)
    assert (found["rules"], found["events"], found["rejects"]) == (1, 4, 1)
    assert found["outputs_per_event"] == 0.5
    assert found["output_bytes_per_event"] == round(2 * len('{"user_id":"u1"}\n') / 4)


def test_protobuf_in_and_out(capsys: pytest.CaptureFixture[str], own: list[str]) -> None:
    found = printed(capsys, "--encoding", "protobuf", *own)
    # The line that is no event cannot be a message.
    assert (found["encoding"], found["events"], found["rejects"]) == ("protobuf", 3, 0)
    assert found["structure_ns_per_event"] is found["structure_fraction"] is None
    row = b"\x0a\x02u1"
    assert found["output_bytes_per_event"] == round(2 * (1 + len(row)) / 3)
    events = [b"\x0a\x04like\x12\x02u1", b"\x0a\x04like\x12\x02u1", b"\x0a\x04view"]
    assert found["event_bytes"] == round(sum(1 + len(event) for event in events) / 3)


def test_for_people(capsys: pytest.CaptureFixture[str], own: list[str]) -> None:
    assert main.run(["bench", "kernel", "--runs", "1", "--seconds", "0", *own]) == 0
    out = capsys.readouterr().out
    assert "events/s of CPU time" in out
    assert "1 rules" in out
    assert "finding the structure of the same bytes alone: " in out
    assert "1 events are no JSON objects" in out


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["--encoding", "xml"], 2, "--encoding"),
        (["--events", "x"], 2, "--events, --rules-file and --schema go together"),
        (["--rules", "0"], 2, "--rules"),
    ],
)
def test_wrong_usage(capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, text: str) -> None:
    assert main.run(["bench", "kernel", *arguments]) == code
    assert text in " ".join(capsys.readouterr().err.replace("│", " ").split())


@pytest.mark.parametrize(
    ("file", "content", "text"),
    [
        ("events.ndjson", b"\n \n", "holds no event"),
        ("rules.sql", b"-- none", "holds no rule"),
        ("rules.sql", b"\xff", "not UTF-8 at byte 0"),
        ("rules.sql", b"INSERT INTO d SELECT nothing FROM clicks", "no field `nothing`"),
    ],
)
def test_wrong_files(capsys: pytest.CaptureFixture[str], own: list[str], file: str, content: bytes, text: str) -> None:
    (Path(own[1]).parent / file).write_bytes(content)
    assert main.run(["bench", "kernel", *QUICK, *own]) == 1
    assert text in capsys.readouterr().err


def test_the_workload_is_a_file_of_events_and_of_rules_that_fit(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "events").write_bytes(b"\n".join(workload.events(1500)))
    (tmp_path / "rules").write_text(workload.rules(20))
    (tmp_path / "schema").write_text(json.dumps(workload.schema()))
    files = ["--events", str(tmp_path / "events"), "--rules-file", str(tmp_path / "rules")]
    found = printed(capsys, *files, "--schema", f"app_events={tmp_path / 'schema'}")
    assert (found["rules"], found["events"]) == (20, 1500)
