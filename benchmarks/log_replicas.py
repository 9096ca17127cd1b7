"""What n sites of the log cost beside n replicas of Apache Kafka: CPU, bytes written and requests for the same batches.

All on one disk and one machine, so that CPU, bytes and requests count and time does not. Kafka: n brokers on loopback, KRaft, one
partition, acks=all, `min.insync.replicas` n, zstd level 1; as it is by default and with a flush for each request. The log: n
folders.
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import sys
from pathlib import Path

import kafka_broker
import log_kafka
import log_load
import log_sites

COUNTS = (1, 2, 3)
# What the brokers do for the producer, and for one another.
REQUESTS = ("Produce", "FetchFollower")
Row = dict[str, float]


def of_sites(sites: int, given: argparse.Namespace, load: log_load.Load) -> Row:
    """The log on so many folders, in this process: it has no server."""
    rounds = [log_sites.on_folders(sites, load, given.directory, given.appenders) for _ in range(given.rounds)]
    calls = statistics.median(one["appends"] + one["looks"] for one in rounds)
    return {
        "client_ns_per_event": round(statistics.median(one["cpu ns/event"] for one in rounds)),
        "server_ns_per_event": 0,
        "written_fraction": round(statistics.median(one["bytes written, of raw"] for one in rounds), 4),
        "requests_per_million_events": round(1e6 * calls / load.events),
    }


def of_replicas(replicas: int, flush_each: bool, given: argparse.Namespace, load: log_load.Load) -> Row:
    """Kafka with as many brokers as replicas; the rounds before the counted ones warm Java up."""
    topic = "replicated"
    groups = [log_kafka.messages_of(one.data) for one in load.batches]
    with kafka_broker.running(flush_each, given.directory, replicas, given.heap_mib) as cluster:
        log_kafka.make_topic(cluster, topic, replicas)
        client = log_kafka.producer(cluster, given)
        for _ in range(given.warm_up):
            log_kafka.produce_all(client, topic, groups)
        before, stored = cluster.requests(), cluster.topic_bytes(topic)
        cpus = [log_kafka.both_cpus(cluster, lambda: log_kafka.produce_all(client, topic, groups)) for _ in range(given.rounds)]
        client.close()
        stored, after = cluster.topic_bytes(topic) - stored, cluster.requests()
        if (end := log_kafka.end_of(cluster, topic)) != (sent := (given.warm_up + given.rounds) * load.events):
            raise log_kafka.Failed(f"{end} of {sent} messages were stored")
    medians = log_kafka.medians(cpus, load.events)
    requests = sum(after.get(kind, 0) - before.get(kind, 0) for kind in REQUESTS)
    return {
        **{name: medians[name] for name in ("client_ns_per_event", "server_ns_per_event")},
        "written_fraction": round(stored / (load.record_bytes * given.rounds), 4),
        "requests_per_million_events": round(1e6 * requests / (load.events * given.rounds)),
    }


def parsed() -> argparse.Namespace:
    """The command line's arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--directory", type=Path, default=log_load.DIRECTORY, help="on a local disk; files are removed in the end"
    )
    parser.add_argument("--events", type=int, default=60_000, help="different events, all of them once a round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--warm-up", type=int, default=30, help="rounds of Kafka that are not counted")
    parser.add_argument("--batch-bytes", type=int, default=256 * 1024, help="records of one append, and of one batch")
    parser.add_argument("--linger-ms", type=float, default=5.0, help="that the producer waits for more messages")
    parser.add_argument("--appenders", type=int, default=4, help="threads that append to the log")
    parser.add_argument("--heap-mib", type=int, default=256, help="of each broker")
    parser.add_argument("--quick", action="store_true", help="little of everything: that it works, not what it costs")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of the table")
    given = parser.parse_args()
    given.idempotent = False
    if given.quick:
        given.events, given.rounds, given.warm_up = 2000, 1, 1
    return given


def main() -> None:
    """The command line."""
    given = parsed()
    if tool := kafka_broker.missing():
        print(f"replicas are left out, and so nothing is compared: Kafka needs `{tool}`, which is not here", file=sys.stderr)
        return
    # The brokers are ended on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    given.directory.mkdir(parents=True, exist_ok=True)
    load = log_load.load(given.events, given.batch_bytes)
    found: dict[str, Row] = {}
    for count in COUNTS:
        log_load.say(f"{count}: sites")
        found[f"log, {count}"] = of_sites(count, given, load)
    for name, flush_each in log_kafka.KINDS.items():
        for count in COUNTS:
            log_load.say(f"{count}: {name}")
            found[f"{name}, {count}"] = of_replicas(count, flush_each, given, load)
    if given.json:
        print(json.dumps(found))
        return
    columns = next(iter(found.values()))
    rows = [(name, *(f"{value:,}" for value in row.values())) for name, row in found.items()]
    log_load.show(("sites or replicas", *(name.replace("_", " ") for name in columns)), rows)


if __name__ == "__main__":
    main()
