"""Draws how the kernel's cost grows: with rules, outputs, bytes of an event, and apps. SVG files, written without a library.

Each point is the median of a few runs, ns of CPU time an event. `--parts` names the curves; `--rules-max 100000` takes the
first one up to 100,000 rules (compiling them takes a minute or two).
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import workload
import workload_rules

from headwater.measure.kernel import measure

EVENTS = 4000
SVG = "http://www.w3.org/2000/svg"
SEED = 11
FIXED = "INSERT INTO wide SELECT event_id, event_time AS ts, upper(properties.enter_from) AS entry FROM app_events WHERE"
Point = tuple[float, float]


def point(rules: list[bytes], lines: Iterator[bytes]) -> float:
    """ns of CPU time an event."""
    return float(measure(rules, list(workload.batches(lines, 1000)), runs=3, seconds=0.3).ns_per_event)


def stored(text: str) -> list[bytes]:
    return [rule.canonical() for rule in workload_rules.compiled(text)]


def by_rules(rules_max: int) -> Iterator[Point]:
    """10 → 100,000 rules of the workload. Above 2,000 most are for one group of users, so that fewer match."""
    for count in (10, 30, 100, 300, 1000, 3000, 10_000, 30_000, 100_000):
        if count <= rules_max:
            yield count, point(workload_rules.stored_rules(count), workload.events(EVENTS, SEED))


def by_outputs() -> Iterator[Point]:
    """0 → 50 outputs an event, each into a dataset of its own."""
    for count in (0, 1, 2, 5, 10, 20, 35, 50):
        rules = [f"-- rule: r{at}\n{FIXED.replace('wide', f'd{at}')} app >= 'app'" for at in range(count)]
        never = f"-- rule: never\n{FIXED} event = 'never'"
        yield count, point(stored(";\n".join([*rules, never])), workload.events(EVENTS, SEED))


def by_bytes() -> Iterator[Point]:
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


def by_apps() -> Iterator[Point]:
    """2 → 2,000 apps, 2,000 rules: one event type, each rule for one of the apps."""
    for apps in (2, 20, 200, 2000):
        rules = [
            f"-- rule: r{at}\n{FIXED} event = 'video_view' AND app = 'a{at % apps}' AND properties.ab_group = {at // apps}"
            for at in range(2000)
        ]
        yield apps, point(stored(";\n".join(rules)), of_apps(apps))


def of_apps(apps: int) -> Iterator[bytes]:
    for number, line in enumerate(workload.events(EVENTS, SEED)):
        event = json.loads(line)
        yield json.dumps(event | {"event": "video_view", "app": f"a{number * 7 % apps}"}).encode()


def svg(title: str, unit: str, points: list[Point], log: bool) -> str:
    """A line chart of ns an event."""
    width, height, left, bottom = 640, 360, 70, 50
    scale: Callable[[float], float] = (lambda x: math.log10(max(x, 1))) if log else (lambda x: x)
    low, high = scale(points[0][0]), scale(points[-1][0])
    top = max(y for _x, y in points) * 1.1
    place = [
        (left + (scale(x) - low) / (high - low) * (width - left - 30), (height - bottom) * (1 - y / top) + 30 * y / top)
        for x, y in points
    ]
    parts = [
        f'<svg xmlns="{SVG}" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="{left}" y="18" font-size="14">{title}: ns of CPU time an event</text>',
        f'<path d="M{left} 30V{height - bottom}H{width - 20}" fill="none" stroke="gray"/>',
        f'<text x="{width // 2}" y="{height - 8}">{unit}</text>',
        f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in place)}" fill="none" stroke="#1668a8" stroke-width="2"/>',
    ]
    for (x, y), (across, down) in zip(points, place, strict=True):
        parts.append(f'<circle cx="{across:.1f}" cy="{down:.1f}" r="3" fill="#1668a8"/>')
        parts.append(f'<text x="{across:.1f}" y="{height - bottom + 18}" text-anchor="middle">{x:,g}</text>')
        parts.append(f'<text x="{across:.1f}" y="{down - 8:.1f}" text-anchor="middle" fill="#1668a8">{y:,.0f}</text>')
    return "\n".join([*parts, "</svg>", ""])


def main() -> None:
    """The command line."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = ("rules", "outputs", "bytes", "apps")
    arguments.add_argument("--parts", nargs="+", choices=parts, default=list(parts))
    arguments.add_argument("--rules-max", type=int, default=10_000)
    arguments.add_argument("--directory", type=Path, default=Path("build/curves"))
    given = arguments.parse_args()
    curves: dict[str, tuple[Callable[[], Iterator[Point]], str, bool]] = {
        "rules": (functools.partial(by_rules, given.rules_max), "rules", True),
        "outputs": (by_outputs, "outputs an event", False),
        "bytes": (by_bytes, "bytes an event", True),
        "apps": (by_apps, "apps", True),
    }
    given.directory.mkdir(parents=True, exist_ok=True)
    for name in given.parts:
        make, unit, log = curves[name]
        points = list(make())
        (given.directory / f"{name}.svg").write_text(svg(name.capitalize(), unit, points, log))
        print(f"{name}: " + ", ".join(f"{x:,g} → {y:,.0f} ns" for x, y in points) + f" ({given.directory / name}.svg)")


if __name__ == "__main__":
    main()
