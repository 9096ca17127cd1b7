"""The status page in a browser: what it shows when empty, at work and full, and that names of events stay text."""

import copy
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, expect, sync_playwright

from headwater.console import StatusPage
from headwater.core import clock

CHROMIUM = Path("/usr/bin/chromium")
if not CHROMIUM.exists():
    if os.environ.get("CI"):
        pytest.fail(f"{CHROMIUM} is missing: apt-get install chromium", pytrace=False)
    pytest.skip(f"{CHROMIUM} is missing: apt-get install chromium", allow_module_level=True)

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
HOSTILE = "<script>window.broken=1</script><img src=x onerror='window.broken=1'>"
EMPTY: dict[str, Any] = {
    "snapshot": {
        "project": "shop", "source": "app_events", "number": 3, "hash": "ab" * 32, "created_time": 0,
        "apps": 1, "event_types": 2, "rules": 1, "refused": None, "warnings": [],
    },
    "collect": {"received": 0, "accepted": 0, "dropped": {}, "dead": {}, "refused": {}, "events": [], "violations": []},
    "etl": {"read": 0, "duplicates": 0, "dead": 0, "unique": 0, "rules": {}, "datasets": {}, "snapshot": 3, "lag": 0},
    "deliver": {}, "balances": [], "dead_letters": [], "errors": [], "delay_ms": {"p50": None, "p99": None},
}  # fmt: skip


def rule(matched: int, failed: int = 0) -> dict[str, Any]:
    return {
        "into": "orders", "running": True, "in": 100, "not_matched": 100 - matched - failed,
        "matched": matched, "failed": failed, "where_errors": 0, "not_finite": 0,
    }  # fmt: skip


def at_work() -> dict[str, Any]:
    status = copy.deepcopy(EMPTY)
    status["collect"] = {
        "received": 107, "accepted": 102, "dropped": {"wrong_key": 4}, "dead": {"malformed": 1}, "refused": {},
        "events": [
            {"app": "shop", "event": "order", "accepted": 90, "flagged": 7, "dead": 0},
            {"app": "shop", "event": HOSTILE, "accepted": 12, "flagged": 0, "dead": 0},
        ],
        "violations": [{"app": "shop", "event": "order", "violation": "missing:properties.id", "count": 7}],
    }  # fmt: skip
    status["etl"] |= {"read": 102, "duplicates": 2, "unique": 100, "rules": {"orders": rule(30, 3), HOSTILE: rule(5)}}
    status["etl"]["datasets"] = {"orders": {"matched": 35, "emitted": 35}}
    status["etl"]["kernel"] = {
        "events": 102, "rejects": 2, "sampled": 3, "timed": 1,
        "rules": {"orders": {"evaluated": 33, "bytes": 4000, "nulls": 2, "ns": 41_200}},
        "fields": {
            "event": {"coerced": 0, "type_errors": 0, "present": 3, "nulls": 0},
            "properties.price": {"coerced": 4, "type_errors": 1, "present": 2, "nulls": 1},
        },
        "datasets": {"orders": {"rows": 35, "bytes": 4000}},
    }  # fmt: skip
    status["deliver"] = {"orders": {"read": 35, "written": 35, "lag": 0, "error": None}}
    status["balances"] = [
        {"hop": "collect", "in": 107, "out": 102, "dropped": 4, "dead": 1, "balanced": True},
        {"hop": "etl", "in": 102, "out": 100, "dropped": 2, "dead": 0, "balanced": True},
        {"hop": "rule orders", "in": 100, "out": 30, "dropped": 67, "dead": 3, "balanced": True},
        {"hop": "deliver orders", "in": 35, "out": 35, "dropped": 0, "dead": 0, "balanced": True},
    ]
    status["dead_letters"] = [
        {
            "reason": "malformed",
            "hop": "collect",
            "app": "shop",
            "event": HOSTILE,
            "detail": HOSTILE,
            "received_time": 5,
            "raw": HOSTILE,
        },
    ]
    status["delay_ms"] = {"p50": 12, "p99": 48}
    return status


