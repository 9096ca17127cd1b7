"""A site that hangs does not use up the log's threads."""

from __future__ import annotations

import threading

import pytest

from headwater.core.limits import SITE_LOST_S, STUCK_CALLS_MAX
from headwater.log import named_storage
from headwater.log.named_storage import NamedStorage
from headwater.log.storage import Storage, StorageUnavailable
from headwater.testing.memory_storage import MemoryStorage
from headwater.testing.storage_conformance import StorageConformance


class TestNamedStorage(StorageConformance):
    rounds = 10

    @pytest.fixture(autouse=True)
    def _storage(self) -> None:
        self.storage = MemoryStorage()

    def open(self) -> Storage:
        return NamedStorage("site", self.storage)


class Hanging(MemoryStorage):
    def __init__(self) -> None:
        super().__init__()
        self.goes_on = threading.Event()

    def get(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        if name == "stuck":
            self.goes_on.wait(60)
            return b""
        return super().get(name, start, length)


def test_a_few_calls_may_hang_and_further_ones_fail_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(named_storage, "monotonic_s", lambda: now[0])
    hanging = Hanging()
    site = NamedStorage("far", hanging)
    site.put("a", b"1")
    threads = [threading.Thread(target=site.get, args=("stuck",)) for _ in range(STUCK_CALLS_MAX)]
    for thread in threads:
        thread.start()
    while len(site._began) < STUCK_CALLS_MAX:
        threads[0].join(0.01)
    assert site.get("a") == b"1"
    now[0] = SITE_LOST_S + 3
    with pytest.raises(StorageUnavailable, match="far: 8 calls are unanswered for 13 s"):
        site.get("a")
    hanging.goes_on.set()
    for thread in threads:
        thread.join()
    assert site.get("a") == b"1"
