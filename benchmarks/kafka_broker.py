"""One Apache Kafka broker on loopback, KRaft, with jars from Maven Central; ended in every case, its data removed."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import java_program
from confluent_kafka.admin import AdminClient

POM = Path(__file__).parent / "kafka" / "pom.xml"
TOOLS = ("java", "mvn")
START_SECONDS_MAX = 120.0
CLUSTER = "aGVhZHdhdGVyLWJlbmNo"
# As Kafka's own start script has them.
JAVA = ("java", "-server", "-Xms1g", "-Xmx1g", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35")
_TO_DIE_WITH_PARENT = 1


class Broker(NamedTuple):
    """Where it listens, and its process."""

    address: str
    pid: int
    data: Path

    def cpu_seconds(self) -> float:
        """User and system time of the process so far, its compiler and garbage collector included."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def topic_bytes(self, topic: str) -> int:
        """Bytes of the topic's segments; its index files, which are made ahead, are left out."""
        return sum(path.stat().st_size for path in self.data.glob(f"{topic}-*/*.log"))


def missing() -> str | None:
    """What is not there, or not on this system; None where a broker can be run."""
    if not sys.platform.startswith("linux"):
        return "Linux"
    return next((tool for tool in TOOLS if shutil.which(tool) is None), None)


def properties(port: int, controller_port: int, data: Path, flush_each: bool) -> str:
    """The broker's configuration. With ``flush_each``, every produce request is synced before it is acknowledged."""
    settings = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": data,
        "offsets.topic.replication.factor": 1,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "group.initial.rebalance.delay.ms": 0,
        "message.max.bytes": 16 * 1024 * 1024,
        "auto.create.topics.enable": "false",
        **({"log.flush.interval.messages": 1} if flush_each else {}),
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_TO_DIE_WITH_PARENT, signal.SIGKILL)


@contextlib.contextmanager
def running(flush_each: bool, directory: Path) -> Iterator[Broker]:
    """A broker that listens. Raises RuntimeError with the end of its output where it does not start."""
    lib = java_program.fetched(POM, java_program.BUILD.parent / "kafka")
    with tempfile.TemporaryDirectory(dir=directory) as name:
        place = Path(name)
        port, controller_port = _free_ports(2)
        config, output = place / "server.properties", place / "output"
        config.write_text(properties(port, controller_port, place / "data", flush_each))
        java = (*JAVA, "-cp", f"{lib}/*")
        with output.open("wb") as out:
            storage = (*java, "kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c", str(config))
            if subprocess.run(storage, stdout=out, stderr=out).returncode:
                raise _not_started(output)
            process = subprocess.Popen(
                (*java, "kafka.Kafka", str(config)), stdout=out, stderr=out, preexec_fn=_die_with_parent, cwd=place
            )
        try:
            broker = Broker(f"127.0.0.1:{port}", process.pid, place / "data")
            _wait_until_up(process, broker, output)
            yield broker
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_up(process: subprocess.Popen[bytes], broker: Broker, output: Path) -> None:
    admin = AdminClient({"bootstrap.servers": broker.address, "log_level": 0})
    ends_at = time.perf_counter() + START_SECONDS_MAX
    while process.poll() is None and time.perf_counter() < ends_at:
        with contextlib.suppress(Exception):
            if admin.list_topics(timeout=1).brokers:
                return
        time.sleep(0.1)
    raise _not_started(output)


def _not_started(output: Path) -> RuntimeError:
    return RuntimeError(f"the Kafka broker did not start:\n{output.read_text(errors='replace')[-3000:]}")
