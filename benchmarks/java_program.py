"""Builds and runs the Java comparison: `benchmarks/java`, with jars from Maven Central under `build/java`."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import java_rules

from headwater.rules import PhysicalRule

HERE = Path(__file__).parent / "java"
BUILD = Path(__file__).parents[1] / "build" / "java"
TOOLS = ("java", "javac", "mvn")
MODES = ("protobuf", "jackson")


def missing() -> str | None:
    """Which tool is not there; None where all are."""
    return next((tool for tool in TOOLS if shutil.which(tool) is None), None)


def jars() -> Path:
    """The directory of jars, fetched once. Raises subprocess.CalledProcessError where they cannot be had."""
    lib = fetched(HERE / "pom.xml", BUILD / "lib")
    next(lib.glob("protoc-*.exe")).chmod(0o755)
    return lib


def fetched(pom: Path, lib: Path) -> Path:
    """The directory ``lib`` with the jars that a pom asks for, fetched once. Raises subprocess.CalledProcessError."""
    done = lib / hashlib.sha256(pom.read_bytes()).hexdigest()[:16]
    if not done.exists():
        command = ["mvn", "-q", "-B", "-f", str(pom), "dependency:copy-dependencies", f"-DoutputDirectory={lib}"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        done.touch()
    return lib


def built(rules: list[PhysicalRule], batches: list[bytes]) -> Path:
    """A directory with the classes, the rules' source and the events."""
    lib, place = jars(), BUILD / "run"
    shutil.rmtree(place, ignore_errors=True)
    (place / "source").mkdir(parents=True)
    for name, content in java_rules.translated(rules).items():
        (place / name).write_text(content)
    (place / "events.ndjson").write_bytes(b"".join(batches))
    protoc = next(lib.glob("protoc-*.exe"))
    subprocess.run([protoc, f"--proto_path={place}", f"--java_out={place / 'source'}", place / "workload.proto"], check=True)
    sources = [*HERE.glob("*.java"), *(place / "source").rglob("*.java")]
    command = ["javac", "-nowarn", "-Xlint:none", "-XDsuppressNotes", "-d", place / "classes", "-cp", f"{lib}/*", *sources]
    subprocess.run(command, check=True)
    return place


def run(place: Path, mode: str, seconds: float, runs: int) -> dict[str, Any]:
    """Measures one kind of event: ``rows`` and ``bytes`` of one round, and CPU ``seconds_per_event`` of each run."""
    # One collector thread that is not measured: its time is a gift to Java.
    command = ["java", "-Xmx4g", "-Xms4g", "-XX:+UseSerialGC", "-cp", f"{place / 'classes'}:{BUILD / 'lib'}/*", "Bench", mode]
    ran = subprocess.run([*command, str(place), str(seconds), str(runs)], check=True, stdout=subprocess.PIPE)
    found: dict[str, Any] = json.loads(ran.stdout)
    return found
