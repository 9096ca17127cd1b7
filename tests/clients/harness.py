"""Real SDKs against a real collector: each reports so many events, which must arrive once with equal content."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playwright.sync_api import Page, sync_playwright

from headwater.collect import Collector, HttpConnection
from headwater.core.clock import monotonic_s
from headwater.core.record import decode_all
from headwater.log.shared import open_log
from headwater.log.stores.folder import FolderStorage
from headwater.registry.snapshot import App, Draft, numbered, write_key_hash

KEY = "wk_0123456789abcdef01234567"
EVENTS = 1000
BUILT = Path(__file__).parents[2] / "build" / "clients"
PROGRAMS = Path(__file__).parent / "programs"
DRAFT = Draft(project="test", source="app_events", apps=(App("shop", "team", "observe", (write_key_hash(KEY),)),), event_types=())
CLIENT_S_MAX = 240.0
CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# SDKs tell bots, headless browsers among them, and report nothing then.
USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"


class Served:
    """A collector over HTTP, with a log in a folder. ``paths``: how often each was asked for."""

    def __init__(self, folder: Path) -> None:
        self.log = open_log({"local": FolderStorage(folder)})
        snapshot = numbered(DRAFT, 1, 0)
        self.collector = Collector(self.log, lambda: snapshot)
        self.paths: Counter[str] = Counter()
        config = uvicorn.Config(self._app, interface="asgi3", host="127.0.0.1", port=0, log_level="warning", http=HttpConnection)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        until(lambda: self._server.started, 20)
        self.port = self._server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        self.paths[scope.get("path", "")] += 1
        await self.collector(scope, receive, send)

    def stop(self) -> None:
        """Answers what is under way, and ends."""
        self.collector.drain()
        self._server.should_exit = True
        self._thread.join(20)
        self.collector.close()
        self.log.close()

    def events(self, topic: str = "app_events") -> list[dict[str, Any]]:
        """All that arrived so far, as the log has it."""
        found: list[dict[str, Any]] = []
        offset = 0
        while offset < self.log.end_offset(topic, 0):
            fetch = self.log.read(topic, 0, offset, 1 << 22)
            found.extend(json.loads(record.payload) for record in decode_all(fetch.data))
            offset = fetch.next_offset
        return found

    def arrived(self, count: int, seconds: float = 30.0) -> list[dict[str, Any]]:
        """The events, once there are so many. Fails where there are fewer or more, some twice, or a dead letter."""
        until(lambda: len(self.events()) >= count, seconds)
        events = self.events()
        assert not self.events("dead_letters"), self.events("dead_letters")[0]
        assert len(events) == count, f"{len(events)} events in place of {count}"
        twice = [found for found, times in Counter(event["event_id"] for event in events).items() if times > 1]
        assert not twice, f"events that are there twice: {twice[:3]}"
        assert KEY not in json.dumps(events), "the write key is in an event"
        return events


def until(reached: Any, seconds: float) -> None:
    """Waits until something is so, or for as long."""
    ends = monotonic_s() + seconds
    while not reached() and monotonic_s() < ends:
        threading.Event().wait(0.02)


def python(program: str, served: Served, environment: str = "python", **given: str) -> None:
    """Runs a program of tests/clients/programs with an SDK's own Python. Fails where it does."""
    _run([str(BUILT / environment / "bin" / "python"), str(PROGRAMS / program)], served, given)


def node(program: str, served: Served, **given: str) -> None:
    """Runs a program of tests/clients/programs with Node. Fails where it does."""
    _run(["node", str(PROGRAMS / program)], served, {"NODE_PATH": str(BUILT / "node_modules"), **given})


def browser(program: str, served: Served, *scripts: str, events: int = EVENTS, **given: str) -> None:
    """Runs a program of tests/clients/programs in Chromium, on a page of another site than the collector's.

    ``scripts``: the SDK's files below build/clients/node_modules, which the page loads. The program is an async function of
    {URL, KEY, COUNT, …given}; `await arrived()` tells it how many events are there. Once it is done and so many ``events``
    arrived, the page is left. Fails where the program throws, or takes longer than CLIENT_S_MAX.
    """
    need_chromium()
    text = (PROGRAMS / program).read_text()
    values = {"URL": served.url, "KEY": KEY, "COUNT": str(EVENTS), **given}
    limited = (
        "async given => await Promise.race([(\n%s\n)(given),"
        " new Promise((_, fail) => setTimeout(() => fail(new Error('it takes too long')), %d))])"
    )
    said: list[str] = []
    with _page(said) as (page, site):
        page.expose_function("arrived", lambda: served.log.end_offset("app_events", 0))
        page.goto(f"{site}/")
        for script in scripts:
            page.add_script_tag(url=f"{site}/{script}")
        try:
            page.evaluate(limited % (text, CLIENT_S_MAX * 1000), values)
        except Exception as error:
            raise AssertionError(f"{program}: {error}\n" + "\n".join(said[-20:])) from None
        until(lambda: served.log.end_offset("app_events", 0) >= events, 30)
        page.goto("about:blank")
    assert not any(line.startswith("pageerror") for line in said), said


@contextmanager
def _page(said: list[str]) -> Iterator[tuple[Page, str]]:
    """A page, and the site that serves it."""
    handler = partial(_Files, directory=str(BUILT / "node_modules"))
    site = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=site.serve_forever, daemon=True)
    thread.start()
    try:
        with sync_playwright() as playwright:
            chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), headless=True, args=list(FLAGS))
            page = chromium.new_context(user_agent=USER_AGENT).new_page()
            page.on("console", lambda line: said.append(f"{line.type}: {line.text}"))
            page.on("pageerror", lambda error: said.append(f"pageerror: {error}"))
            yield page, f"http://localhost:{site.server_address[1]}"
            chromium.close()
    finally:
        site.shutdown()
        thread.join(20)
        site.server_close()


class _Files(SimpleHTTPRequestHandler):
    """The page at /, and SDKs."""

    def do_GET(self) -> None:
        if self.path.partition("?")[0] != "/":
            return super().do_GET()
        page = b"<!doctype html><title>Shop</title><body><h1>Shop</h1></body>"
        self.send_response(200)
        self.send_header("content-type", "text/html; charset=utf-8")
        self.send_header("content-length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_: Any) -> None:
        pass


def _run(command: list[str], served: Served, given: dict[str, str]) -> None:
    environment = {**os.environ, "URL": served.url, "KEY": KEY, "COUNT": str(EVENTS), **given}
    environment = {name: text for name, text in environment.items() if not name.lower().endswith("_proxy")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=CLIENT_S_MAX, check=False)
    assert done.returncode == 0, f"{command[-1]} ended with {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"


def need_clients() -> None:
    """Skips where the SDKs could not be fetched; fails on CI."""
    if not (BUILT / ".installed").exists():
        if os.environ.get("CI"):
            pytest.fail("the SDKs are not there; `make clients` fetches them", pytrace=False)
        pytest.skip("the SDKs are not there; `make clients` fetches them")


def need_chromium() -> None:
    """Skips where there is no Chromium; fails on CI."""
    if not CHROMIUM.exists():
        if os.environ.get("CI"):
            pytest.fail(f"{CHROMIUM} is missing: apt-get install chromium", pytrace=False)
        pytest.skip(f"{CHROMIUM} is missing: apt-get install chromium")
