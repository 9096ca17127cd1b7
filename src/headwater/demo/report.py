"""What came of the demonstration: the figures, the rows, whether it all adds up, and how a person reads that."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from headwater.demo.server import count_lines, rows_of, sample_lines
from headwater.demo.simulator import Reported

SAMPLES = 2
VIOLATIONS = 8
RULE_COLUMNS = ("read", "matched", "not matched", "failed")


class Dataset(msgspec.Struct, frozen=True):
    """What a dataset's files hold: rows counted by reading them, and a few of them."""

    rows: int
    samples: list[str]


class Report(msgspec.Struct, frozen=True):
    """Everything that was found. ``problems`` is empty where all balances hold and every dataset got rows."""

    url: str
    directory: Path
    seconds: float
    reported: Reported
    status: dict[str, Any]
    datasets: dict[str, Dataset]
    problems: list[str]


def make_report(url: str, seconds: float, reported: Reported, status: dict[str, Any], directory: Path) -> Report:
    """Reads the datasets in ``directory`` and judges."""
    datasets = {name: Dataset(count_lines(files), sample_lines(files, SAMPLES)) for name, files in rows_of(directory).items()}
    return Report(url, directory, seconds, reported, status, datasets, judge(reported, status, datasets))


def judge(reported: Reported, status: Mapping[str, Any], datasets: Mapping[str, Dataset]) -> list[str]:
    """What is not as it must be, one sentence each."""
    collected, etl, deliver = status["collect"], status["etl"], status["deliver"]
    problems = []
    for balance in status["balances"]:
        if not balance["balanced"] or balance["in"] != balance["out"] + balance["dropped"] + balance["dead"]:
            problems.append(f"The balance of the hop {balance['hop']} does not hold: {balance}")
    for name in sorted(etl["datasets"].keys() | deliver.keys()):
        found = datasets[name].rows if name in datasets else 0
        written = deliver.get(name, {}).get("written", 0)
        if found == 0:
            problems.append(f"The dataset {name} got no rows")
        if found != written:
            problems.append(f"The files of {name} hold {found} rows, but the sink says that it wrote {written}")
    taken = collected["accepted"] + collected["dead"].get("unregistered_event", 0)
    if taken != reported.sent.total():
        problems.append(f"The apps reported {reported.sent.total()} events, but {taken} were accepted or unregistered")
    if etl["read"] != collected["accepted"]:
        problems.append(f"The collector accepted {collected['accepted']} events, but the first hop read {etl['read']}")
    if etl["duplicates"] != reported.mistakes["reported twice"]:
        problems.append(
            f"{reported.mistakes['reported twice']} events were reported twice, but {etl['duplicates']} repeats were met"
        )
    if reported.not_queued:
        problems.append(f"The client had no room for {reported.not_queued} events")
    if reported.refused.keys() - {"401"}:
        problems.append(f"The server refused batches of the client: {dict(reported.refused)}")
    return problems + [f"The server says: {error}" for error in status["errors"]]


def as_json(report: Report) -> str:
    """One object on one line, for scripts."""
    status = report.status
    value = {
        "ok": not report.problems,
        "problems": report.problems,
        "url": report.url,
        "seconds": round(report.seconds, 1),
        "reported": msgspec.to_builtins(report.reported),
        "collect": status["collect"],
        "etl": status["etl"],
        "balances": status["balances"],
        "datasets": {name: dataset.rows for name, dataset in report.datasets.items()},
        "delay_ms": status["delay_ms"],
    }
    return msgspec.json.encode(value).decode()


