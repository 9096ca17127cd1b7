"""A collector for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.harness import Served, need_clients


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    need_clients()
    served = Served(tmp_path / "log")
    yield served
    served.stop()
