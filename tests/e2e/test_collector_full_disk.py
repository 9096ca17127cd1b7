"""A log that cannot append: clients are told to come again, nothing is acknowledged that is not durable, and it goes on after."""

import contextlib
import json
import resource
import signal
import subprocess
import sys
import threading

import pytest
import requests
import structlog
import uvicorn

from headwater.collect import Collector, server
from headwater.core.clock import monotonic_s
from headwater.core.errors import AppendInDoubt, LogUnavailable, Overtaken
from headwater.core.record import decode_all, encode
from headwater.kernel import split_by_class
from headwater.log.shared import open_log
from headwater.log.stores.folder import FolderStorage
from headwater.registry.snapshot import App, Draft, numbered, write_key_hash
from headwater.rules import PhysicalRule
from headwater.testing.memory_log import MemoryLog

KEY = "wk_full"
SNAPSHOT = numbered(Draft(project="t", source="app_events", apps=(App("shop", "team", "observe", (write_key_hash(KEY),)),)), 1, 0)

SERVER = """
import sys
from pathlib import Path
import uvicorn
from headwater.collect import Collector
from headwater.log.shared import open_log
from headwater.log.stores.folder import FolderStorage
from headwater.registry.snapshot import decode
snapshot = decode(sys.stdin.buffer.readline())
log = open_log({"local": FolderStorage(Path(sys.argv[1]))})
collector = Collector(log, lambda: snapshot)
class Server(uvicorn.Server):
    async def startup(self, sockets=None):
        await super().startup(sockets)
        print(self.servers[0].sockets[0].getsockname()[1], flush=True)
Server(uvicorn.Config(collector.app, host="127.0.0.1", port=0, log_level="warning")).run()
collector.close()
log.close()
"""


def post(url, event_id, path="/v1/events", **body):
    event = {"event": "buy", "event_id": event_id, "messageId": event_id, **body}
    return requests.post(url + path, data=json.dumps(event), auth=(KEY, ""), timeout=30)


def check_refused(answer):
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.json()["error"]["code"] == "log_unavailable"


@pytest.fixture
def process(tmp_path):
    command = [sys.executable, "-c", SERVER, str(tmp_path / "log")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        process.stdin.write(SNAPSHOT.encode())
        process.stdin.flush()
        yield process, f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def test_a_full_disk(process, tmp_path):
    process, url = process
    acknowledged = []
    for number in range(3):
        assert post(url, f"before-{number}").status_code == 200
        acknowledged.append(f"before-{number}")
    # No file of the process may grow any more: every write fails, as on a full disk.
    _, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (1, hard))
    for number in range(3):
        check_refused(post(url, f"full-{number}"))
        check_refused(post(url, f"full-{number}", "/v1/track"))
    assert requests.get(url + "/health", timeout=10).status_code == 200
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (hard, hard))
    for number in range(3):
        assert post(url, f"after-{number}").status_code == 200
        acknowledged.append(f"after-{number}")
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) in (0, -signal.SIGTERM)
    log = open_log({"local": FolderStorage(tmp_path / "log")})
    stored, end = [], log.end_offset("app_events", 0)
    while len(stored) < end:
        stored += [record.event_id for record in decode_all(log.read("app_events", 0, len(stored), 1 << 20).data)]
    assert stored == acknowledged
    log.close()


class FailingLog(MemoryLog):
    """A log whose appends fail while `full` is set."""

    full = False
    error = LogUnavailable("no space left on device")

    def writer(self, shard):
        writer = super().writer(shard)
        append = writer.append

        def fail_or_append(group):
            if self.full:
                raise self.error
            return append(group)

        writer.append = fail_or_append
        return writer


@contextlib.contextmanager
def serving(log, **options):
    collector = Collector(log, lambda: SNAPSHOT, **options)
    uvicorn_server = uvicorn.Server(uvicorn.Config(collector.app, host="127.0.0.1", port=0, log_level="warning"))
    thread = threading.Thread(target=uvicorn_server.run, daemon=True)
    thread.start()
    deadline = monotonic_s() + 20
    while not uvicorn_server.started:
        assert monotonic_s() < deadline
        thread.join(0.005)
    try:
        yield collector, f"http://127.0.0.1:{uvicorn_server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        uvicorn_server.should_exit = True
        thread.join(20)
        collector.close()


