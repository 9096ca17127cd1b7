"""Which processes may have a data directory together."""

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
    with pytest.raises(DataInUse, match=rf"data is in use by another `headwater up` \(process {os.getpid()}\); stop it first"):
        DataLock(tmp_path / "data", shared=True)
    first.release()
    DataLock(tmp_path / "data").release()


def test_those_that_share_it_keep_out_who_wants_it_alone(tmp_path: Path) -> None:
    DataLock(tmp_path).release()
    first, second = DataLock(tmp_path, shared=True), DataLock(tmp_path, shared=True)
    first.release()
    with pytest.raises(DataInUse, match="is in use by `headwater worker` or `headwater deliver`; stop it first"):
        DataLock(tmp_path)
    second.release()
    DataLock(tmp_path).release()


def test_parts_have_locks_of_their_own(tmp_path: Path) -> None:
    held = [DataLock(tmp_path), DataLock(tmp_path, "collect-a"), DataLock(tmp_path, "collect-b")]
    with pytest.raises(DataInUse, match=r"by another `headwater collect` \(process \d+\)"):
        DataLock(tmp_path, "collect-a")
    for lock in held:
        lock.release()
