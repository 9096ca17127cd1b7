"""Apache Kafka on loopback, one broker or several, KRaft, with jars from Maven Central; ended in every case, its data removed."""

from __future__ import annotations

import contextlib
import ctypes
import json
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
REQUESTS = Path(__file__).parent / "kafka" / "Requests.java"
TOOLS = ("java", "mvn")
START_SECONDS_MAX = 120.0
CLUSTER = "aGVhZHdhdGVyLWJlbmNo"
# As Kafka's own start script has them.
JAVA = ("java", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35")
HEAP_MIB = 1024
CONFIG, OUTPUT = "server.properties", "output"
_TO_DIE_WITH_PARENT = 1


class Cluster(NamedTuple):
    """Where its brokers listen, their processes and their data."""

    address: str
    pids: tuple[int, ...]
    data: tuple[Path, ...]

    def cpu_seconds(self) -> float:
        """User and system time of the processes so far, their compilers and garbage collectors included."""
        return sum(_cpu_seconds(pid) for pid in self.pids)

    def topic_bytes(self, topic: str) -> int:
        """Bytes of the topic's segments, of all replicas; index files, which are made ahead, are left out."""
        return sum(path.stat().st_size for data in self.data for path in data.glob(f"{topic}-*/*.log"))

    def requests(self) -> dict[str, int]:
        """How many requests of each kind the brokers have answered so far; ``FetchFollower`` is what copies replicas."""
        command = ("java", "--add-modules", "jdk.attach", str(REQUESTS), *map(str, self.pids))
        found: dict[str, int] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        return found


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def missing() -> str | None:
    """What is not there, or not on this system; None where a broker can be run."""
    if not sys.platform.startswith("linux"):
        return "Linux"
    return next((tool for tool in TOOLS if shutil.which(tool) is None), None)


def properties(node: int, brokers: int, ports: tuple[int, int], data: Path, flush_each: bool) -> str:
    """The configuration of broker ``node`` of 1 to ``brokers``; the first is the controller as well.

    ``ports`` are its own and the controller's. With ``flush_each``, every produce request is synced before it is acknowledged.
    """
    port, controller_port = ports
    controls = node == 1
    settings = {
        "process.roles": "broker,controller" if controls else "broker",
        "node.id": node,
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "listeners": f"PLAINTEXT://127.0.0.1:{port}" + (f",CONTROLLER://127.0.0.1:{controller_port}" if controls else ""),
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": data,
        "offsets.topic.replication.factor": brokers,
        "transaction.state.log.replication.factor": brokers,
        "transaction.state.log.min.isr": brokers,
        "min.insync.replicas": brokers,
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
def running(flush_each: bool, directory: Path, brokers: int = 1, heap_mib: int = HEAP_MIB) -> Iterator[Cluster]:
    """Brokers that listen. Raises RuntimeError with the end of their output where one does not start."""
    lib = java_program.fetched(POM, java_program.BUILD.parent / "kafka")
    java = (*JAVA, f"-Xms{heap_mib}m", f"-Xmx{heap_mib}m", "-cp", f"{lib}/*")
    with tempfile.TemporaryDirectory(dir=directory) as name, contextlib.ExitStack() as ending:
        controller_port, *ports = _free_ports(1 + brokers)
        places, processes = [], []
        for node, port in enumerate(ports, 1):
            place = Path(name) / f"broker{node}"
            place.mkdir()
            (place / CONFIG).write_text(properties(node, brokers, (port, controller_port), place / "data", flush_each))
            processes.append(_started(java, place))
            ending.callback(_end, processes[-1])
            places.append(place)
        addresses = ",".join(f"127.0.0.1:{port}" for port in ports)
        cluster = Cluster(addresses, tuple(one.pid for one in processes), tuple(place / "data" for place in places))
        _wait_until_up(processes, cluster, places)
        yield cluster


def _started(java: tuple[str, ...], place: Path) -> subprocess.Popen[bytes]:
    with (place / OUTPUT).open("wb") as out:
        storage = (*java, "kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c", CONFIG)
        if subprocess.run(storage, stdout=out, stderr=out, cwd=place).returncode:
            raise _not_started([place])
        return subprocess.Popen((*java, "kafka.Kafka", CONFIG), stdout=out, stderr=out, preexec_fn=_die_with_parent, cwd=place)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait_until_up(processes: list[subprocess.Popen[bytes]], cluster: Cluster, places: list[Path]) -> None:
    admin = AdminClient({"bootstrap.servers": cluster.address, "log_level": 0})
    ends_at = time.perf_counter() + START_SECONDS_MAX
    while all(one.poll() is None for one in processes) and time.perf_counter() < ends_at:
        with contextlib.suppress(Exception):
            if len(admin.list_topics(timeout=1).brokers) == len(processes):
                return
        time.sleep(0.1)
    raise _not_started(places)


def _not_started(places: list[Path]) -> RuntimeError:
    ends = "\n".join((place / OUTPUT).read_text(errors="replace")[-3000:] for place in places)
    return RuntimeError(f"the Kafka broker did not start:\n{ends}")