def test_what_is_refused_is_not_received():
    log = FailingLog()
    with serving(log) as (collector, url):
        assert post(url, "a").status_code == 200
        log.full = True
        check_refused(post(url, "b"))
        check_refused(post(url, "b", "/v1/page"))
        check_refused(requests.post(url + "/v1/events", data=b"{}", auth=(KEY, ""), timeout=10))
        assert "no space left" in collector.log_error
        log.full = False
        assert post(url, "b").status_code == 200
        assert collector.log_error is None
        figures = collector.figures()
        assert (figures["received"], figures["accepted"], figures["dead"]) == (2, 2, {})
        assert figures["refused"] == {"log_unavailable": 3}
    assert log.end_offset("app_events", 0) == 2
    assert log.end_offset("dead_letters", 0) == 0


@pytest.mark.parametrize("error", [AppendInDoubt, Overtaken])
def test_what_may_be_stored_is_to_be_sent_again_and_the_shard_is_opened_anew(error):
    log = FailingLog()
    log.error = error("somebody else writes here")
    with serving(log) as (collector, url):
        log.full = True
        answer = post(url, "a")
        assert (answer.status_code, answer.headers["Retry-After"], answer.json()["error"]["code"]) == (503, "1", "log_in_doubt")
        assert "a repeated event id counts once" in answer.text
        assert "collect-0" not in log.writers
        log.full = False
        assert post(url, "a").status_code == 200
        assert (collector.log_error, collector.figures()["received"]) == (None, 1)


def test_key_classes_have_partitions_of_their_own():
    log = MemoryLog()
    with serving(log, number=3, classes=4) as (_, url):
        for name in "abcdefghij":
            assert post(url, name).status_code == 200
        assert requests.post(url + "/v1/events", data=b"nonsense", auth=(KEY, ""), timeout=10).status_code == 400
    assert log.partitions("dead_letters") == (6,)
    found = {}
    for partition in log.partitions("app_events"):
        assert 12 <= partition < 16
        for record in decode_all(log.read("app_events", partition, 0, 1 << 20).data):
            assert split_by_class(encode(record), 4)[0][0] == partition - 12
            found[record.event_id] = partition
    assert sorted(found) == list("abcdefghij")
    assert len(set(found.values())) > 1


def test_too_many_requests_at_once(monkeypatch):
    monkeypatch.setattr(server, "REQUESTS_IN_FLIGHT_MAX", 0)
    with serving(MemoryLog()) as (collector, url):
        answer = post(url, "a")
        assert (answer.status_code, answer.headers["Retry-After"], answer.json()["error"]["code"]) == (503, "1", "busy")
        assert collector.figures()["refused"] == {"busy": 1}


def test_too_many_bytes_at_once(monkeypatch):
    monkeypatch.setattr(server, "REQUEST_BODIES_BYTES_MAX", 100)
    with serving(MemoryLog()) as (_, url):
        assert post(url, "a").status_code == 200
        assert post(url, "a" * 100).status_code == 503
        assert post(url, "a").status_code == 200


def test_a_fault_of_ours_is_answered_and_costs_only_its_request(monkeypatch):
    with serving(MemoryLog()) as (collector, url):
        monkeypatch.setattr(server, "new_id", lambda: "no hexadecimal")
        with structlog.testing.capture_logs() as lines:
            answer = post(url, "a")
        assert [(line["event"], line["error"]) for line in lines] == [("request_failed", "ValueError")]
        assert not any(secret in repr(lines) for secret in (KEY, "hexadecimal", "buy"))
        assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal_error")
        monkeypatch.undo()
        assert post(url, "a").status_code == 200
        assert collector.figures()["received"] == 1


def test_a_snapshot_that_cannot_be_linked_leaves_the_last_one_running():
    current = [SNAPSHOT]
    collector = Collector(MemoryLog(), lambda: current[0])
    broken = App("shop", "team", "observe", ()), App("shop", "team", "observe", ())
    assert collector._current().version.startswith("1-")
    current[0] = numbered(Draft(project="t", source="app_events", apps=broken), 2**40, 0)
    assert collector._current().version.startswith("1-")
    assert "snapshot number" in collector.link_error
    rule = PhysicalRule.from_canonical(b'{"format":99,"from":"app_events","into":"d","name":"of no concern to a collector"}')
    current[0] = numbered(Draft(project="t", source="app_events", apps=SNAPSHOT.apps, rules=(rule,)), 3, 0)
    assert collector._current().version.startswith("3-")
    assert collector.link_error is None
    collector.close()
