"""What `/status.json` says: figures of every hop, and whether they balance."""

from __future__ import annotations

from typing import Any

import msgspec

from headwater.console import snapshot_view
from headwater.core.record import decode_all
from headwater.embedded.process import Embedded
from headwater.etl.committed import committed_figures
from headwater.log.interface import Log

DEAD_LETTERS_SHOWN_MAX = 50
_READ_BYTES = 1024 * 1024
_TOPIC = "dead_letters"
# The raw event is not shown: it may hold personal data. It is in the files of the dataset dead_letters.
_SHOWN = ("reason", "hop", "app", "event", "rule", "column", "detail", "origin", "received_time")


def figures(embedded: Embedded) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """What came in, what the rules made of it, and where it went, as far as this process knows.

    A collector knows of the workers what they committed, and of sinks nothing.
    """
    collect = embedded.collector.figures() if embedded.collector else {}
    if embedded.workers:
        etl = embedded.workers.figures()
    else:
        etl = committed_figures(embedded.log, embedded.classes, embedded.configuration.snapshot.source)
    return collect, etl, embedded.deliverer.figures() if embedded.deliverer else {}


def status(embedded: Embedded) -> dict[str, Any]:
    """The value of `/status.json`."""
    collect, etl, deliver = figures(embedded)
    configuration = embedded.configuration
    refused = configuration.refused.text if configuration.refused else None
    errors = [*etl["errors"], *(f"{name}: {each['error']}" for name, each in deliver.items() if each["error"])]
    collector = embedded.collector
    refusals = (refused, *((collector.link_error, collector.log_error) if collector else ()))
    errors += [error for error in refusals if error and error not in errors]
    errors += embedded.log.alarms()
    return {
        "snapshot": snapshot_view(configuration.snapshot, refused, configuration.warnings),
        "collect": collect,
        "etl": etl,
        "deliver": deliver,
        "balances": balances(collect, etl, deliver),
        "dead_letters": latest_dead_letters(embedded.log),
        "errors": errors,
        "delay_ms": embedded.deliverer.delays() if embedded.deliverer else {"p50": None, "p99": None},
    }


def balances(collect: dict[str, Any], etl: dict[str, Any], deliver: dict[str, Any]) -> list[dict[str, Any]]:
    """One for each hop, each rule, and each dataset on both sides: in = out + dropped + dead."""
    dropped, dead = sum(collect["dropped"].values()), sum(collect["dead"].values())
    found = [
        _balance("collect", collect["received"], collect["accepted"], dropped, dead),
        _balance("etl", etl["read"], etl["unique"], etl["duplicates"], etl["dead"]),
    ]
    for name, rule in etl["rules"].items():
        found.append(_balance(f"rule {name}", rule["in"], rule["matched"], rule["not_matched"], rule["failed"]))
    for name, dataset in etl["datasets"].items():
        found.append(_balance(f"dataset {name}", dataset["matched"], dataset["emitted"]))
    for name, sink in deliver.items():
        found.append(_balance(f"deliver {name}", sink["read"], sink["written"]))
    return found


def _balance(hop: str, come: int, out: int, dropped: int = 0, dead: int = 0) -> dict[str, Any]:
    balanced = come == out + dropped + dead and min(come, out, dropped, dead) >= 0
    return {"hop": hop, "in": come, "out": out, "dropped": dropped, "dead": dead, "balanced": balanced}


def latest_dead_letters(log: Log) -> list[dict[str, Any]]:
    """The last ones of every hop, newest first."""
    found = []
    for partition in log.partitions(_TOPIC):
        end = log.end_offset(_TOPIC, partition)
        first = max(end - DEAD_LETTERS_SHOWN_MAX, 0)
        fetch = log.read(_TOPIC, partition, first, _READ_BYTES)
        while fetch.next_offset < end:  # Large ones: then fewer, but the last.
            first = (first + end + 1) // 2
            fetch = log.read(_TOPIC, partition, first, _READ_BYTES)
        for record in decode_all(fetch.data):
            letter = msgspec.json.decode(record.payload)
            found.append({key: letter[key] for key in _SHOWN if key in letter})
    return sorted(found, key=lambda letter: letter.get("received_time") or 0, reverse=True)[:DEAD_LETTERS_SHOWN_MAX]
