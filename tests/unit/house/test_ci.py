"""The frame around the tests: `.ci/run`, the Makefile's checks, and skips that fail on CI."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def run(*command: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )


PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", ".")


SKIPS = """
import pytest

def test_runs(): pass
def test_skips(): pytest.skip("no such tool")

@pytest.mark.skipif(True, reason="no such database")
def test_is_marked(): pass

@pytest.mark.xfail(reason="known")
def test_fails_as_known(): assert False
"""


@pytest.mark.parametrize(
    ("ci", "summary"), [("", "1 passed, 2 skipped, 1 xfailed"), ("true", "1 failed, 1 passed, 1 xfailed, 1 error")]
)
def test_a_skip_fails_on_ci(tmp_path, ci, summary):
    shutil.copy(ROOT / "tests/conftest.py", tmp_path)
    (tmp_path / "test_it.py").write_text(SKIPS)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    done = run(*PYTEST, cwd=tmp_path, CI=ci)
    assert summary in done.stdout.splitlines()[-1]
    assert ("no such database" in done.stdout) == bool(ci)


def test_a_skipped_module_fails_on_ci(tmp_path):
    shutil.copy(ROOT / "tests/conftest.py", tmp_path)
    (tmp_path / "test_it.py").write_text("import pytest\npytest.importorskip('no_such_package')\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    done = run(*PYTEST, cwd=tmp_path, CI="true")
    assert done.returncode != 0
    assert "no_such_package" in done.stdout


@pytest.fixture
def machine(tmp_path):
    """A directory of the few programs that make itself needs: a PATH to which a test adds fakes."""
    for program in ("sh", "bash", "grep", "sed", "expand", "find", "awk", "cut"):
        found = shutil.which(program)
        assert found, f"this test needs {program}"
        (tmp_path / program).symlink_to(found)
    return tmp_path


def fake(directory: Path, program: str, script: str) -> None:
    (directory / program).write_text(f"#!/bin/sh\n{script}\n")
    (directory / program).chmod(0o755)


NEEDS = [
    ({}, "Python 3.11 or newer"),
    ({"python3": "exit 1"}, "Python 3.11 or newer"),
    ({"python3": 'case "$*" in *ensurepip*) exit 1;; esac'}, "apt-get install python3-venv"),
    ({"python3": ""}, "'cargo' is not on PATH"),
    ({"python3": "", "cargo": "echo cargo 1.85.0 abc"}, "Rust 1.89 or newer; found: cargo 1.85.0"),
    ({"python3": "", "cargo": "echo cargo 1.89.0 abc"}, "'cc' is not on PATH"),
]


@pytest.mark.parametrize(("programs", "said"), NEEDS)
def test_setup_names_what_the_machine_lacks(machine, programs, said):
    make = shutil.which("make")
    assert make
    for program, script in programs.items():
        fake(machine, program, script)
    venv = machine / "venv"
    done = run(make, "-f", str(ROOT / "Makefile"), "setup", f"VENV={venv}", "SHELL=/bin/sh", cwd=ROOT, PATH=str(machine))
    assert done.returncode != 0
    assert said in done.stderr
    assert not venv.exists()


def test_setup_goes_on_where_nothing_lacks(machine):
    make = shutil.which("make")
    assert make
    for program in ("python3", "cc"):
        fake(machine, program, 'case "$*" in *venv\\ *) echo "would make a venv"; exit 7;; esac')
    fake(machine, "cargo", "echo cargo 2.0.0 abc")
    done = run(
        make, "-f", str(ROOT / "Makefile"), "setup", f"VENV={machine / 'venv'}", "SHELL=/bin/sh", cwd=ROOT, PATH=str(machine)
    )
    assert "would make a venv" in done.stdout


JUNIT = '<testsuites><testsuite tests="{}" failures="{}" errors="{}" skipped="{}"/></testsuites>'
CARGO = "running 3 tests\ntest result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n"
CARGO_FAILED = "test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n"
CARGO_IGNORED = "test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s\n"
COUNTS = [
    (CARGO * 2, JUNIT.format(10, 0, 0, 0), "16 passed, 0 failed", 0),
    (CARGO_FAILED, JUNIT.format(10, 2, 1, 0), "9 passed, 4 failed", 1),
    (CARGO_IGNORED, JUNIT.format(10, 0, 0, 2), "10 passed, 3 failed", 1),
    (CARGO, None, "3 passed, 1 failed", 1),
    ("", JUNIT.format(0, 0, 0, 0), "0 passed, 2 failed", 1),
    ("", JUNIT.format(5, 0, 0, 0), "5 passed, 1 failed", 1),
]


@pytest.mark.parametrize(("cargo", "junit", "line", "code"), COUNTS)
def test_the_closing_line_counts_what_ran(tmp_path, cargo, junit, line, code):
    (tmp_path / "log").write_text(cargo)
    if junit:
        (tmp_path / "junit.xml").write_text(junit)
    done = run(sys.executable, ROOT / ".ci/count.py", "log", "junit.xml", cwd=tmp_path)
    assert done.stdout.splitlines()[-1] == line
    assert done.returncode == code


@pytest.mark.parametrize(
    ("asked", "cargo", "code", "said"),
    [
        ("smoke", "exit 1", 0, "Skipped: fuzzing of the kernel (scan, "),
        ("fuzz", "exit 1", 2, "make fuzz: a nightly toolchain of Rust is needed"),
        ("sanitize", "", 2, "make sanitize: c++ is needed; `apt-get install g++` installs it"),
        ("miri", "", 2, "make miri: cargo-miri is needed; `rustup component add miri rust-src --toolchain nightly` installs it"),
    ],
)
def test_fuzzing_names_what_the_machine_lacks(machine, asked, cargo, code, said):
    fake(machine, "cargo", cargo)
    done = run(sys.executable, ROOT / "kernel/fuzz/run.py", asked, cwd=machine, PATH=str(machine))
    assert (done.returncode, said in done.stdout + done.stderr) == (code, True), done.stdout + done.stderr
