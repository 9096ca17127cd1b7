"""The workload of `headwater.measure.workload` by command; with `dirty` it has what breaks things: `workload_dirty.py`."""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Iterator
from typing import Any

import workload_dirty

from headwater.measure import workload as plain
from headwater.measure.workload import batches

__all__ = ["batches", "events", "rules", "schema"]


def events(count: int, seed: int = 1, *, dirty: bool = False) -> Iterator[bytes]:
    """NDJSON lines without their line feeds, about 880 bytes each."""
    if not dirty:
        yield from plain.events(count, seed)
        return
    chance = random.Random(seed)
    for number in range(count):
        event = plain.draw_event(chance, number)
        workload_dirty.soil_event(chance, event)
        yield workload_dirty.soil_line(chance, json.dumps(event, ensure_ascii=number % 10 == 0, separators=(",", ":")))


def rules(count: int, seed: int = 7, *, dirty: bool = False) -> str:
    """The text of a file of rules. With `dirty`, those of `workload_dirty.RULES` follow."""
    return "\n".join([plain.rules(count, seed), *(workload_dirty.rules() if dirty else [])])


def schema(*, dirty: bool = False) -> dict[str, Any]:
    """The JSON Schema of the dataset `app_events`."""
    return plain.schema(workload_dirty.SCHEMA if dirty else None)


def main() -> None:
    """`workload.py events N`, `workload.py rules N` or `workload.py schema`, to standard output."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("what", choices=["events", "rules", "schema"])
    arguments.add_argument("count", type=int, nargs="?", default=1000)
    arguments.add_argument("--seed", type=int, help="default: 1 for events, 7 for rules")
    arguments.add_argument("--dirty", action="store_true", help="with what breaks things")
    given = arguments.parse_args()
    if given.what == "schema":
        json.dump(schema(dirty=given.dirty), sys.stdout, indent=1)
    elif given.what == "rules":
        sys.stdout.write(rules(given.count, 7 if given.seed is None else given.seed, dirty=given.dirty))
    else:
        for batch in batches(events(given.count, 1 if given.seed is None else given.seed, dirty=given.dirty), 1000):
            sys.stdout.buffer.write(batch)


if __name__ == "__main__":
    main()
