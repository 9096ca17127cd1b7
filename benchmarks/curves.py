"""Draws how the kernel's cost grows: with rules, outputs, bytes of an event, and apps, as SVG files.

Each point is the median of a few runs, ns of CPU time an event, and stands on the terminal as soon as it is measured. `--parts`
names the curves. Most of the time goes into compiling the rules of the first one: `--rules-max 10000` leaves out two points.
"""

from __future__ import annotations

import argparse
import functools
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import workload
import workload_rules
from chart import Chart, Line, svg

from headwater.measure.kernel import BATCH_EVENTS, Measured, measure

EVENTS = 4000
SEED = 11
FIXED = "INSERT INTO wide SELECT event_id, event_time AS ts, upper(properties.enter_from) AS entry FROM app_events WHERE"
Point = tuple[float, Measured]
Measure = Callable[[list[bytes], Iterator[bytes]], Measured]


def point(rules: list[bytes], lines: Iterator[bytes], *, runs: int, seconds: float) -> Measured:
    """What one point of a curve is."""
    return measure(rules, list(workload.batches(lines, BATCH_EVENTS)), runs=runs, seconds=seconds)


def stored(text: str) -> list[bytes]:
    return [rule.canonical() for rule in workload_rules.compiled(text)]


def by_rules(rules_max: int, point: Measure) -> Iterator[Point]:
    """10 → 100,000 rules of the workload. Above 2,000 most are for one group of users, so that fewer match."""
    for count in (10, 30, 100, 300, 1000, 3000, 10_000, 30_000, 100_000):
        if count <= rules_max:
            yield count, point(workload_rules.stored_rules(count), workload.events(EVENTS, SEED))


def by_outputs(point: Measure) -> Iterator[Point]:
    """0 → 50 outputs an event, each into a dataset of its own."""
    for count in (0, 1, 2, 5, 10, 20, 35, 50):
        rules = [f"-- rule: r{at}\n{FIXED.replace('wide', f'd{at}')} app >= 'app'" for at in range(count)]
        never = f"-- rule: never\n{FIXED} event = 'never'"
        yield count, point(stored(";\n".join([*rules, never])), workload.events(EVENTS, SEED))


def by_bytes(point: Measure) -> Iterator[Point]:
    """200 B → 20 KB an event, 100 rules: the bytes are fields that no rule names."""
    rules = workload_rules.stored_rules(100)
    yield 200, point(rules, small_events())
    for size in (1000, 2000, 5000, 10_000, 20_000):
        yield size, point(rules, padded(size))


def small_events() -> Iterator[bytes]:
    """Events of about 200 bytes: without context and most properties."""
    for line in workload.events(EVENTS, SEED):
        event = json.loads(line)
        kept = {name: event[name] for name in ("event", "app", "event_id", "event_time", "user_id", "platform")}
        yield json.dumps(kept | {"properties": {"duration_ms": event["properties"]["duration_ms"]}}).encode()


def padded(size: int) -> Iterator[bytes]:
    """Events with further properties up to a size."""
    chance = random.Random(SEED)
    for line in workload.events(EVENTS, SEED):
        extra, left, number = [], size - len(line), 0
        while left > 0:
            extra.append(
                f'"more_{number}":{{"id":"{chance.getrandbits(64):016x}","at":{chance.randrange(10**9)},"tags":["a","b"]}}'
            )
            left, number = left - len(extra[-1]) - 1, number + 1
        yield line[:-1] + b"," + ",".join(extra).encode() + b"}" if extra else line


def by_apps(point: Measure) -> Iterator[Point]:
    """2 → 2,000 apps, 2,000 rules: one event type, each rule for a part of one app's users, so that one matches each event."""
    for apps in (2, 20, 200, 2000):
        width = apps // 2
        rules = [
            f"-- rule: r{at}\n{FIXED} event = 'video_view' AND app = 'a{at % apps}'"
            f" AND properties.ab_group >= {at // apps * width} AND properties.ab_group < {at // apps * width + width}"
            for at in range(2000)
        ]
        yield apps, point(stored(";\n".join(rules)), of_apps(apps))


def of_apps(apps: int) -> Iterator[bytes]:
    for number, line in enumerate(workload.events(EVENTS, SEED)):
        event = json.loads(line)
        yield json.dumps(event | {"event": "video_view", "app": f"a{number * 7 % apps}"}).encode()


# What the picture says of each curve: title, horizontal axis, whether the axes are logarithmic.
CURVES: dict[str, tuple[str, str, bool, bool]] = {
    "rules": ("More rules", "rules (below: outputs an event)", True, False),
    "outputs": ("More outputs", "outputs an event, each into a dataset of its own", False, False),
    "bytes": ("Larger events", "bytes an event (100 rules; what is added is in fields that no rule names)", True, True),
    "apps": ("More apps", "apps (2,000 rules, each for a part of one app's users: one output an event)", True, False),
}


def chart(name: str, points: list[Point]) -> Chart:
    """The picture of a curve."""
    title, axis, log_x, log_y = CURVES[name]
    lines = [
        Line("the kernel: check, run all rules, write rows", [found.ns_per_event for _x, found in points], 0),
        Line("finding the structure of the same bytes alone", [found.structure_ns_per_event or 1 for _x, found in points], 1),
    ]
    below = [f"{found.outputs_per_event:.2g}" for _x, found in points] if "below" in axis else []
    what = f"ns of CPU time an event; JSON, {points[0][1].dispatch}, one thread, batches of {points[0][1].batch_events:,} events"
    return Chart(title, what, axis, [x for x, _found in points], lines, log_x, log_y, below)


def main() -> None:
    """The command line."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--parts", nargs="+", choices=CURVES, default=list(CURVES))
    arguments.add_argument("--rules-max", type=int, default=100_000)
    arguments.add_argument("--runs", type=int, default=3, help="of each point")
    arguments.add_argument("--seconds", type=float, default=0.4, help="of one run")
    arguments.add_argument("--directory", type=Path, default=Path("build/curves"))
    given = arguments.parse_args()
    make: dict[str, Callable[[Measure], Iterator[Point]]] = {
        "rules": functools.partial(by_rules, given.rules_max),
        "outputs": by_outputs,
        "bytes": by_bytes,
        "apps": by_apps,
    }
    measure_one = functools.partial(point, runs=given.runs, seconds=given.seconds)
    given.directory.mkdir(parents=True, exist_ok=True)
    for name in given.parts:
        points = []
        for x, found in make[name](measure_one):
            print(f"{name} {x:,}: {found.ns_per_event:,} ns an event, {found.outputs_per_event:,} outputs", flush=True)
            points.append((x, found))
        file = given.directory / f"{name}.svg"
        file.write_text(svg(chart(name, points)))
        print(f"{name}: {file}", flush=True)


if __name__ == "__main__":
    main()
