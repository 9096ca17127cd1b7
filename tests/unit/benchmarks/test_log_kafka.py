"""The log beside Kafka: what the broker is told, and (slow: Maven Central) that both are measured and the broker goes."""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import kafka_broker
import log_kafka
import log_load
import pytest

needs_kafka = pytest.mark.skipif(kafka_broker.missing() is not None and "CI" not in os.environ, reason="no Java or Maven here")


def test_only_one_kind_syncs_every_request() -> None:
    with_flush, without = (kafka_broker.properties(1, 1, (1, 2), Path("data"), flush_each) for flush_each in (True, False))
    assert set(with_flush.splitlines()) - set(without.splitlines()) == {"log.flush.interval.messages=1"}
    [listeners] = [line for line in without.splitlines() if line.startswith("listeners=")]
    assert listeners.count("127.0.0.1:") == listeners.count("//") == 2


def test_every_replica_counts_for_an_acknowledgement() -> None:
    lines = [set(kafka_broker.properties(node, 3, (node, 9), Path("data"), False).splitlines()) for node in (1, 2, 3)]
    assert all({"min.insync.replicas=3", "controller.quorum.voters=1@127.0.0.1:9"} <= one for one in lines)
    assert ["process.roles=broker,controller" in one for one in lines] == [True, False, False]
    assert [sum("CONTROLLER://127.0.0.1:9" in line for line in one) for one in lines] == [1, 0, 0]


def test_a_message_is_a_record_of_the_log() -> None:
    load = log_load.load(100, 32 * 1024)
    for batch in load.batches:
        messages = log_kafka.messages_of(batch.data)
        assert len(messages) == batch.count
        assert b"".join(message["value"] for message in messages) == batch.data


def test_without_java_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(shutil, "which", lambda tool: None if tool == "mvn" else tool)
    monkeypatch.setattr(sys, "argv", ["log_kafka.py", "--json"])
    log_kafka.main()
    out, err = capsys.readouterr()
    assert not out
    assert "it needs `mvn`, which is not here" in err


def runs(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


@pytest.mark.slow
@needs_kafka
def test_both_are_measured(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "argv", ["log_kafka.py", "--quick", "--json", "--directory", str(tmp_path)])
    log_kafka.main()
    results: dict[str, Any] = json.loads(capsys.readouterr().out)["results"]
    assert list(results) == ["kafka", "kafka, flush each", "local log"]
    for kind, found in results.items():
        for part in ("append", "read", "steady"):
            assert found[part]["client_ns_per_event"] > 0
            assert (found[part]["server_ns_per_event"] > 0) == (kind != "local log") or part == "read"
        assert 0.1 < found["disk_fraction"] < 0.3
        assert found["steady"]["appends"] == 20
    assert not list(tmp_path.iterdir()), "what was written is not removed"


@pytest.mark.slow
@needs_kafka
def test_the_broker_is_ended_whatever_happens(tmp_path: Path) -> None:
    found: list[kafka_broker.Cluster] = []

    def fails() -> None:
        with kafka_broker.running(False, tmp_path, brokers=2, heap_mib=256) as cluster:
            found.append(cluster)
            assert len(cluster.pids) == 2
            assert all(map(runs, cluster.pids))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert not any(map(runs, found[0].pids))
    assert not list(tmp_path.iterdir())
    broken = kafka_broker.properties
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kafka_broker, "properties", lambda *given: broken(*given) + "process.roles=nothing\n")
        with pytest.raises(RuntimeError, match="did not start"), kafka_broker.running(False, tmp_path):
            pass
    assert not list(tmp_path.iterdir())
