"""The conformance suite of logs on every implementation there is."""

from pathlib import Path

import pytest

from headwater.log.interface import Log
from headwater.log.local import LocalLog
from headwater.testing.log_conformance import LogConformance
from headwater.testing.memory_log import MemoryLog


class TestMemoryLog(LogConformance):
    durable = False

    def open(self) -> Log:
        return MemoryLog()


class TestLocalLog(LogConformance):
    segment_bytes_max = 256 * 1024 * 1024

    @pytest.fixture(autouse=True)
    def _directory(self, tmp_path: Path) -> None:
        self.directory = tmp_path / "data" / "log"

    def open(self) -> Log:
        return LocalLog(self.directory, segment_bytes_max=self.segment_bytes_max)


class TestLocalLogInManySegments(TestLocalLog):
    segment_bytes_max = 2000
