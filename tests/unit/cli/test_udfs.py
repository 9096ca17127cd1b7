"""`--udfs`: Python functions for rules in files."""

import json
from pathlib import Path

import pytest

from headwater.cli import main

UDF = """import headwater

@headwater.udf
def half(n: list[int]) -> list[float]:
    return [each / 2 if each < 9 else 1 / 0 for each in n]
"""
RULES = "-- rule: r\nINSERT INTO out SELECT half(n) AS h FROM e WHERE event = 'a' AND half(n) > 0.5;\n"
SCHEMA = {"type": "object", "properties": {"event": {"type": "string"}, "n": {"type": "integer"}}}
FILES = {
    "f.py": UDF,
    "r.sql": RULES,
    "s.json": json.dumps(SCHEMA),
    "e.ndjson": "".join(json.dumps({"event": "a", "n": n}) + "\n" for n in range(10)),
}
GIVEN = ["--schema", "e=s.json", "--udfs", "f.py"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_etl(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["etl", "r.sql", *GIVEN, "--input", "e=e.ndjson", "--output", "out", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert (figures["events"], figures["dead_letters"], figures["outputs"]) == (10, 1, {"out": 7})
    assert figures["rules"]["r"] | {"matched": 7, "failed": 1} == figures["rules"]["r"]
    assert (here / "out" / "out.ndjson").read_text().splitlines()[0] == '{"h":1.0}'
    letter = json.loads((here / "out" / "dead_letters.ndjson").read_text())
    assert letter["line"] == 10
    assert (letter["detail"], letter["error"]) == ("udf half: ZeroDivisionError", "ZeroDivisionError: division by zero")


def test_etl_with_a_function_that_does_not_return(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "f.py").write_text(UDF.replace("    return", "    while 7 in n:\n        pass\n    return"))
    options = ["--udf-batch-ms", "400", "--input", "e=e.ndjson", "--output", "out", "--json"]
    assert main.run(["etl", "r.sql", *GIVEN, *options]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["dead_letters"] == 10
    why = "disabled: it took longer than 400 ms for one batch"
    assert captured.err == f"headwater: the function half is {why}; it is called again when f.py changes, or after a restart\n"
    letters = [json.loads(line) for line in (here / "out" / "dead_letters.ndjson").read_text().splitlines()]
    assert {letter["error"] for letter in letters} == {why}


def test_check(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["check", "r.sql", *GIVEN]) == 0
    (here / "f.py").write_text(UDF.replace("n: list[int]", "n: int"))
    assert main.run(["check", "r.sql", *GIVEN]) == 1
    out = capsys.readouterr().out
    assert "f.py:4:13: error: the parameter `n` cannot be int; it is given a whole column: write list[int]" in out
    assert "no function `half`" in out


def test_explain(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["explain", "r.sql", *GIVEN, "--sample", "e.ndjson"]) == 0
    out = capsys.readouterr().out
    assert '"half"("n")' in out
    assert "10 evaluated, 7 matched" in out


def test_bench(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--events", "e.ndjson", "--rules-file", "r.sql", "--runs", "1", "--seconds", "0.01", "--json"]
    assert main.run(["bench", "kernel", *options, *GIVEN]) == 0
    measured = json.loads(capsys.readouterr().out)
    assert (measured["outputs_per_event"], measured["failures"]) == (0.7, 1)


@pytest.mark.parametrize("command", [["etl", "--input", "e=e.ndjson", "--output", "out"], ["explain"], ["check"]])
def test_a_file_that_is_not_there_or_cannot_be_run(here: Path, capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    name, *options = command
    assert main.run([name, "r.sql", "--schema", "e=s.json", "--udfs", "none.py", *options]) == 1
    assert "none.py: cannot be read: No such file or directory" in capsys.readouterr().err
    (here / "f.py").write_text("import no_such\n" + UDF)
    assert main.run([name, "r.sql", *GIVEN, *options]) == 1
    captured = capsys.readouterr()
    assert "f.py:1:1: error: the file cannot be run: ModuleNotFoundError" in captured.out + captured.err
    assert not (here / "out").exists()
