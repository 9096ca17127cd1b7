"""`headwater etl` as a command: what it writes, what it prints, how it ends."""

from __future__ import annotations

import gzip
import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pytest
import zstandard
from google.protobuf import proto
from protobufs import message_class

from headwater.cli import main

RULES = """
-- rule: plays
INSERT INTO plays SELECT user_id AS uid, properties.n AS n FROM app_events WHERE event = 'play';
-- rule: numbers
INSERT INTO plays SELECT CAST(properties.text AS BIGINT) AS number FROM app_events WHERE event = 'number';
-- rule: whole
INSERT INTO whole SELECT * FROM app_events WHERE event = 'whole';
-- rule: other
INSERT INTO others SELECT id FROM others_in;
"""
SCHEMA = {
    "type": "object",
    "properties": {
        "event": {"type": "string"},
        "user_id": {"type": "string"},
        "properties": {"type": "object", "properties": {"n": {"type": "integer"}, "text": {"type": "string"}}},
    },
}
EVENTS = [
    b'{"event":"play","user_id":"ann","properties":{"n":"7"}}',
    b"",
    b'{"event":"play",',
    b'{"event":"number","properties":{"text":"12"}}',
    b'{"event":"number","properties":{"text":"no"}}',
    b'{"event": "whole", "x": [1.50]}',
    b'["\xff"]',
]
PROCESS = (sys.executable, "-c", "from headwater.cli.main import main; main()")


class Done(NamedTuple):
    returncode: int
    stdout: bytes
    stderr: bytes


class Run:
    """A directory with rules, schemas and events, and the command in it."""

    def __init__(self, directory: Path, captured: pytest.CaptureFixture[bytes]) -> None:
        self.directory = directory
        self._captured = captured
        (directory / "rules.sql").write_text(RULES)
        (directory / "schema.json").write_text(json.dumps(SCHEMA))
        (directory / "others.json").write_text('{"type":"object","properties":{"id":{"type":"integer"}}}')
        (directory / "events.ndjson").write_bytes(b"\n".join(EVENTS))
        (directory / "others.ndjson").write_bytes(b'{"id":1}\n')

    def command(self, *options: str, events: str = "events.ndjson", output: str = "out") -> tuple[str, ...]:
        sources = ("--schema", "app_events=schema.json", "--schema", "others_in=others.json")
        inputs = ("--input", f"app_events={events}", "--input", "others_in=others.ndjson")
        return ("etl", "rules.sql", *sources, *inputs, "--output", output, *options)

    def __call__(self, *options: str, **places: str) -> Done:
        """In this process."""
        return self.run(self.command(*options, **places))

    def run(self, command: tuple[str, ...]) -> Done:
        code = main.run(command)
        captured = self._captured.readouterr()
        return Done(code, captured.out, captured.err)

    def lines(self, name: str, output: str = "out") -> list[Any]:
        return [json.loads(line) for line in (self.directory / output / name).read_bytes().splitlines()]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Run:
    monkeypatch.chdir(tmp_path)
    return Run(tmp_path, capfdbinary)


def test_rows_dead_letters_and_figures(run: Run) -> None:
    done = run("--json")
    assert (done.returncode, done.stderr) == (0, b"")
    assert run.lines("plays.ndjson") == [{"uid": "ann", "n": 7}, {"number": 12}]
    assert (run.directory / "out" / "whole.ndjson").read_bytes() == EVENTS[5] + b"\n"
    assert run.lines("others.ndjson") == [{"id": 1}]
    letters = run.lines("dead_letters.ndjson")
    assert [(letter["line"], letter["reason"] == "rule_failed") for letter in letters] == [(3, False), (5, True), (7, False)]
    assert letters[0]["raw"] == EVENTS[2].decode()
    assert letters[0]["position"] == len(EVENTS[2])
    assert (letters[1]["rule"], letters[1]["column"], letters[1]["raw"]) == ("numbers", "number", EVENTS[4].decode())
    assert letters[2]["raw_base64"] == "WyL/Il0="
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures.pop("seconds") > 0
    assert figures.pop("events_per_second") > 0
    numbers = figures["rules"].pop("numbers")
    assert numbers.pop("ns") >= 0
    assert numbers.pop("evaluated") == 4
    nothing = {"where_errors": 0, "not_finite": 0, "nulls": 0}
    assert numbers == {"matched": 1, "failed": 1, "emitted": 1, "bytes": len(b'{"number":12}\n'), **nothing}
    assert {name: counts["matched"] for name, counts in figures.pop("rules").items()} == {"plays": 1, "whole": 1, "other": 1}
    # Sampled is the first event of each input.
    assert figures.pop("fields")["properties.n"] == {"coerced": 1, "type_errors": 0, "present": 1, "nulls": 0}
    assert (figures.pop("sampled"), figures.pop("timed")) == (2, 0)
    sizes = {name: (run.directory / "out" / f"{name}.ndjson").stat().st_size for name in ("plays", "whole", "others")}
    assert figures.pop("output_bytes") == sizes
    assert figures == {"events": 7, "rejects": 2, "dead_letters": 3, "outputs": {"plays": 2, "whole": 1, "others": 1}}


