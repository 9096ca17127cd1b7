"""Runs what the documentation shows. CONTRIBUTING.md tells the marks that a page uses."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import msgspec
import pytest

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
CHECKED = ("sh", "bash", "python", "sql", "toml", "json")
FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^(?P=indent)```[ ]*$", re.MULTILINE | re.DOTALL)
MARK = re.compile(r"<!--\s*(?P<kind>file|output|up|sources|not run)\b:?\s*(?P<value>.*?)\s*-->", re.DOTALL)
ANY_PORT = re.compile(r"(127\.0\.0\.1|localhost):8080")
SHELL_TIMEOUT_S = 120


class Block(msgspec.Struct):
    """A fence of a page with the marks between the fence before and it."""

    page: str
    line: int
    language: str
    text: str
    marks: dict[str, str]

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


def blocks_of(page: str, text: str) -> list[Block]:
    found, end = [], 0
    for fence in FENCE.finditer(text):
        marks = {mark["kind"]: mark["value"] for mark in MARK.finditer(text, end, fence.start())}
        indent = fence["indent"]
        lines = [line.removeprefix(indent) for line in fence["text"].splitlines()]
        line = text.count("\n", 0, fence.start()) + 1
        found.append(Block(page, line, fence["language"], "\n".join(lines) + "\n", marks))
        end = fence.end()
    return found


def matches(shown: str, got: str) -> bool:
    """Whether an output is as shown. `…` stands for any text within a line, a line of `…` alone for any lines."""
    parts = []
    for line in shown.strip("\n").splitlines():
        if line.strip() in ("…", "..."):
            parts.append(r"(?:[^\n]*\n)*?")
        else:
            parts.append(r"[^\n]*".join(re.escape(part) for part in line.rstrip().split("…")) + r"[ ]*\n")
    return re.fullmatch("".join(parts), got.strip("\n") + "\n") is not None


class Page:
    """Runs the blocks of one page in a scratch directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.output = ""
        self.sources: dict[str, object] = {}
        self.udfs: Any = None
        self.server: subprocess.Popen[bytes] | None = None
        self.port = 8080
        self.environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HEADWATER_CHECKOUT": str(ROOT),
            "NO_COLOR": "1",
            "COLUMNS": "130",
        }

    def run(self, block: Block) -> None:
        if "sources" in block.marks:
            self.read_sources(block)
        if "up" in block.marks:
            self.up(block)
        if "not run" in block.marks:
            assert block.marks["not run"], f"{block.place}: `not run` needs a reason"
            return
        if "file" in block.marks:
            path = self.directory / block.marks["file"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)
        if "output" in block.marks:
            assert matches(block.text, self.output), f"{block.place}: shown is\n{block.text}\nbut got\n{self.output}"
        elif block.language in CHECKED:
            getattr(self, "run_" + block.language.replace("bash", "sh"))(block)

    def execute(self, block: Block, *command: str) -> None:
        done = subprocess.run(
            command,
            input=ANY_PORT.sub(rf"\1:{self.port}", block.text),
            cwd=self.directory,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SHELL_TIMEOUT_S,
        )
        self.output = ANY_PORT.sub(r"\1:8080", done.stdout.replace(f":{self.port}", ":8080"))
        assert done.returncode == 0, f"{block.place}: exit code {done.returncode}\n{self.output}"

    def run_sh(self, block: Block) -> None:
        self.execute(block, "bash", "-eu", "-o", "pipefail", "-s")

    def run_python(self, block: Block) -> None:
        self.execute(block, sys.executable, "-")

    def run_toml(self, block: Block) -> None:
        try:
            tomllib.loads(block.text)
        except tomllib.TOMLDecodeError as error:
            pytest.fail(f"{block.place}: {error}")

    def run_json(self, block: Block) -> None:
        try:
            json.loads(re.sub(r"\{…\}|\[…\]", "null", block.text))
        except json.JSONDecodeError as error:
            pytest.fail(f"{block.place}: {error}")

    def run_sql(self, block: Block) -> None:
        from headwater.rules import compile_sql

        compiled = compile_sql(block.text, f"{block.page}", self.sources, self.udfs)
        errors = [str(finding) for finding in compiled.findings if finding.severity == "error"]
        assert not errors, f"{block.place}:\n" + "\n".join(errors)
        assert compiled.rules, f"{block.place}: no rule in it"

    def read_sources(self, block: Block) -> None:
        """`sources: app_events=FILE`, a JSON Schema in the scratch directory or the checkout; or `sources: DIR`, a project."""
        from headwater.registry import project
        from headwater.registry.json_schema import source_from_file

        name, _, file = block.marks["sources"].rpartition("=")
        path = next((base / file for base in (self.directory, ROOT) if (base / file).exists()), None)
        assert path, f"{block.place}: sources: there is no {file}"
        if name:
            self.sources = {name: source_from_file(name, path)}
        else:
            draft = project.compile(project.load(path))
            self.sources, self.udfs = dict(draft.sources), draft.udfs

    def up(self, block: Block) -> None:
        """Starts `headwater up` on a free port; blocks that name port 8080 reach it there."""
        assert self.server is None, f"{block.place}: already up"
        log = self.directory / "up.log"
        with log.open("wb") as out:
            self.server = subprocess.Popen(
                ["headwater", "up", block.marks["up"], "--port", "0"],
                cwd=self.directory,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + 60
        while not (found := re.search(r"127\.0\.0\.1:(\d+)", log.read_text())):
            assert self.server.poll() is None, f"{block.place}: `headwater up` ended\n{log.read_text()}"
            assert time.monotonic() < deadline, f"{block.place}: `headwater up` named no URL\n{log.read_text()}"
            time.sleep(0.05)
        self.port = int(found.group(1))
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/status.json", timeout=5).close()
                return
            except (urllib.error.URLError, ConnectionError):
                assert time.monotonic() < deadline, f"{block.place}: no answer\n{log.read_text()}"
                time.sleep(0.05)

    def close(self) -> None:
        if self.server and self.server.poll() is None:
            self.server.send_signal(signal.SIGTERM)
            try:
                self.server.wait(20)
            except subprocess.TimeoutExpired:
                self.server.kill()
                self.server.wait()


def run_page(name: str, text: str, directory: Path) -> int:
    """Runs every block of a page; how many there were."""
    page, blocks = Page(directory), blocks_of(name, text)
    try:
        for block in blocks:
            page.run(block)
    finally:
        page.close()
    return len(blocks)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_page(path, tmp_path):
    run_page(path.relative_to(ROOT).as_posix(), path.read_text(), tmp_path)


def test_a_page_runs_in_order(tmp_path):
    text = """
<!-- file: a/b.json -->
```json
{"x": 1}
```
```sh
cat a/b.json; echo http://127.0.0.1:8080/
```
<!-- output -->
```
{"x": …}
http://127.0.0.1:8080/
```
- in a list
  ```python
  print(1 + 1)
  ```
  <!-- output -->
  ```text
  2
  ```
<!-- not run: it would take all day -->
```bash
exit 1
```
"""
    assert run_page("p.md", text, tmp_path) == 6


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\n```sh\necho no; exit 3\n```\n", "p.md:2: exit code 3"),
        ("```json\n{,}\n```\n", "p.md:1: "),
        ("```toml\na = \n```\n", "p.md:1: "),
        ("```python\nraise ValueError('such')\n```\n", "such"),
        ("```sh\necho 1\n```\n<!-- output -->\n```\n2\n```\n", "p.md:5: shown is"),
        ("<!-- not run: -->\n```sh\nexit 1\n```\n", "needs a reason"),
    ],
)
def test_what_does_not_hold_is_found(tmp_path, text, said):
    with pytest.raises((AssertionError, pytest.fail.Exception)) as raised:
        run_page("p.md", text, tmp_path)
    assert said in str(raised.value)


def test_shown_outputs():
    assert matches("a …\n…\nz\n", "a b c\n1\n2\nz\n")
    assert matches("a\n…\n", "a\n")
    assert not matches("a\n", "a\nb\n")
    assert not matches("a…\n", "ba\n")
