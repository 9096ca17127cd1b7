"""Sites beside replicas (slow where Kafka runs: Maven Central)."""

import json
import os
import shutil
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import kafka_broker
import log_load
import log_replicas
import pytest

needs_kafka = pytest.mark.skipif(kafka_broker.missing() is not None and "CI" not in os.environ, reason="no Java or Maven here")


def test_sites_are_measured_as_replicas_are(tmp_path: Path) -> None:
    load = log_load.load(500, 32 * 1024)
    given = Namespace(directory=tmp_path, rounds=1, appenders=1)
    one, two = (log_replicas.of_sites(sites, given, load) for sites in (1, 2))
    assert one["client_ns_per_event"] > one["server_ns_per_event"] == 0
    assert two["written_fraction"] == pytest.approx(2 * one["written_fraction"], rel=0.01)
    assert one["requests_per_million_events"] >= round(1e6 * len(load.batches) / load.events)
    assert not list(tmp_path.iterdir()), "what was written is not removed"


def test_without_java_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(shutil, "which", lambda tool: None if tool == "java" else tool)
    monkeypatch.setattr(sys, "argv", ["log_replicas.py", "--json"])
    log_replicas.main()
    out, err = capsys.readouterr()
    assert not out
    assert "Kafka needs `java`, which is not here" in err


@pytest.mark.slow
@needs_kafka
def test_every_replica_is_measured(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "argv", ["log_replicas.py", "--quick", "--json", "--directory", str(tmp_path)])
    log_replicas.main()
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert list(found) == [f"{kind}, {count}" for kind in ("log", "kafka", "kafka, flush each") for count in (1, 2, 3)]
    for kind in ("log", "kafka", "kafka, flush each"):
        one, *more = (found[f"{kind}, {count}"] for count in (1, 2, 3))
        for count, row in enumerate(more, 2):
            assert row["written_fraction"] == pytest.approx(count * one["written_fraction"], rel=0.02)
            assert row["requests_per_million_events"] > one["requests_per_million_events"]
            assert (row["server_ns_per_event"] > 0) == (kind != "log")
    assert not list(tmp_path.iterdir()), "what was written is not removed"
