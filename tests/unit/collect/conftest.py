import asyncio
import json

import pytest

from headwater.collect import Collector
from headwater.collect.plan import link
from headwater.core.record import decode_all
from headwater.core.types import BIGINT, VARCHAR, ListOf, StructOf
from headwater.registry.snapshot import App, Draft, EventType, Field, numbered, write_key_hash
from headwater.testing.memory_log import MemoryLog

KEY = "wk_0123456789abcdef01234567"
FIELDS = (
    Field(("properties", "price"), BIGINT, required=True),
    Field(("properties", "log"), StructOf((("rank", BIGINT),))),
    Field(("properties", "tags"), ListOf(VARCHAR)),
)
DRAFT = Draft(
    project="test",
    source="app_events",
    apps=(App("shop", "team", "observe", (write_key_hash(KEY),)), App("strict", "team", "enforce", (write_key_hash("strict"),))),
    event_types=(EventType("shop", "buy", 1, "team", "P1", fields=FIELDS), EventType("strict", "buy", 1, "team", "P0")),
)


class Run:
    """What one body gave, decoded."""

    def __init__(self, result):
        self.result = result
        self.records = list(decode_all(result.records))
        self.events = [json.loads(record.payload) for record in self.records]
        self.letters = [json.loads(record.payload) for record in decode_all(result.dead_records)]
        self.verdicts = json.loads(result.verdicts())


@pytest.fixture(scope="session")
def snapshot():
    return numbered(DRAFT, 7, 0)


@pytest.fixture(scope="session")
def linked(snapshot):
    return link(snapshot)


@pytest.fixture(scope="session")
def run(linked):
    def run(body, protocol="headwater", shape="events", variant="", app="shop", **options):
        given = {"received_time": 1_000_000, "seed": bytes(16), "ip": "", "user_agent": "", "client_side": False}
        result = linked.intake.run(
            body, protocol=protocol, shape=shape, variant=variant, app=app, write_key=KEY, **{**given, **options}
        )
        return Run(result)

    return run


@pytest.fixture
def ask():
    snapshot = numbered(DRAFT, 7, 0)
    collector = Collector(MemoryLog(), lambda: snapshot)

    def ask(method, path, body=b"", scheme="http", **headers):
        path, _, query = path.partition("?")
        given = [(name.replace("_", "-").encode(), text.encode()) for name, text in headers.items()]
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "headers": given,
            "scheme": scheme,
        }
        said = []

        async def receive():
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(event):
            said.append(event)

        asyncio.run(collector({**scope, "client": ("192.0.2.7", 1)}, receive, send))
        return said[0]["status"], dict(said[0]["headers"]), said[1]["body"]

    ask.collector = collector
    yield ask
    collector.close()
