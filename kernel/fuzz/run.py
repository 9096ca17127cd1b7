"""Runs the fuzz targets: python kernel/fuzz/run.py fuzz|smoke|sanitize|miri.

- **fuzz**: FUZZ_SECONDS (60) for each of FUZZ_TARGETS (all of them), as many at a time as there are cores; inputs that find
  something new stay in `build/fuzz/corpus` for the next time, those that fail in `build/fuzz/found`.
- **smoke**: the same for a few seconds; a machine that cannot is passed over, and says why.
- **sanitize**: the kernel's tests and every known input of every target under the address sanitizer, on each way of finding
  structure.
- **miri**: the tests of what is written with raw pointers, in Miri. It knows no AVX and no C, and is too slow for the long ones.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import seeds

KERNEL = Path(__file__).resolve().parents[1]
BUILD = KERNEL.parent / "build/fuzz"
TARGETS = ("scan", "physical", "rules", "protobuf", "wire", "records", "intake", "patterns")
DISPATCHES = ("avx512", "avx2", "portable")
SMOKE_SECONDS = 5
MIRI_TESTS = (
    "pen::",
    "record::",
    "deduplicate::",
    "panics::",
    "index::tests::alternatives",
    "index::tests::rules_without",
    "scan::tests::finds",
    "scan::tests::a_wrong",
)
HOW = {
    "cargo-fuzz": "`cargo install cargo-fuzz`",
    "c++": "`apt-get install g++`",
    "cargo-miri": "`rustup component add miri rust-src --toolchain nightly`",
}
LIMITS = ("-rss_limit_mb=2048", "-malloc_limit_mb=512", "-timeout=20", "-max_len=16384")


@dataclass
class Run:
    """What one target did."""

    target: str
    executions: str
    coverage: str
    found: int
    ended: int

    def line(self) -> str:
        """One line of the table."""
        return f"{self.target:10} {self.executions:>12} {self.coverage:>10} {self.found:>9}"


def lacking(tools: tuple[str, ...]) -> str:
    """What the machine lacks, and how it is got; empty where it has all."""
    if (
        not shutil.which("cargo")
        or subprocess.run(["cargo", "+nightly", "--version"], capture_output=True, check=False).returncode
    ):
        return "a nightly toolchain of Rust is needed; `rustup toolchain install nightly` installs one"
    lacks = [tool for tool in tools if not shutil.which(tool)]
    return f"{lacks[0]} is needed; {HOW[lacks[0]]} installs it" if lacks else ""


def host() -> str:
    """The triple of this machine."""
    said = subprocess.run(["rustc", "+nightly", "-vV"], capture_output=True, text=True, check=True).stdout
    return re.findall(r"^host: (.+)$", said, re.MULTILINE)[0]


def build() -> Path:
    """Builds the targets with the address sanitizer; where they lie."""
    subprocess.run(["cargo", "+nightly", "fuzz", "build"], cwd=KERNEL, check=True)
    return KERNEL / "fuzz/target" / host() / "release"


def known(target: str) -> list[str]:
    """The directories with inputs of a target. New ones go into the first."""
    places = [BUILD / "corpus" / target, BUILD / "seeds" / target]
    for place in places:
        place.mkdir(parents=True, exist_ok=True)
    return [str(place) for place in places]


def libfuzzer(programs: Path, target: str, *options: str, **environment: str) -> Run:
    """Runs one target; what it prints goes to `build/fuzz/TARGET.log`."""
    found = BUILD / "found" / target
    found.mkdir(parents=True, exist_ok=True)
    log = BUILD / f"{target}.log"
    command = [programs / target, *known(target), *LIMITS, f"-artifact_prefix={found}/", "-print_final_stats=1", *options]
    with log.open("wb") as out:
        ended = subprocess.run(command, stdout=out, stderr=out, check=False, env={**os.environ, **environment}).returncode
    said = log.read_text(errors="replace")
    counted = re.findall(r"number_of_executed_units: (\d+)", said)
    covered = re.findall(r"\bcov: (\d+)", said)
    inputs = len(list(found.iterdir()))
    return Run(target, counted[-1] if counted else "?", covered[-1] if covered else "?", inputs, ended)


def report(runs: list[Run]) -> int:
    """Prints the table; 1 where a target found something or did not end as it should."""
    print(f"{'target':10} {'executions':>12} {'coverage':>10} {'findings':>9}")
    for run in runs:
        print(run.line())
    failed = [run for run in runs if run.ended or run.found]
    for run in failed:
        print(f"{run.target} failed: see build/fuzz/{run.target}.log; what fails lies in build/fuzz/found/{run.target}")
    return 1 if failed else 0


def fuzz(seconds: int) -> int:
    """Every target for so many seconds."""
    programs = build()
    seeds.write(BUILD / "seeds")
    chosen = os.environ.get("FUZZ_TARGETS", "").split() or list(TARGETS)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return report(list(pool.map(lambda target: libfuzzer(programs, target, f"-max_total_time={seconds}"), chosen)))


def sanitize() -> int:
    """The kernel's tests, and the known inputs, under the address sanitizer."""
    flags = {**os.environ, "RUSTFLAGS": "-Zsanitizer=address", "RUST_BACKTRACE": "0", "CARGO_PROFILE_DEV_OPT_LEVEL": "2"}
    failed = 0
    for way in DISPATCHES:
        print(f"== cargo test, {way}", flush=True)
        command = ["cargo", "+nightly", "test", "--quiet", "--target", host(), "--target-dir", "target/sanitize", "--tests"]
        failed += subprocess.run(command, cwd=KERNEL, check=False, env={**flags, "HEADWATER_DISPATCH": way}).returncode
    programs = build()
    seeds.write(BUILD / "seeds")
    for way in DISPATCHES:
        print(f"== known inputs, {way}", flush=True)
        failed += report([libfuzzer(programs, target, "-runs=0", HEADWATER_DISPATCH=way) for target in TARGETS])
    return 1 if failed else 0


def miri() -> int:
    """Tests by name: pens, records, scans and whole runs on the portable way."""
    command = ["cargo", "+nightly", "miri", "test", "--lib", "--target-dir", "target/miri", "--", *MIRI_TESTS]
    # Programs ask the environment how to find structure, and the clock nothing.
    flags = {"MIRIFLAGS": "-Zmiri-disable-isolation"}
    return subprocess.run(command, cwd=KERNEL, check=False, env={**os.environ, **flags}).returncode


def main(asked: str) -> int:
    """Does what is asked for; 2 where the machine cannot."""
    lacks = lacking(("cargo-miri",) if asked == "miri" else ("c++", "cargo-fuzz"))
    if lacks and asked == "smoke":
        print(f"Skipped: fuzzing of the kernel ({', '.join(TARGETS)}): {lacks}")
        return 0
    if lacks:
        print(f"make {asked}: {lacks}", file=sys.stderr)
        return 2
    match asked:
        case "miri":
            return miri()
        case "sanitize":
            return sanitize()
        case "smoke":
            return fuzz(SMOKE_SECONDS)
    return fuzz(int(os.environ.get("FUZZ_SECONDS", "60")))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
