"""The conformance suite of storages on HDFS, and what becomes of one that does not answer. Most need Maven and are slow."""

import itertools
import signal
import socket
import subprocess
from collections.abc import Iterator

import pytest

from headwater.core.errors import LogError
from headwater.log.interface import Log
from headwater.log.shared import LogSettings, open_log
from headwater.log.storage import Storage, StorageUnavailable
from headwater.testing.log_conformance import LogConformance
from headwater.testing.storage_conformance import StorageConformance, refused

pytest.importorskip("hdfs_native", reason="hdfs-native is not installed; `make setup` does")

from hdfs_native import Client

from headwater.log.stores.hdfs import HdfsStorage
from tests.conformance.hdfs_server import hdfs_server

_numbers = itertools.count()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    with hdfs_server(tmp_path_factory.mktemp("hdfs")) as running:
        yield running


@pytest.mark.slow
class TestHdfsStorage(StorageConformance):
    rounds = 10

    @pytest.fixture(autouse=True)
    def _place(self, server: tuple[str, subprocess.Popen[str]]) -> Iterator[None]:
        self.url = f"{server[0]}/site-{next(_numbers)}/log"
        self.storages: list[HdfsStorage] = []
        yield
        for storage in self.storages:
            storage.close()

    def open(self) -> Storage:
        self.storages.append(HdfsStorage(self.url, request_s_max=120))
        return self.storages[-1]


@pytest.mark.slow
class TestSharedLogOnHdfs(LogConformance):
    @pytest.fixture(autouse=True)
    def _place(self, server: tuple[str, subprocess.Popen[str]]) -> Iterator[None]:
        self.storage = HdfsStorage(f"{server[0]}/shared-{next(_numbers)}/log", request_s_max=120)
        yield
        self.storage.close()

    def open(self) -> Log:
        return open_log({"hdfs": self.storage}, settings=LogSettings(flush_s=0.005))


@pytest.mark.slow
def test_what_killed_processes_left_is_never_listed_and_swept_once_it_is_old(server: tuple[str, subprocess.Popen[str]]) -> None:
    client = Client(server[0])
    client.mkdirs("/swept/a", create_parent=True)
    for name, age_ms in ((".dead1.0.partial", 4_000_000), (".dead2.0.partial", 1_000)):
        client.create(f"/swept/a/{name}").close()
        written = client.get_file_info(f"/swept/a/{name}").modification_time
        client.set_times(f"/swept/a/{name}", written - age_ms, written)
    storage = HdfsStorage(f"{server[0]}/swept", request_s_max=60)
    assert storage.list("a") == []
    assert storage.put("a/1", b"x") is True
    assert storage.put("a/1", b"y") is False
    assert sorted(status.path for status in client.list_status("/swept/a")) == ["/swept/a/.dead2.0.partial", "/swept/a/1"]
    storage.close()


@pytest.mark.slow
def test_a_name_node_that_stands_still_is_unavailable_in_time(server: tuple[str, subprocess.Popen[str]]) -> None:
    url, process = server
    storage = HdfsStorage(f"{url}/stopped", request_s_max=60)
    storage.put("a", b"x")
    storage.close()
    storage = HdfsStorage(f"{url}/stopped", request_s_max=1)
    process.send_signal(signal.SIGSTOP)
    try:
        for call in (lambda: storage.get("a"), lambda: storage.put("b", b"x"), lambda: storage.list("")):
            with refused(StorageUnavailable, "hdfs://127.0.0.1", "/stopped", "no answer within 1 s"):
                call()
    finally:
        process.send_signal(signal.SIGCONT)
    storage.close()
    storage = HdfsStorage(f"{url}/stopped", request_s_max=60)
    assert storage.get("a") == b"x"
    storage.close()


def test_a_name_node_that_does_not_answer_is_unavailable_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        storage = HdfsStorage(f"hdfs://127.0.0.1:{silent.getsockname()[1]}/x", request_s_max=0.3)
        for call in (lambda: storage.get("a"), lambda: storage.put("a", b"x"), lambda: storage.delete("a")):
            with refused(StorageUnavailable, "hdfs://127.0.0.1", "/x/a", "no answer within 0.3 s"):
                call()
        storage.close()


def test_what_is_no_directory_of_hdfs_is_refused() -> None:
    for url in ("s3://x.test/y", "hdfs:///y", "x"):
        with refused(LogError, "hdfs://host.example:8020/directory"):
            HdfsStorage(url)


def test_appends_are_refused() -> None:
    storage = HdfsStorage("hdfs://127.0.0.1:1/x")
    with refused(LogError, "nothing can be appended to a"):
        storage.append("a", 0, b"x")
    storage.close()