def test_input_of_every_kind_gives_the_same(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = b"\n".join(EVENTS)
    run()
    expected = {path.name: path.read_bytes() for path in (run.directory / "out").iterdir()}
    stored = {"gzip": gzip.compress(plain), "zstd": zstandard.ZstdCompressor().compress(plain), "plain": plain}
    for name, data in stored.items():
        (run.directory / "in").write_bytes(data)
        assert run(events="in", output=f"file-{name}").returncode == 0
        with (run.directory / "in").open("rb") as stdin, monkeypatch.context() as patch:
            patch.setattr("sys.stdin", stdin)
            assert run(events="-", output=f"stdin-{name}").returncode == 0
        for output, source in ((f"file-{name}", b"in"), (f"stdin-{name}", b"standard input")):
            found = {path.name: path.read_bytes() for path in (run.directory / output).iterdir()}
            dead = "dead_letters.ndjson"
            found[dead] = found[dead].replace(b'"input":"%s"' % source, b'"input":"events.ndjson"')
            assert found == expected, output


def test_several_inputs_of_a_source_follow_each_other(run: Run) -> None:
    done = run("--json", "--input", "app_events=events.ndjson")
    assert json.loads(done.stdout)["events"] == 13
    assert [letter["line"] for letter in run.lines("dead_letters.ndjson")] == [3, 5, 7, 3, 5, 7]


def test_parquet(run: Run) -> None:
    assert run("--format", "parquet").returncode == 0
    names = sorted(path.name for path in (run.directory / "out").iterdir())
    assert names == ["dead_letters.ndjson", "others.parquet", "plays.parquet", "whole.parquet"]
    plays = duckdb.sql(f"SELECT * FROM read_parquet('{run.directory}/out/plays.parquet')").fetchall()
    assert plays == [("ann", 7, None), (None, None, 12)]
    whole = duckdb.sql(f"SELECT * FROM read_parquet('{run.directory}/out/whole.parquet')").fetchall()
    assert whole == [(EVENTS[5].decode(),)]


def test_protobuf(run: Run) -> None:
    assert run("--format", "protobuf").returncode == 0
    out = run.directory / "out"
    names = sorted(path.name for path in out.iterdir())
    assert names == [
        "dead_letters.ndjson",
        *(f"{name}.{end}" for name in ("others", "plays", "whole") for end in ("pb", "proto")),
    ]
    plays = message_class({"plays.proto": (out / "plays.proto").read_text()}, "headwater.Plays", run.directory / "x")
    with (out / "plays.pb").open("rb") as file:
        rows = [proto.parse_length_prefixed(plays, file) for _ in range(2)]
        assert file.read() == b""
    assert [(row.uid, row.n, row.HasField("number")) for row in rows] == [("ann", 7, False), ("", 0, True)]
    assert rows[1].number == 12
    whole = message_class({"whole.proto": (out / "whole.proto").read_text()}, "headwater.Whole", run.directory / "y")
    with (out / "whole.pb").open("rb") as file:
        assert proto.parse_length_prefixed(whole, file).event == "whole"


def test_protobuf_in_gives_what_json_in_gives(run: Run) -> None:
    (run.directory / "all.sql").write_text("INSERT INTO everything SELECT * FROM app_events;")
    schema = ("--schema", "app_events=schema.json")
    events = ("--input", "app_events=events.ndjson")
    assert run.run(("etl", "all.sql", *schema, *events, "--output", "made", "--format", "protobuf")).returncode == 0
    messages = run.directory / "made" / "everything.pb"
    messages.write_bytes(messages.read_bytes() + b"\x02\x0a\xff" + b"\x02\x0a\x00")
    (run.directory / "rules.sql").write_text(RULES.replace("SELECT * FROM", "SELECT event FROM"))
    assert run().returncode == 0
    proto = ("--proto", "app_events=made/everything.proto:headwater.Everything")
    done = run("--json", *proto, events=str(messages), output="again")
    assert done.returncode == 0
    for name in ("plays", "whole", "others"):
        assert run.lines(f"{name}.ndjson", "again") == run.lines(f"{name}.ndjson")
    letters = run.lines("dead_letters.ndjson", "again")
    assert [(letter["reason"], letter["line"]) for letter in letters] == [("rule_failed", 3), ("cut_off", 5)]
    assert letters[1] | {"input": ""} == {"reason": "cut_off", "line": 5, "position": 2, "raw_base64": "Cv8=", "input": ""}
    assert json.loads(done.stdout)["events"] == 7
    gzipped = run.directory / "made" / "everything.pb.gz"
    gzipped.write_bytes(gzip.compress(messages.read_bytes()))
    assert run(*proto, events=str(gzipped), output="third").returncode == 0
    assert run.lines("plays.ndjson", "third") == run.lines("plays.ndjson")


def test_wrong_usage_of_proto(run: Run) -> None:
    for given in ("app_events=x.proto", "nothing=x.proto:A"):
        assert b"--proto takes NAME=FILE:MESSAGE" in run("--proto", given).stderr.replace(b"\n", b" ")
    assert b"there is no file x.proto" in run("--proto", "app_events=x.proto:A").stderr


@pytest.mark.parametrize("cut", [5, 60, 100])
def test_a_truncated_input_ends_the_run_and_leaves_nothing(run: Run, cut: int) -> None:
    for data in (gzip.compress(b"\n".join(EVENTS)), zstandard.ZstdCompressor().compress(b"\n".join(EVENTS))):
        (run.directory / "cut").write_bytes(data[:cut])
        done = run(events="cut")
        assert done.returncode == 2
        assert done.stderr.startswith(b"headwater: cut is ")
        assert list((run.directory / "out").iterdir()) == []


def test_wrong_usage_and_what_cannot_be_read(run: Run) -> None:
    (run.directory / "full").mkdir()
    (run.directory / "full" / "mine").write_text("")
    for done, said in (
        (run(events="none"), "cannot read none: No such file or directory"),
        (run(output="full"), "full is not empty: it holds mine"),
        (run("--input", "nobody=x"), "--schema"),
        (run("--input", "app_events"), "NAME=FILE, such as app_events=events.ndjson"),
        (run("--schema", "app_events=schema.json"), "twice"),
        (run("--input", "others_in=-", events="-"), "standard input can be read only once"),
        (run("--format", "xml"), "parquet"),
    ):
        text = " ".join(done.stderr.decode().replace("│", " ").split())
        assert (done.returncode, said in text) == (2, True), text
        assert b"Traceback" not in done.stderr
    assert run("--overwrite", output="full").returncode == 0
    assert (run.directory / "full" / "mine").exists()


def test_a_rule_without_input_is_said(run: Run) -> None:
    sources = ("--schema", "app_events=schema.json", "--schema", "others_in=others.json")
    done = run.run(("etl", "rules.sql", *sources, "--input", "app_events=events.ndjson", "--output", "out"))
    assert done.returncode == 2
    assert b"the rule other reads others_in, for which no input is given" in done.stderr


def test_errors_in_rules_stop_the_run(run: Run) -> None:
    (run.directory / "rules.sql").write_text("INSERT INTO x SELECT nothing FROM app_events;")
    done = run()
    assert done.returncode == 1
    assert b"rules.sql:1:22" in done.stderr
    assert b"nothing" in done.stderr
    assert not (run.directory / "out").exists()
    (run.directory / "schema.json").write_text("[")
    assert run().returncode == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_nothing(run: Run, number: int) -> None:
    with subprocess.Popen(
        (*PROCESS, *run.command(events="-")),
        cwd=run.directory,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # Where tests run in the background, SIGINT may be ignored, and what they start inherits that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        assert process.stdin
        assert process.stderr
        lines = (EVENTS[0] + b"\n") * 20_000
        deadline = time.monotonic() + 20
        while not list((run.directory / "out").glob(".plays*")):
            process.stdin.write(lines)
            assert time.monotonic() < deadline
        process.send_signal(number)
        assert process.wait(20) == 130
        assert process.stderr.read() == b"headwater: interrupted; nothing was written\n"
        process.stdin.close()
    assert list((run.directory / "out").iterdir()) == []


def test_a_progress_bar_only_on_a_terminal(run: Run) -> None:
    assert run().stderr == b""
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(
        (*PROCESS, *run.command(output="again")), cwd=run.directory, stderr=theirs, stdout=subprocess.PIPE, env=environment
    ) as process:
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 65536):
                shown += piece
        except OSError:
            pass
        os.close(ours)
        assert process.wait(20) == 0
    assert b"events" in shown