class Served:
    """The page on a port of its own; set ``status`` and it shows with the next refresh."""

    def __init__(self) -> None:
        self.status: dict[str, Any] = EMPTY
        self.failing = False
        listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        config = uvicorn.Config(StatusPage(self.figures, str), log_level="critical", lifespan="off")
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [listener]}, daemon=True)
        self.thread.start()

    def figures(self) -> dict[str, Any]:
        if self.failing:
            raise RuntimeError("failing on purpose")
        status = copy.deepcopy(self.status)
        status["snapshot"]["created_time"] = clock.now_ms() - 65_000
        return status

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(10)


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    served = Served()
    yield served
    served.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, served: Served) -> Iterator[Page]:
    served.failing = False
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda line: faults.append(line.text) if "Content Security Policy" in line.text else None)
    yield page
    assert not faults
    context.close()


def show(page: Page, served: Served, status: dict[str, Any]) -> None:
    served.status = status
    page.goto(served.url)
    expect(page.locator("#health")).not_to_have_text("Loading")


def test_empty_it_says_how_to_send_the_first_event(page: Page, served: Served) -> None:
    show(page, served, EMPTY)
    expect(page.locator("#health")).to_have_text("Ready")
    expect(page.locator("#curl")).to_contain_text(f"curl {served.url}/v1/events -u WRITE_KEY:")
    expect(page.locator("#tables")).to_be_hidden()
    expect(page.locator("#facts")).to_contain_text("Snapshot3abababab")
    expect(page.locator("#facts")).to_contain_text("1 min ago")


def test_the_first_event_appears_without_a_reload(page: Page, served: Served) -> None:
    show(page, served, EMPTY)
    served.status = at_work()
    expect(page.locator("#start")).to_be_hidden(timeout=10_000)
    expect(page.locator("#health")).to_have_text("All balanced")


def test_at_work_it_shows_every_hop_and_adds_up(page: Page, served: Served) -> None:
    show(page, served, at_work())
    hops = page.locator(".hop")
    expect(hops).to_have_count(3)
    expect(hops.nth(0).locator(".sum")).to_have_text("107 in= 102 out+ 4 dropped+ 1 dead")
    expect(hops.nth(0)).to_contain_text("wrong_key 4")
    expect(hops.nth(1).locator(".sum")).to_have_text("102 in= 100 out+ 2 dropped+ 0 dead")
    expect(hops.nth(2).locator(".sum")).to_have_text("35 in= 35 out+ 0 dropped+ 0 dead")
    expect(page.locator("#events tbody tr").first).to_have_text("ordershop–9070")
    expect(page.locator("#rules tbody tr").first).to_have_text("ordersorders–306703")
    said = "Looked at for 33 events, 4,000 bytes, 2 columns NULL, about 412 ns an event"
    expect(page.locator("#rules tbody tr").first).to_have_attribute("title", said)
    expect(page.locator("#fields tbody tr")).to_have_text("properties.price41")
    expect(page.locator("#datasets tbody tr")).to_have_text("orders–35350")
    expect(page.locator("#violations tbody tr")).to_have_text("ordershoprequired, but missingproperties.id7")
    expect(page.locator("#refusals tbody tr")).to_have_count(4)
    expect(page.locator("#facts")).to_contain_text("12 ms")
    expect(page.locator("#facts")).to_contain_text("48 ms")


def test_hostile_names_are_text(page: Page, served: Served) -> None:
    show(page, served, at_work())
    for place in ("#events tbody", "#rules tbody", "#letters .letter-head"):
        expect(page.locator(place)).to_contain_text(HOSTILE)
    page.locator("#letters summary").click()
    expect(page.locator("#letters pre")).to_have_text(HOSTILE)
    assert page.evaluate("window.broken") is None
    assert page.locator("main script, main img").count() == 0


