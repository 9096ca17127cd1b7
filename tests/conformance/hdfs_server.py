"""A real HDFS on loopback: the name node and data nodes of Hadoop's own tests, from Maven Central, in one Java process."""

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

VERSION = "3.4.2"
JARS = Path(__file__).parents[2] / "build" / f"minidfs-{VERSION}"
POM = f"""<project><modelVersion>4.0.0</modelVersion>
<groupId>headwater.test</groupId><artifactId>minidfs</artifactId><version>1</version>
<dependencies><dependency>
<groupId>org.apache.hadoop</groupId><artifactId>hadoop-client-minicluster</artifactId><version>{VERSION}</version>
</dependency></dependencies></project>"""
START_S_MAX = 120


def _jars(directory: Path) -> Path:
    """Hadoop's jars, fetched once. Skips the test where they cannot be had."""
    for tool in ("java", "mvn"):
        if not shutil.which(tool):
            pytest.skip(
                f"HDFS needs Java 17 and Maven; there is no {tool} (Debian: apt-get install openjdk-17-jdk-headless maven)"
            )
    if not JARS.is_dir():
        (directory / "pom.xml").write_text(POM)
        fetched = directory / "jars"
        command = ["mvn", "-q", "-B", "dependency:copy-dependencies", f"-DoutputDirectory={fetched}"]
        done = subprocess.run(command, cwd=directory, capture_output=True, check=False, text=True, timeout=600)
        if done.returncode:
            pytest.skip(f"Maven could not fetch hadoop-client-minicluster {VERSION}: {done.stdout[-300:]}{done.stderr[-300:]}")
        JARS.parent.mkdir(exist_ok=True)
        shutil.copytree(fetched, JARS, dirs_exist_ok=True)
    return JARS


@contextmanager
def hdfs_server(directory: Path, data_nodes: int = 2) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The name node's URL, and the process."""
    details = directory / "details.json"
    command = ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx512m", "-cp", f"{_jars(directory)}/*"]
    command += ["org.apache.hadoop.test.MiniDFSClusterManager", "-format", "-nnport", "0", "-httpport", "0"]
    command += ["-datanodes", str(data_nodes), "-writeDetails", str(details)]
    command += ["-D", f"hdfs.minidfs.basedir={directory / 'data'}", "-D", f"dfs.replication={data_nodes}"]
    output = directory / "output.txt"
    with output.open("w") as out, subprocess.Popen(command, stdout=out, stderr=out, cwd=directory, text=True) as process:
        try:
            waited = threading.Event()
            for _ in range(START_S_MAX * 10):
                if details.exists() and details.read_text().endswith("}"):
                    break
                assert process.poll() is None, f"HDFS ended: {output.read_text()[-2000:]}"
                waited.wait(0.1)
            else:
                raise AssertionError(f"HDFS did not start within {START_S_MAX} s: {output.read_text()[-2000:]}")
            yield f"hdfs://127.0.0.1:{json.loads(details.read_text())['namenode_port']}", process
        finally:
            process.kill()
