"""Measures the kernel: events a second of CPU time at 100, 1,000 and 10,000 rules, beside the same rules as Python and Java code.

One thread, the thread's own CPU time, batches of 1,000 events of the workload, everything validated; the median of several runs.
Rules of large sets match fewer events, so the outputs an event and the time an output stand beside each figure. `structure only`
finds the brackets, colons, commas and values of the same bytes and nothing else; the last column compares rates with that one.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import compiled_python
import java_program
import workload
import workload_hostile
import workload_rules

from headwater.kernel import Program, dispatch, structure_only
from headwater.measure.formats import formats
from headwater.rules import Compiled

BATCH_EVENTS = 1000
SEED = 11


def measured(run: Callable[[bytes], Any], batches: list[bytes], seconds: float, runs: int) -> list[float]:
    """CPU seconds a batch, of each run; a run goes over the batches for so many seconds. The first round warms up."""
    for batch in batches:
        run(batch)
    found = []
    for _ in range(runs):
        rounds, start = 0, time.thread_time()
        for batch in itertools.cycle(batches):
            run(batch)
            rounds += 1
            if rounds % len(batches) == 0 and time.thread_time() - start > seconds:
                break
        found.append((time.thread_time() - start) / rounds)
    return found


def figures(times: list[float], outputs_an_event: float | None = None) -> dict[str, Any]:
    """What is shown of one engine; of what writes no outputs, without them."""
    rates = [BATCH_EVENTS / seconds for seconds in times]
    rate = statistics.median(rates)
    return {
        "events_per_second": round(rate),
        "slowest": round(min(rates)),
        "fastest": round(max(rates)),
        "ns_per_event": round(1e9 / rate),
        **({"ns_per_output": round(1e9 / rate / outputs_an_event)} if outputs_an_event else {}),
    }


def on_messages(compiled: Compiled, batches: list[bytes], seconds: float, runs: int, rows: int) -> dict[str, Any]:
    """The kernel on Protobuf in and out. Raises AssertionError where it does not give so many rows."""
    made = formats(compiled, workload_rules.sources()["app_events"])
    messages = made.messages(batches)
    program = Program([rule.canonical() for rule in compiled.rules], input=made.input, outputs=made.outputs)
    found = sum(sum(program.run(batch).rows.values()) for batch in messages)
    assert found == rows, (found, rows)
    outputs = rows / (BATCH_EVENTS * len(batches))
    return figures(measured(lambda batch: program.run(batch).outputs, messages, seconds, runs), outputs)


def say(doing: str) -> None:
    """Progress, apart from the figures."""
    print(f"{time.strftime('%H:%M:%S')} {doing}", file=sys.stderr, flush=True)


def compare(compiled: Compiled, batches: list[bytes], seconds: float, runs: int, engines: set[str]) -> dict[str, Any]:
    """All engines on one set of rules. Raises AssertionError where they do not give the same number of rows."""
    rules = list(compiled.rules)
    say(f"{len(rules):,} rules: kernel")
    stored = [rule.canonical() for rule in rules]
    # By the clock: linking has a thread of its own.
    start = time.perf_counter()
    program = Program(stored)
    link_ms = (time.perf_counter() - start) * 1000
    results = [program.run(batch) for batch in batches]
    rows = sum(sum(result.rows.values()) for result in results)
    written = sum(len(text) for result in results for text in result.outputs.values())
    outputs = rows / (BATCH_EVENTS * len(batches))
    found: dict[str, Any] = {
        "rules": len(rules),
        "outputs_per_event": round(outputs, 3),
        "output_bytes_per_event": round(written / BATCH_EVENTS / len(batches)),
        "link_ms": round(link_ms, 1),
        "kernel": figures(measured(lambda batch: program.run(batch).outputs, batches, seconds, runs), outputs),
    }
    # Beside the kernel, so that both meet the machine in the same state.
    found[STRUCTURE] = figures(measured(structure_only, batches, seconds / 5, runs))
    found["kernel protobuf"] = on_messages(compiled, batches, seconds, runs, rows)
    if "python" in engines:
        say(f"{len(rules):,} rules: python")
        translated = compiled_python.PythonProgram(rules)
        for batch in batches:
            translated.run(batch)
        assert sum(translated.matched) == rows, (sum(translated.matched), rows)
        found["python"] = figures(measured(translated.run, batches, seconds, runs), outputs)
    if "java" in engines:
        say(f"{len(rules):,} rules: java (warmed up first)")
        place = java_program.built(rules, batches)
        for mode in java_program.MODES:
            ran = java_program.run(place, mode, seconds, runs)
            assert ran["rows"] == rows, (mode, ran["rows"], rows)
            found[f"java {mode}"] = figures([one * BATCH_EVENTS for one in ran["seconds_per_event"]], outputs)
    for engine in OTHERS:
        if engine in found:
            for kernel, name in (("kernel", "kernel_is_times"), ("kernel protobuf", "protobuf_is_times")):
                found[engine][name] = round(found[kernel]["events_per_second"] / found[engine]["events_per_second"], 1)
    for engine in found.keys() & {"kernel", "python", "java jackson"}:
        # Of those that read the same bytes.
        found[engine]["structure_fraction"] = round(found[engine]["events_per_second"] / found[STRUCTURE]["events_per_second"], 3)
    return found


OTHERS = ("python", *(f"java {mode}" for mode in java_program.MODES))
STRUCTURE = "structure only"
KERNELS = (STRUCTURE, "kernel", "kernel protobuf")
COLUMNS = (
    "rules", "engine", "events/s", "from", "to", "ns/event", "outputs/event", "ns/output",
    "kernel is times", "protobuf", "of structure",
)  # fmt: skip


def show(found: list[dict[str, Any]], event_bytes: float) -> None:
    """A table for people."""
    rows: list[tuple[object, ...]] = [COLUMNS]
    for row in found:
        for engine in (*KERNELS, *OTHERS):
            if engine in row:
                figure = row[engine]
                numbers = [f"{figure[name]:,}" for name in ("events_per_second", "slowest", "fastest", "ns_per_event")]
                times = (figure.get("kernel_is_times", ""), figure.get("protobuf_is_times", ""))
                name = f"{row['rules']}{' hostile' if 'hostile' in row else ''}"
                per_output = figure.get("ns_per_output", "")
                outputs = row["outputs_per_event"] if per_output else ""
                rows.append((name, engine, *numbers, outputs, per_output, *times, figure.get("structure_fraction", "")))
    print(f"events of {event_bytes:.0f} bytes in batches of {BATCH_EVENTS}, CPU time of one thread, {dispatch()}\n")
    widths = [max(len(str(row[index])) for row in rows) for index in range(len(COLUMNS))]
    for row in rows:
        print("  ".join(str(cell).rjust(width) for cell, width in zip(row, widths, strict=True)))


def main() -> None:
    """The command line."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rules", type=int, nargs="+", default=[100, 1000, 10_000])
    arguments.add_argument("--events", type=int, default=20_000, help="different events that are gone over again and again")
    arguments.add_argument("--seconds", type=float, default=2.0, help="of one run")
    arguments.add_argument("--runs", type=int, default=5)
    arguments.add_argument("--no-python", action="store_true", help="without the rules as Python code")
    arguments.add_argument("--no-java", action="store_true", help="without the rules as Java code")
    arguments.add_argument("--hostile", type=int, default=10_000, help="how many rules of ranges, LIKE, OR, NOT; 0 for none")
    arguments.add_argument("--json", action="store_true", help="one JSON object in place of the table")
    given = arguments.parse_args()
    batches = list(workload.batches(workload.events(given.events - given.events % BATCH_EVENTS, SEED), BATCH_EVENTS))
    event_bytes = sum(map(len, batches)) / len(batches) / BATCH_EVENTS
    engines = {"python", "java"} - {name for name in ("python", "java") if getattr(given, f"no_{name}")}
    if "java" in engines and (tool := java_program.missing()):
        print(f"Java is left out: `{tool}` is not on PATH", file=sys.stderr)
        engines.remove("java")
    measure = functools.partial(compare, batches=batches, seconds=given.seconds, runs=given.runs)
    found = [measure(workload_rules.with_datasets(workload.rules(count)), engines=engines) for count in given.rules]
    if given.hostile:
        # They are not written in Java.
        hostile = workload_rules.with_datasets(workload_hostile.rules(given.hostile))
        found.append({**measure(hostile, engines=engines - {"java"}), "hostile": True})
    if given.json:
        head = {"event_bytes": round(event_bytes), "batch_events": BATCH_EVENTS, "dispatch": dispatch()}
        print(json.dumps({**head, "results": found}))
    else:
        show(found, event_bytes)


if __name__ == "__main__":
    main()