def show(report: Report, console: Console) -> None:
    """Prints it for a person."""
    balances, delay = report.status["balances"], report.status["delay_ms"]
    hops = [balance for balance in balances if not balance["hop"].startswith("rule ")]
    rules = [balance for balance in balances if balance["hop"].startswith("rule ")]
    sections: list[tuple[str, RenderableType]] = [
        ("What was reported", _reported(report)),
        ("What came in", _came_in(report.status)),
        ("What was refused, and why", _refusals(report.status)),
        ("What was accepted with a note, because it is not as registered", _violations(report.status["collect"]["violations"])),
        ("Balances of the hops: in = out + dropped + dead", _balances(hops, "hop", "in", "out", "dropped", "dead")),
        (
            "Balances of the rules: read = matched + not matched + failed",
            _balances(rules, "", "read", "matched", "not matched", "failed"),
        ),
        (f"What the datasets hold ({report.directory / 'out'})", _datasets(report.datasets)),
        ("Delay from the collector's stamp to the durable row", Text(f"p50 {delay['p50']} ms, p99 {delay['p99']} ms")),
    ]
    for title, content in sections:
        console.print()
        console.print(Text(title, style="bold"))
        console.print(Padding(content, (0, 0, 0, 2), expand=False))
    console.print()
    if report.problems:
        console.print(Text("Not as it must be:", style="bold red"))
        for problem in report.problems:
            console.print(Text(f"  {problem}", style="red"))
    else:
        console.print(Text("All balances hold, and every dataset got rows.", style="bold green"))


def _reported(report: Report) -> Table:
    reported = report.reported
    apps = ", ".join(f"{app} {count:,}" for app, count in sorted(reported.sent.items()))
    rows = [("events", reported.sent.total(), f"{apps}; by {reported.people:,} people in {report.seconds:.0f} s")]
    return _counts(rows + [(f"  {name}", count, "made on purpose") for name, count in sorted(reported.mistakes.items())])


def _came_in(status: Mapping[str, Any]) -> Table:
    return _counts(
        [
            ("received", status["collect"]["received"], "events in requests, well-formed or not"),
            ("accepted", status["collect"]["accepted"], "durable in the log before the answer"),
            ("repeats", status["etl"]["duplicates"], "met again by event_id, and left out"),
        ]
    )


def _counts(rows: list[tuple[str, int, str]]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(justify="right")
    table.add_column(style="dim")
    for name, count, note in rows:
        table.add_row(name, f"{count:,}", note)
    return table


def _refusals(status: Mapping[str, Any]) -> Table:
    """Drops and dead letters by reason with an example, then what rules failed on."""
    letters = status["dead_letters"]
    details = {letter["reason"]: letter.get("detail", "") for letter in reversed(letters)}
    failures = {letter["rule"]: f"{letter.get('detail', '')} of {letter.get('column')}" for letter in letters if "rule" in letter}
    table = _columns("what became of it", "reason", "events", "for example", right=(2,))
    for reason, count in sorted(status["collect"]["dropped"].items()):
        table.add_row("dropped", reason, f"{count:,}", "")
    for reason, count in sorted(status["collect"]["dead"].items()):
        table.add_row("dead letter", reason, f"{count:,}", Text(details.get(reason, "")))
    for rule, figures in sorted(status["etl"]["rules"].items()):
        if figures["failed"]:
            table.add_row("dead letter", f"rule {rule} failed", f"{figures['failed']:,}", Text(failures.get(rule, "")))
    return table


def _violations(violations: list[dict[str, Any]]) -> Table:
    """The most frequent ones; the status page has them all."""
    table = _columns("app", "event", "violation", "events", right=(3,))
    for row in violations[:VIOLATIONS]:
        table.add_row(row["app"], row["event"], Text(row["violation"]), f"{row['count']:,}")
    if len(violations) > VIOLATIONS:
        rest = violations[VIOLATIONS:]
        table.add_row("…", f"{len(rest)} more kinds", "", f"{sum(row['count'] for row in rest):,}")
    return table


def _balances(balances: list[dict[str, Any]], *names: str) -> Table:
    table = _columns(*names, "", right=(1, 2, 3, 4))
    for balance in balances:
        numbers = [f"{balance[part]:,}" for part in ("in", "out", "dropped", "dead")]
        held = Text("holds", "green") if balance["balanced"] else Text("does not hold", "red")
        table.add_row(balance["hop"].removeprefix("rule "), *numbers, held)
    return table


def _datasets(datasets: Mapping[str, Dataset]) -> Group:
    parts: list[RenderableType] = []
    for name, dataset in datasets.items():
        parts.append(Text(f"{name}: {dataset.rows:,} rows"))
        parts += [Text(f"  {line}", style="dim", overflow="ellipsis", no_wrap=True) for line in dataset.samples]
    return Group(*parts)


def _columns(*names: str, right: tuple[int, ...]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for at, name in enumerate(names):
        table.add_column(name, justify="right" if at in right else "left")
    return table
