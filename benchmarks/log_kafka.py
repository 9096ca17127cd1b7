"""The same records appended to and read from Apache Kafka and the log: CPU an event of client and server, bytes on disk, latency.

One broker on loopback, KRaft, one partition, acks=all, zstd level 1, a record a message (bytes as the log holds them) through
`Producer.produce_batch` and `Consumer.consume` of confluent-kafka; once as Kafka is by default (an acknowledgement means the page
cache) and once with `log.flush.interval.messages=1`. CPU of the client is that of its process, CPU of the server is the broker's.
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kafka_broker
import log_load
import open_loop
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from kafka_broker import Cluster
from log import latency_figures
from log_load import TOPIC

from headwater.core.record import decode_all, encode

KINDS = {"kafka": False, "kafka, flush each": True}
DELIVER_SECONDS_MAX = 300.0
LOG_ERRORS = 3
Messages = list[dict[str, Any]]


class Failed(Exception):
    """Kafka refused a message."""


def producer(broker: Cluster, given: argparse.Namespace) -> Producer:
    """One that waits for as many bytes as a block of the log has, or for the linger time.

    Idempotent only if asked: five requests under way are then the most, and librdkafka 2.16 spins while it waits for one of them.
    """
    return Producer(
        {
            "bootstrap.servers": broker.address,
            "acks": "all",
            "enable.idempotence": given.idempotent,
            "compression.type": "zstd",
            "compression.level": 1,
            "batch.size": given.batch_bytes,
            "batch.num.messages": 100_000,
            "message.max.bytes": 8 * 1024 * 1024,
            "linger.ms": given.linger_ms,
            "queue.buffering.max.messages": 1_000_000,
            "log_level": LOG_ERRORS,
        }
    )


def make_topic(broker: Cluster, topic: str, replicas: int = 1) -> None:
    """One partition."""
    admin = AdminClient({"bootstrap.servers": broker.address})
    admin.create_topics([NewTopic(topic, 1, replicas)])[topic].result(60)


def messages_of(data: bytes) -> Messages:
    """The records as `produce_batch` takes them."""
    return [{"value": encode(record)} for record in decode_all(data)]


def both_cpus(broker: Cluster, work: Callable[[], object]) -> tuple[float, float, float]:
    """Seconds of the client's CPU, of the server's and of the clock meanwhile."""
    server, clock = broker.cpu_seconds(), time.perf_counter()
    client = log_load.cpu_of(work)
    return client, broker.cpu_seconds() - server, time.perf_counter() - clock


def produce_all(client: Producer, topic: str, groups: list[Messages]) -> None:
    """Sends everything once and waits for the acknowledgements. Whether all are there, the reading afterwards says."""
    for messages in groups:
        client.produce_batch(topic, messages, 0)
    if left := client.flush(DELIVER_SECONDS_MAX):
        raise Failed(f"{left} messages were not delivered within {DELIVER_SECONDS_MAX:g} s")


def consume_all(broker: Cluster, topic: str, start: int, count: int) -> int:
    """Reads so many messages of the partition; gives their bytes."""
    client = Consumer(
        {
            "bootstrap.servers": broker.address,
            "group.id": "bench",
            "enable.auto.commit": False,
            "fetch.max.bytes": 64 * 1024 * 1024,
        }
    )
    try:
        client.assign([TopicPartition(topic, 0, start)])
        size, got, ends_at = 0, 0, time.perf_counter() + DELIVER_SECONDS_MAX
        while got < count and time.perf_counter() < ends_at:
            for message in client.consume(min(1000, count - got), 1.0):
                if message.error() is not None:
                    raise Failed(str(message.error()))
                size += len(message.value() or b"")
                got += 1
        if got < count:
            raise Failed(f"{got} of {count} messages read")
        return size
    finally:
        client.close()


def end_of(broker: Cluster, topic: str) -> int:
    """One past the last message of the partition."""
    client = Consumer({"bootstrap.servers": broker.address, "group.id": "bench"})
    try:
        _, end = client.get_watermark_offsets(TopicPartition(topic, 0), 60)
    finally:
        client.close()
    return int(end)


def in_turns(broker: Cluster, given: argparse.Namespace, load: log_load.Load) -> dict[str, Any]:
    """Rounds of producing everything and reading it; the rounds before them warm Java up."""
    topic = "throughput"
    make_topic(broker, topic)
    groups = [messages_of(one.data) for one in load.batches]
    client = producer(broker, given)
    produced, consumed = [], []
    for number in range(given.warm_up + given.rounds):
        produced.append(both_cpus(broker, lambda: produce_all(client, topic, groups)))
        sizes: list[int] = []
        start = number * load.events
        consumed.append(both_cpus(broker, lambda: sizes.append(consume_all(broker, topic, start, load.events))))  # noqa: B023
        assert sizes == [load.record_bytes], (sizes, load.record_bytes)
    client.close()
    fraction = broker.topic_bytes(topic) / (load.record_bytes * (given.warm_up + given.rounds))
    return {
        "append": medians(produced[given.warm_up :], load.events),
        "read": medians(consumed[given.warm_up :], load.events),
        "disk_fraction": round(fraction, 4),
    }


def medians(rounds: list[tuple[float, float, float]], events: int) -> dict[str, float]:
    """Of rounds of (client's CPU, server's CPU, clock), in seconds."""
    client, server, clock = (statistics.median(one[index] for one in rounds) for index in range(3))
    return {
        "client_ns_per_event": round(1e9 * client / events),
        "server_ns_per_event": round(1e9 * server / events),
        "events_per_second": round(events / clock),
    }


def steady(broker: Cluster, given: argparse.Namespace) -> dict[str, Any]:
    """Latency from when an append should have begun until the last of its messages is acknowledged."""
    topic = "steady"
    make_topic(broker, topic)
    groups = [messages_of(group.batches[0].data) for group in log_load.groups_of(given.events, given.append_events)]
    client = producer(broker, given)
    stop = threading.Event()

    def polling() -> None:
        while not stop.is_set():
            client.poll(0.05)

    thread = threading.Thread(target=polling, name="deliveries")
    thread.start()

    def append(number: int) -> None:
        messages, over, failed = groups[number % len(groups)], threading.Event(), list[KafkaError]()

        def delivered(error: KafkaError | None, _message: Message) -> None:
            if error is not None:
                failed.append(error)
            over.set()

        # One broker answers requests in order: the last message of a partition is delivered after those before it.
        client.produce_batch(topic, [*messages[:-1], {**messages[-1], "callback": delivered}], 0)
        if not over.wait(DELIVER_SECONDS_MAX) or failed:
            raise Failed(f"append {number}: {failed[:1]}")

    interval_s = given.append_events / given.rate
    arrivals = max(round(given.seconds * given.rate / given.append_events), 1)
    warm_up = min(arrivals, max(round(given.warm_up / interval_s), 1))
    try:
        open_loop.run(append, warm_up, interval_s, given.threads)
        found: list[open_loop.Latencies] = []
        cpu = both_cpus(broker, lambda: found.append(open_loop.run(append, arrivals, interval_s, given.threads)))
    finally:
        stop.set()
        thread.join()
        client.close()
    events, sent = arrivals * given.append_events, (warm_up + arrivals) * given.append_events
    if (stored := end_of(broker, topic)) < sent:
        raise Failed(f"{stored} of {sent} messages were stored")
    costs = {
        name: round(1e9 * one / events) for name, one in zip(("client_ns_per_event", "server_ns_per_event"), cpu, strict=False)
    }
    return {**found[0].figures(given.append_events), **costs}


def of_kafka(given: argparse.Namespace, load: log_load.Load, flush_each: bool) -> dict[str, Any]:
    """A broker of its own for every kind."""
    with kafka_broker.running(flush_each, given.directory) as broker:
        return {**in_turns(broker, given, load), "steady": steady(broker, given)}


def of_log(given: argparse.Namespace, load: log_load.Load) -> dict[str, Any]:
    """The log does the same, in this process: it has no server."""
    appended, read = [], []
    with tempfile.TemporaryDirectory(dir=given.directory) as name:
        log = log_load.LOGS[given.log](Path(name))
        try:
            writer = log.writer(log_load.SHARD)
            for _ in range(1 + given.rounds):
                end, clock = log.end_offset(TOPIC, 0), time.perf_counter()
                cpu = log_load.cpu_of(lambda: log_load.append_all(writer, load, given.appenders))
                appended.append((cpu, 0.0, time.perf_counter() - clock))
                clock = time.perf_counter()
                cpu = log_load.cpu_of(lambda: log_load.read_all(log, end, len))  # noqa: B023
                read.append((cpu, 0.0, time.perf_counter() - clock))
        finally:
            log.close()
        disk = log_load.bytes_on_disk(Path(name))
    return {
        "append": medians(appended[1:], load.events),
        "read": medians(read[1:], load.events),
        "disk_fraction": round(disk / (load.record_bytes * (1 + given.rounds)), 4),
        "steady": {**latency_figures(given), "server_ns_per_event": 0},
    }


def show(found: dict[str, Any]) -> None:
    """Tables for people."""
    sizes = f"records of {found['record_bytes']} bytes, batches of {found['events_per_batch']}"
    print(f"{sizes}, {found['rounds']} rounds; CPU in ns/event\n")
    columns = ("", "append: client", "server", "events/s", "read: client", "server", "events/s", "disk")
    names = ("client_ns_per_event", "server_ns_per_event", "events_per_second")
    log_load.show(
        columns,
        [
            (kind, *(f"{row[part][name]:,}" for part in ("append", "read") for name in names), row["disk_fraction"])
            for kind, row in found["results"].items()
        ],
    )
    latencies = ("p50_ms", "p99_ms", "max_ms", "started_late_p99_ms", *names)
    rows = [(kind, *(f"{row['steady'][name]:,}" for name in latencies)) for kind, row in found["results"].items()]
    log_load.show((f"{found['rate']:,} events/s", *(name.replace("_", " ") for name in latencies)), rows)


def parsed() -> argparse.Namespace:
    """The command line's arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--log", choices=sorted(log_load.LOGS), default="local")
    parser.add_argument(
        "--directory", type=Path, default=log_load.DIRECTORY, help="on a local disk; files are removed in the end"
    )
    parser.add_argument("--events", type=int, default=20_000, help="different events, all of them once a round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--warm-up", type=int, default=10, help="rounds, and seconds of steady appends, that are not counted")
    parser.add_argument(
        "--batch-bytes", type=int, default=256 * 1024, help="records of one append, and of one batch of the producer"
    )
    parser.add_argument(
        "--linger-ms", type=float, default=5.0, help="that the producer waits for more messages; 5 is its default"
    )
    parser.add_argument("--idempotent", action="store_true", help="the producer numbers its batches, so that Kafka drops repeats")
    parser.add_argument("--appenders", type=int, default=8, help="threads that append to the log")
    parser.add_argument("--rate", type=int, default=50_000, help="events a second where latency is measured")
    parser.add_argument("--seconds", type=float, default=20.0, help="of steady appends")
    parser.add_argument("--append-events", type=int, default=100, help="events of one append where latency is measured")
    parser.add_argument("--threads", type=int, default=64, help="that append where latency is measured")
    parser.add_argument("--quick", action="store_true", help="little of everything: that it works, not how fast")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of the tables")
    given = parser.parse_args()
    if given.quick:
        given.events, given.rounds, given.warm_up, given.rate, given.seconds = 2000, 1, 1, 5000, 0.4
    return given


def main() -> None:
    """The command line."""
    given = parsed()
    if tool := kafka_broker.missing():
        print(f"Kafka is left out, and so nothing is compared: it needs `{tool}`, which is not here", file=sys.stderr)
        return
    # The broker is ended on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    given.directory.mkdir(parents=True, exist_ok=True)
    load = log_load.load(given.events, given.batch_bytes)
    results = {}
    for kind, flush_each in KINDS.items():
        log_load.say(kind)
        results[kind] = of_kafka(given, load, flush_each)
    log_load.say("log")
    results[f"{given.log} log"] = of_log(given, load)
    found = {
        "record_bytes": round(load.record_bytes / load.events),
        "events_per_batch": round(load.events / len(load.batches)),
        "rounds": given.rounds,
        "rate": given.rate,
        "results": results,
    }
    if given.json:
        print(json.dumps(found))
    else:
        show(found)


if __name__ == "__main__":
    main()
