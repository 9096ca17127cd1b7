"""The benchmark's figures: which there are, and what they are of. How large they are is not tested."""

import json
import re
import sys
from typing import Any

import pytest

import kernel

QUICK = ["kernel.py", "--rules", "20", "--hostile", "40", "--events", "1000", "--runs", "1", "--seconds", "0", "--no-java"]


def printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *more: str) -> str:
    monkeypatch.setattr(sys, "argv", [*QUICK, *more])
    kernel.main()
    return capsys.readouterr().out


def test_what_is_measured_as_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    found: dict[str, Any] = json.loads(printed(monkeypatch, capsys, "--json"))
    assert found["dispatch"] in ("avx512", "avx2", "sse2", "portable")
    assert [result["rules"] for result in found["results"]] == [20, 40]
    for result in found["results"]:
        for engine in ("kernel", "kernel protobuf", "python"):
            assert result[engine]["ns_per_output"] == pytest.approx(
                result[engine]["ns_per_event"] / result["outputs_per_event"], rel=0.1
            )
        structure = result["structure only"]["events_per_second"]
        assert "ns_per_output" not in result["structure only"]
        for engine in ("kernel", "python"):
            assert result[engine]["structure_fraction"] == round(result[engine]["events_per_second"] / structure, 3)


def test_the_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    head, _, columns, *rows = printed(monkeypatch, capsys).splitlines()
    assert "CPU time of one thread" in head
    assert columns.split("  ")[-1] == "of structure"
    found = [re.split(r"  +", row.strip())[:2] for row in rows]
    engines = ["structure only", "kernel", "kernel protobuf", "python"]
    assert found == [[rules, engine] for rules in ("20", "40 hostile") for engine in engines]
