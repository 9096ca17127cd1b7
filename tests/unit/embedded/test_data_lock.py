"""One process for each data directory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from headwater.core.errors import DataInUse
from headwater.embedded.data_lock import DataLock


def test_the_second_is_told_who_has_it(tmp_path: Path) -> None:
    first = DataLock(tmp_path / "data")
    with pytest.raises(DataInUse, match=rf"data is in use by another `headwater up` \(process {os.getpid()}\); stop it first"):
        DataLock(tmp_path / "data")
    first.release()
    DataLock(tmp_path / "data").release()
