"""What sites cost: that every figure is there, and grows with the sites as it must."""

import json
import sys
from pathlib import Path
from typing import Any

import log_load
import log_sites
import pytest


def printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], directory: Path, *more: str) -> str:
    monkeypatch.setattr(sys, "argv", ["log_sites.py", "--quick", "--directory", str(directory), *more])
    log_sites.main()
    return capsys.readouterr().out


def test_what_is_measured_as_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    found: dict[str, Any] = json.loads(printed(monkeypatch, capsys, tmp_path, "--json"))
    one = found["folders"]["1"]
    assert one["cpu ns/event"] > 0
    assert one["appends"] >= 1
    assert 0.1 < one["bytes written, of raw"] < 0.3
    for sites in (2, 3):
        written = found["folders"][str(sites)]["bytes written, of raw"]
        assert written == pytest.approx(sites * one["bytes written, of raw"], rel=0.05)
    often, seldom = found["objects"]["1000/s, 0.1 s"], found["objects"]["1000/s, 1 s"]
    assert often["PUT/M events"] > seldom["PUT/M events"] > 0
    assert often["$/M events"] > seldom["$/M events"] > 0
    for row in found["objects"].values():
        requests = sum(row[f"{kind}/M events"] / 1000 * price for kind, price in log_sites.PRICES.items())
        assert row["$/M events"] == pytest.approx(requests, abs=0.0002)
    assert not list(tmp_path.iterdir()), "what was written is not removed"


def test_the_tables(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    rows = [line.split("  ")[0] for line in printed(monkeypatch, capsys, tmp_path).splitlines()]
    assert [row.strip() for row in rows[:4]] == ["sites", "1", "2", "3"]
    assert "1000/s, 0.25 s" in rows


def test_bytes_of_every_site_count(tmp_path: Path) -> None:
    load = log_load.load(500, 32 * 1024)
    one, three = (log_sites.on_folders(sites, load, tmp_path, threads=1) for sites in (1, 3))
    assert three["appends"] == 3 * one["appends"] == 3 * len(load.batches)