def test_a_refused_edit_is_shown_once_with_its_findings(page: Page, served: Served) -> None:
    status = at_work()
    status["snapshot"]["refused"] = "rules/a.sql:1:8: error: no field `x`\n  1 | SELECT x\n    |        ^"
    status["errors"] = [status["snapshot"]["refused"]]
    show(page, served, status)
    expect(page.locator("#health")).to_have_text("Last edit not taken")
    expect(page.locator(".alert")).to_have_count(1)
    expect(page.locator(".alert")).to_contain_text("snapshot 3 runs on")
    expect(page.locator(".alert pre")).to_have_text(status["snapshot"]["refused"])
    served.status = at_work()
    expect(page.locator(".alert")).to_have_count(0, timeout=10_000)


def test_a_loss_is_named_with_its_numbers(page: Page, served: Served) -> None:
    status = at_work()
    status["balances"][3] |= {"out": 33, "balanced": False}
    show(page, served, status)
    expect(page.locator("#health")).to_have_text("Out of balance")
    expect(page.locator(".alert")).to_contain_text("deliver orders: 35 in, but 33 out + 0 dropped + 0 dead")
    expect(page.locator(".hop.off .verdict")).to_have_text("2 missing")


def test_no_answer_is_said_and_the_last_figures_stay(page: Page, served: Served) -> None:
    show(page, served, at_work())
    served.failing = True
    expect(page.locator("#health")).to_have_text("No answer", timeout=10_000)
    expect(page.locator(".alert")).to_contain_text("The figures below are those of")
    expect(page.locator("#events tbody tr")).to_have_count(2)
    served.failing = False
    expect(page.locator("#health")).to_have_text("All balanced", timeout=10_000)


def test_two_thousand_rules_are_cut_filtered_and_sorted(page: Page, served: Served) -> None:
    status = at_work()
    status["etl"]["rules"] = {f"r{i:05d}": rule(i % 97) for i in range(2000)}
    show(page, served, status)
    rows = page.locator("#rules tbody tr")
    expect(rows).to_have_count(12)
    expect(rows.first).to_contain_text("r00096")
    page.locator("#rules .more").click()
    expect(rows).to_have_count(2000)
    page.locator("#rules input").fill("R0012")
    expect(rows).to_have_count(10)
    expect(page.locator("#rules .bar")).to_contain_text("10 of 2,000")
    page.locator("#rules th", has_text="Rule").locator("button").click()
    expect(rows.first).to_contain_text("r00120")
    page.locator("#rules th", has_text="Rule").locator("button").click()
    expect(rows.first).to_contain_text("r00129")


def test_a_refresh_keeps_rows_scroll_filters_and_opened_letters(page: Page, served: Served) -> None:
    status = at_work()
    status["etl"]["rules"] = {f"r{i:05d}": rule(i % 97) for i in range(300)}
    show(page, served, status)
    page.locator("#rules .more").click()
    page.locator("#rules input").fill("r00")
    page.locator("#letters summary").click()
    page.locator("#rules .scroll").evaluate("element => { element.scrollTop = 700; }")
    page.evaluate("window.row = document.querySelector('#rules tbody').children[40]")
    later = copy.deepcopy(status)
    later["collect"]["received"] = 108
    later["collect"]["dropped"]["wrong_key"] = 5
    served.status = later
    expect(page.locator("#refusals")).to_contain_text("wrong_keydroppedcollect0.", timeout=10_000)
    assert page.evaluate("window.row === document.querySelector('#rules tbody').children[40]")
    assert page.locator("#rules .scroll").evaluate("element => element.scrollTop") == 700
    expect(page.locator("#rules input")).to_have_value("r00")
    expect(page.locator("#letters pre")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1440])
def test_nothing_sticks_out_and_text_can_be_read(browser: Browser, served: Served, scheme: Any, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    show(page, served, at_work())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    light = page.evaluate("parseInt(getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]) > 128")
    assert light == (scheme == "light")
    context.close()
