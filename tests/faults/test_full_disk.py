"""A disk that is really full, a small one in memory: refused is never acknowledged or read, and appends go on with the space."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.processes import ROOT

DISK = "512k"
BALLAST_BYTES, BALLASTS = 64 * 1024, 3
_OWN_DISK = ["unshare", "--user", "--map-root-user", "--mount"]


@pytest.fixture(scope="module")
def own_disk() -> None:
    """Skips where a process can have no mount of its own; `test_errors` fills a disk that is not real all the same."""
    if shutil.which("unshare") is None or shutil.which("mount") is None:
        pytest.skip("there is no unshare, or no mount, so that no small disk can be made")
    tried = subprocess.run([*_OWN_DISK, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"a process cannot mount a small disk of its own here: {tried.stderr.strip()}")


def _fill(directory: Path, build: str) -> subprocess.CompletedProcess[str]:
    ballast = f'for n in $(seq {BALLASTS}); do head -c {BALLAST_BYTES} /dev/zero > "$1/ballast$n" || exit 9; done'
    script = f'mount -t tmpfs -o size={DISK} tmpfs "$1" || exit 9; {ballast}; exec "$2" -m tests.faults.full_disk "$1" "$3"'
    command = [*_OWN_DISK, "sh", "-c", script, "sh", str(directory), sys.executable, build]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.usefixtures("own_disk")
def test_a_full_disk_refuses_and_appends_go_on_when_there_is_space(tmp_path: Path) -> None:
    ended = _fill(tmp_path, "whole")
    assert ended.returncode == 0, ended.stderr
    acknowledged, refused = map(int, ended.stdout.split()[-2:])
    assert acknowledged > 50
    assert refused >= 15


@pytest.mark.usefixtures("own_disk")
def test_a_build_that_takes_a_full_disk_for_written_is_caught(tmp_path: Path) -> None:
    ended = _fill(tmp_path, "swallows ENOSPC")
    assert ended.returncode == 1, ended.stdout
    assert "AssertionError" in ended.stderr or "CorruptLog" in ended.stderr, ended.stderr
