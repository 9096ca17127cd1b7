"""The status: what balances and what does not, the latest dead letters without the events themselves."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from headwater.core.record import Record, encode
from headwater.embedded.status import DEAD_LETTERS_SHOWN_MAX, balances, latest_dead_letters
from headwater.log.interface import AppendGroup, Batch
from headwater.testing.memory_log import MemoryLog

RULE = {"in": 7, "matched": 4, "not_matched": 2, "failed": 1}
COLLECT: dict[str, Any] = {"received": 12, "accepted": 9, "dropped": {"wrong_key": 1}, "dead": {"malformed": 2}}
ETL: dict[str, Any] = {
    "read": 9,
    "unique": 7,
    "duplicates": 1,
    "dead": 1,
    "rules": {"likes": RULE},
    "datasets": {"actions": {"matched": 4, "emitted": 4}},
}
DELIVER: dict[str, Any] = {"actions": {"read": 4, "written": 4}}


def test_every_hop_rule_and_dataset_has_a_balance() -> None:
    found = balances(COLLECT, ETL, DELIVER)
    assert [tuple(hop.values()) for hop in found] == [
        ("collect", 12, 9, 1, 2, True),
        ("etl", 9, 7, 1, 1, True),
        ("rule likes", 7, 4, 2, 1, True),
        ("dataset actions", 4, 4, 0, 0, True),
        ("deliver actions", 4, 4, 0, 0, True),
    ]


@pytest.mark.parametrize(
    ("hop", "collect", "etl", "deliver"),
    [
        ("collect", {"received": 13}, {}, {}),
        ("etl", {}, {"unique": 6}, {}),
        ("rule likes", {}, {"rules": {"likes": {**RULE, "in": 3, "not_matched": -2}}}, {}),
        ("dataset actions", {}, {"datasets": {"actions": {"matched": 4, "emitted": 5}}}, {}),
        ("deliver actions", {}, {}, {"actions": {"read": 4, "written": 3}}),
    ],
)
def test_what_does_not_add_up_is_said(hop: str, collect: dict[str, Any], etl: dict[str, Any], deliver: dict[str, Any]) -> None:
    found = balances({**COLLECT, **collect}, {**ETL, **etl}, {**DELIVER, **deliver})
    assert [each["hop"] for each in found if not each["balanced"]] == [hop]


def test_the_latest_dead_letters_of_all_hops() -> None:
    log = MemoryLog()
    assert latest_dead_letters(log) == []
    for partition, shard in ((0, "collect-0"), (1, "etl-0")):
        letters = [
            {"reason": "malformed", "received_time": 2 * n + partition, "raw": "someone's secret", "detail": "at byte 1"}
            for n in range(100)
        ]
        data = b"".join(encode(Record(payload=msgspec.json.encode(letter))) for letter in letters)
        log.writer(shard).append(AppendGroup(batches=(Batch("dead_letters", partition, data, 100),)))
    found = latest_dead_letters(log)
    assert [letter["received_time"] for letter in found] == list(range(199, 199 - DEAD_LETTERS_SHOWN_MAX, -1))
    assert found[0] == {"reason": "malformed", "received_time": 199, "detail": "at byte 1"}


def test_the_latest_dead_letters_where_they_are_large() -> None:
    log = MemoryLog()
    writer = log.writer("collect-0")
    for n in range(60):
        letter = encode(Record(payload=msgspec.json.encode({"reason": "malformed", "received_time": n, "raw": "x" * 300_000})))
        writer.append(AppendGroup(batches=(Batch("dead_letters", 0, letter, 1),)))
    found = latest_dead_letters(log)
    assert found[0] == {"reason": "malformed", "received_time": 59}
    assert len(found) > 1
