"""Real input: GitHub's own example webhooks, reported with the unmodified Segment client and split by rules.

The payloads are those of the npm package `@octokit/webhooks-examples` (`make webhooks` fetches it). The plan is inferred from
them, to a depth; what each dataset must hold is read from the payloads with `json` alone.
"""

import json
import re
import time
from collections import Counter, defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from segment.analytics.client import Client

from headwater.demo.run import has_arrived
from headwater.demo.server import Server, rows_of

INDEX = Path(__file__).parents[2] / "build/node_modules/@octokit/webhooks-examples/api.github.com/index.json"
KEY = "wk_00000000000000000000c0de"
DEPTH_MAX = 3
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
NAME = re.compile(r"[A-Za-z_]\w*")


def infer(values: list[Any], depth: int = 0) -> Any:
    """The type of all these values: a scalar's name, [type] for a list, {name: type} for a struct, None where all are null."""
    values = [value for value in values if value is not None]
    kinds = {type(value) for value in values}
    if not values:
        return None
    if kinds == {int}:
        return "BIGINT"
    if kinds <= {int, float}:
        return "DOUBLE"
    if kinds == {bool}:
        return "BOOLEAN"
    if kinds == {str}:
        return "TIMESTAMP" if all(STAMP.fullmatch(value) for value in values) else "VARCHAR"
    if kinds == {list}:
        return [infer([item for value in values for item in value], depth + 1) or "JSON"]
    if kinds == {dict} and depth < DEPTH_MAX:
        names = sorted({name for value in values for name in value if NAME.fullmatch(name)})
        fields = {name: infer([value.get(name) for value in values], depth + 1) for name in names}
        return {name: kind for name, kind in fields.items() if kind} or "JSON"
    return "JSON"


def written(kind: Any) -> str:
    """The type as a plan writes it."""
    if isinstance(kind, list):
        return written(kind[0]) + "[]"
    if isinstance(kind, dict):
        return "STRUCT(" + ", ".join(f'"{name}" {written(inner)}' for name, inner in kind.items()) + ")"
    return kind


def expected(value: Any, kind: Any) -> Any:
    """What a dataset holds of a value registered as this type."""
    if value is None or kind == "JSON":
        return value
    if isinstance(kind, list):
        return [expected(item, kind[0]) for item in value]
    if isinstance(kind, dict):
        inner = {name: expected(value.get(name), of) for name, of in kind.items()}
        return {name: item for name, item in inner.items() if item is not None}
    if kind == "TIMESTAMP":
        text = datetime.fromisoformat(value).astimezone(UTC).isoformat()
        stamp = text.removesuffix("+00:00")
        return (stamp.rstrip("0") if "." in stamp else stamp) + "Z"
    return value


class Webhooks:
    """The payloads, the plan inferred from them, and the rules."""

    def __init__(self) -> None:
        if not INDEX.exists():
            pytest.skip("the package @octokit/webhooks-examples is not there; `make webhooks` fetches it with npm")
        self.payloads: list[tuple[str, str, dict[str, Any]]] = []
        for entry in json.loads(INDEX.read_text()):
            for number, payload in enumerate(entry["examples"]):
                self.payloads.append((entry["name"], f"{entry['name']}-{number}", payload))
        by_name: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for name, _, payload in self.payloads:
            by_name[name].append(payload)
        self.plan = {name: infer(payloads) for name, payloads in by_name.items()}
        found = Counter(repository for _, _, payload in self.payloads if (repository := repository_of(payload)))
        self.repositories = {f"repository_{slug(name)}": name for name in found}

    def columns(self, name: str) -> dict[str, tuple[tuple[str, ...], Any]]:
        """Column → (path in the payload, type): every top-level field whole, and the scalars one level down by themselves."""
        columns: dict[str, tuple[tuple[str, ...], Any]] = {}
        for field, kind in self.plan[name].items():
            columns[field] = ((field,), kind)
            for inner, of in kind.items() if isinstance(kind, dict) else ():
                if isinstance(of, str) and of != "JSON":
                    columns[f"{field}__{inner}"] = ((field, inner), of)
        return columns

    def write_project(self, directory: Path) -> None:
        (directory / "plan").mkdir()
        (directory / "rules").mkdir()
        (directory / "headwater.toml").write_text('name = "github"\nmode = "file-led"\nsource = "app_events"\n')
        plan = [f'[[app]]\nname = "github"\nowner = "tests"\nmode = "enforce"\nwrite_keys = ["{KEY}"]\n']
        for name, fields in self.plan.items():
            plan.append(f'[[event_type]]\napp = "github"\nname = "{name}"\nowner = "tests"\ntier = "P1"\n[event_type.properties]')
            plan += [f"{field} = '{written(kind)}'" for field, kind in fields.items()]
        (directory / "plan/github.toml").write_text("\n".join(plan) + "\n")
        (directory / "rules/types.sql").write_text("\n".join(self.rule_of_type(name) for name in self.plan))
        (directory / "rules/repositories.sql").write_text(
            "\n".join(map(rule_of_repository, *zip(*self.repositories.items(), strict=True)))
        )

    def rule_of_type(self, name: str) -> str:
        columns = "".join(f",\n  {sql_path(path)} AS {quoted(column)}" for column, (path, _) in self.columns(name).items())
        return (
            f"-- rule: type_{name}\nINSERT INTO type_{name} SELECT event_id{columns}\nFROM app_events WHERE event = '{name}';\n"
        )


