"""Measuring the kernel: events a second of CPU time of one thread, through the Python API, in batches, outputs as bytes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

import msgspec

from headwater import kernel
from headwater.kernel import Program
from headwater.kernel.udf.host import Host
from headwater.measure.formats import Formats

BATCH_EVENTS = 1000
# Finding structure alone is measured for this part of the time.
STRUCTURE_ONE_IN = 5


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """The figures. Rates are medians of the runs; ``slowest`` and ``fastest`` are of single runs.

    ``seconds`` is the CPU time that was measured, without linking; ``rejects`` and ``failures`` are counted over the events once.
    ``structure_ns_per_event`` is what finding the structure of the same JSON takes, and nothing else; ``structure_fraction`` is
    that part of ``ns_per_event``: 1 would be as fast as this first look at the bytes. Both are None for messages.
    """

    events_per_cpu_second: int
    slowest: int
    fastest: int
    ns_per_event: int
    outputs_per_event: float
    ns_per_output: int | None
    output_bytes_per_event: int
    structure_ns_per_event: int | None
    structure_fraction: float | None
    dispatch: str
    encoding: str
    rules: int
    events: int
    event_bytes: int
    batch_events: int
    rejects: int
    failures: int
    link_s: float
    seconds: float
    runs: int


def measure(
    rules: Sequence[bytes],
    batches: Sequence[bytes],
    *,
    runs: int,
    seconds: float,
    formats: Formats | None = None,
    progress: Callable[[int], None] = lambda run: None,
    functions: Host | None = None,
) -> Measured:
    """Runs the batches again and again, ``runs`` times so many ``seconds`` of CPU time, after one round that is not measured.

    With ``formats`` the batches, which are NDJSON, are made into messages first, and rows are messages.
    ``progress`` is told each run that is done. Raises ValueError where a rule does not link, or no batch holds an event.
    """
    if formats is not None:
        batches = formats.messages(batches)
    start = time.perf_counter()
    read, written = (formats.input, formats.outputs) if formats else (None, None)
    program = Program(list(rules), functions, input=read, outputs=written)
    link_s = time.perf_counter() - start
    first = [program.run(batch) for batch in batches]
    events = sum(result.events for result in first)
    if not events:
        raise ValueError("there is no event to measure with")
    rows = sum(sum(result.rows.values()) for result in first)
    times, looks = [], []
    for run in range(runs):
        times.append(_run(lambda batch: program.run(batch).outputs, batches, seconds))
        if formats is None:
            # In turns, so that both meet the machine in the same state.
            looks.append(_run(kernel.structure_only, batches, seconds / STRUCTURE_ONE_IN))
        progress(run + 1)
    rates = [events * rounds / spent for rounds, spent in times]
    rate = statistics.median(rates)
    structure_ns = statistics.median(spent / rounds for rounds, spent in looks) / events * 1e9 if looks else None
    return Measured(
        events_per_cpu_second=round(rate),
        slowest=round(min(rates)),
        fastest=round(max(rates)),
        ns_per_event=round(1e9 / rate),
        outputs_per_event=round(rows / events, 3),
        ns_per_output=round(1e9 / rate * events / rows) if rows else None,
        output_bytes_per_event=round(sum(len(text) for result in first for text in result.outputs.values()) / events),
        structure_ns_per_event=None if structure_ns is None else round(structure_ns),
        structure_fraction=None if structure_ns is None else round(structure_ns * rate / 1e9, 3),
        dispatch=kernel.dispatch(),
        encoding="protobuf" if formats else "json",
        rules=len(rules),
        events=events,
        event_bytes=round(sum(map(len, batches)) / events),
        batch_events=BATCH_EVENTS,
        rejects=sum(len(result.rejects) for result in first),
        failures=sum(len(result.failures) for result in first),
        link_s=round(link_s, 3),
        seconds=round(sum(spent for _rounds, spent in times), 3),
        runs=runs,
    )


def _run(run: Callable[[bytes], object], batches: Sequence[bytes], seconds: float) -> tuple[int, float]:
    """Rounds over all batches, and the CPU seconds that they took: at least so many."""
    rounds, spent, start = 0, 0.0, time.thread_time()
    while not rounds or spent < seconds:
        for batch in batches:
            run(batch)
        rounds, spent = rounds + 1, time.thread_time() - start
    return rounds, spent