def rule_of_repository(dataset: str, repository: str) -> str:
    return (
        f"-- rule: {dataset}\nINSERT INTO {dataset}\n"
        "SELECT event_id, event, properties.action AS action, properties.sender.id AS sender_id,\n"
        "  properties.sender.login AS sender, properties.sender.site_admin AS is_admin,\n"
        "  properties.repository.id AS repository_id\n"
        f"FROM app_events WHERE properties.repository.full_name = '{repository}';\n"
    )


def repository_of(payload: dict[str, Any]) -> str | None:
    return (payload.get("repository") or {}).get("full_name")


def slug(name: str) -> str:
    return re.sub(r"\W+", "_", name)


def quoted(name: str) -> str:
    return '"' + name + '"'


def sql_path(path: tuple[str, ...]) -> str:
    return ".".join(("properties", *map(quoted, path)))


def read(payload: dict[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = payload
    for step in path:
        value = value.get(step) if isinstance(value, dict) else None
    return value


def report(url: str, payloads: list[tuple[str, str, dict[str, Any]]]) -> list[str]:
    """Sends each payload as a `track` event; the ids of those that the client would not take."""
    failed: list[Exception] = []
    too_large = []
    client = Client(KEY, host=url, gzip=True, on_error=lambda error, _: failed.append(error))
    for name, event_id, payload in payloads:
        try:
            queued, _ = client.track(
                anonymous_id=f"repo-{repository_of(payload)}", event=name, properties=payload, message_id=event_id
            )
            assert queued
        except RuntimeError:
            too_large.append(event_id)
    client.flush()
    client.join()
    assert not failed
    return too_large


@pytest.fixture(scope="module")
def webhooks() -> Webhooks:
    return Webhooks()


@pytest.fixture(scope="module")
def ran(webhooks, tmp_path_factory):
    """(status, rows by dataset) of a project that got every payload and stopped in order."""
    directory = tmp_path_factory.mktemp("github")
    webhooks.write_project(directory)
    with Server(directory, 0) as server:
        too_large = report(server.url, webhooks.payloads)
        # The client's limit is 32 kB an event; today's largest payload has 28 kB.
        assert too_large == []
        status = wait_for(server, len(webhooks.payloads))
        assert server.stop() == 0, server.log_tail()
    rows = {
        dataset: [json.loads(line) for file in files for line in file.read_text().splitlines()]
        for dataset, files in rows_of(directory).items()
    }
    return status, rows


def wait_for(server: Server, events: int) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while True:
        status = server.status()
        if status["etl"]["read"] == events and has_arrived(status):
            return status
        assert time.monotonic() < deadline, status
        time.sleep(0.1)


def test_the_package_is_the_one_we_know(webhooks):
    assert len(webhooks.payloads) == 329
    kinds = {kind for name in webhooks.plan for _, kind in webhooks.columns(name).values() if isinstance(kind, str)}
    assert kinds >= {"BIGINT", "BOOLEAN", "TIMESTAMP", "VARCHAR", "JSON"}


def test_every_payload_is_accepted_and_balanced(ran):
    status, _ = ran
    assert status["collect"]["received"] == status["collect"]["accepted"] == 329
    assert status["etl"]["unique"] == 329
    assert status["etl"]["dead"] == 0
    assert all(balance["balanced"] for balance in status["balances"])


def test_each_event_type_has_its_dataset(webhooks, ran):
    _, rows = ran
    for name in webhooks.plan:
        columns = webhooks.columns(name)
        want = {}
        for event, event_id, payload in webhooks.payloads:
            if event == name:
                values = {column: expected(read(payload, path), kind) for column, (path, kind) in columns.items()}
                want[event_id] = {
                    "event_id": event_id,
                    **{column: value for column, value in values.items() if value is not None},
                }
        got = {row["event_id"]: row for row in rows[f"type_{name}"]}
        assert len(rows[f"type_{name}"]) == len(want)
        assert got == want


def test_each_repository_has_its_dataset(webhooks, ran):
    _, rows = ran
    for dataset, repository in webhooks.repositories.items():
        want = []
        for event, event_id, payload in webhooks.payloads:
            if repository_of(payload) == repository:
                sender = payload.get("sender") or {}
                row = {
                    "event_id": event_id,
                    "event": event,
                    "action": payload.get("action"),
                    "sender_id": sender.get("id"),
                    "sender": sender.get("login"),
                    "is_admin": sender.get("site_admin"),
                    "repository_id": payload["repository"].get("id"),
                }
                want.append({column: value for column, value in row.items() if value is not None})
        assert sorted(rows[dataset], key=lambda row: row["event_id"]) == sorted(want, key=lambda row: row["event_id"])


def test_no_row_is_anywhere_else(webhooks, ran):
    _, rows = ran
    assert rows.keys() - {"dead_letters"} == {f"type_{name}" for name in webhooks.plan} | webhooks.repositories.keys()
    assert not rows.get("dead_letters")
