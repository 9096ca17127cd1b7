"""Whole logs in a simulated world: processes with a `SharedLog` each, that write several shards and read each other's."""

from __future__ import annotations

from dataclasses import replace

from headwater.core.errors import AppendInDoubt, LogUnavailable, Overtaken
from headwater.core.record import Record, decode_all, encode
from headwater.log.interface import AppendGroup, Batch, Commit, Producer
from headwater.log.retention import Retention
from headwater.log.shard_writer import SharedWriter
from headwater.log.shared import LogSettings, SharedLog
from headwater.log.takeover import Sites
from headwater.log.upkeep import Done, Upkeep, UpkeepSettings
from headwater.testing.simulation import FaultPlan, History, Process, World, assert_holds
from tests.simulation.shard import SEGMENT_BYTES_MAX, setting

SECONDS = 15.0
SHARDS = ("s-0", "s-1")
PARTITIONS = (0, 1)  # Of the topic of each shard; each group has a record for both.
UPKEEP = UpkeepSettings(segments_min=1, source_bytes_min=1, grace_s=1.0, part_bytes_max=1000)
PLAN = FaultPlan(seconds=SECONDS, cuts=4.0, kills=6.0, pauses=6.0, power_cuts=3.0, full_disks=8.0, failing_sites=4.0, lasts_s=8.0)


class Logs:
    """Two writers that take two shards from each other, a reader, and upkeep of what each writes.

    `play` raises AssertionError where a promise is broken.
    """

    def __init__(self, seed: int) -> None:
        given = setting(seed)
        self.world = World(seed)
        self.stores = [self.world.site(name, given.appends) for name in "abc"[: given.sites]]
        witnesses = [self.world.site(f"witness{n}", False) for n in range(given.witnesses)]
        self.sites = Sites(tuple(self.stores), tuple(witnesses))
        self.history = History(lambda: self.world.now)
        self.values = self.opened = self.looks = self.repeated = 0
        self.kept = Done()
        self.keeps = seed % 3 != 0  # Some logs are never tidied up.

    def play(self) -> Logs:
        """Plays it to its end, and looks at everything."""
        with self.world as world:
            for number in range(2):
                world.process(f"w{number}", self.write, on=self.stores[number % len(self.stores)])
            world.process("r", self.look_again_and_again)
            if self.keeps:
                world.process("k", self.keep)
            replace(PLAN.some(world)).unleash(world)
            world.run()
            checker = world.process("checker").start(self.check)
            world.run()
            checker.join()
            assert_holds(self.history)
        return self

    def log(self, process: Process) -> SharedLog:
        """The log as one run of a process opens it."""
        first = process.on.name if process.on is not None else ""
        settings = LogSettings(first, str(process), SEGMENT_BYTES_MAX, flush_s=0, follows=False)
        return SharedLog(self.sites, process.runtime, settings)

    def write(self, process: Process) -> None:
        """Opens a shard and appends to it, again and again."""
        chance = process.runtime.random
        while self.world.now < SECONDS + 5:
            try:
                log = self.log(process)
                shard = SHARDS[int(chance() * len(SHARDS))]
                writer = log.writer(shard)
                self.opened += 1
                until = self.world.now + 6 * chance()
                while self.world.now < until:
                    self.append(process, log, shard, writer)
                    process.runtime.sleep(chance() * 0.3)
                    if chance() < 0.2:
                        writer.stand_behind()
                    if chance() < 0.1:
                        log.refresh()
                writer.close()
            except (LogUnavailable, Overtaken, AppendInDoubt) as e:
                self.world.record(str(process), "gives up", "", e)
                process.runtime.sleep(chance() * 3)

    def keep(self, process: Process) -> None:
        """Compacts what is over and deletes what that stood for, again and again, beside whoever writes the shards."""
        chance = process.runtime.random
        while self.world.now < SECONDS + 5:
            try:
                log = self.log(process)
                keepers = [
                    Upkeep(log.view_of(shard), self.sites, process.runtime, lambda topic: Retention(None, None), UPKEEP)
                    for shard in SHARDS
                    if shard in log.shards()
                ]
                until = self.world.now + 8 * chance()
                while self.world.now < until:
                    log.refresh()
                    for keeper in keepers:
                        done = keeper.step(force=chance() < 0.5)
                        self.kept = Done(*(one + other for one, other in zip(self.kept, done, strict=True)))
                    process.runtime.sleep(chance())
            except LogUnavailable as e:
                self.world.record(str(process), "cannot tidy up", "", e)
                process.runtime.sleep(chance())

    def append(self, process: Process, log: SharedLog, shard: str, writer: SharedWriter) -> None:
        """One group with a record for each partition, a commit and a state."""
        self.values += 1
        value = self.values
        data = encode(Record(payload=b"{}", key="k", event_id=str(value), received_time=value))
        group = AppendGroup(
            batches=tuple(Batch(shard, partition, data, 1) for partition in PARTITIONS),
            commits=(Commit("g", shard, 0, value),),
            state=((shard, str(value).encode()),),
            producer=Producer(f"{process}-{process.starts}", value),
        )
        appends = [self.history.append(process, f"{shard}/{partition}", value) for partition in PARTITIONS]
        try:
            firsts = writer.append(group)
        except (Overtaken, AppendInDoubt):
            raise
        except LogUnavailable:
            for append in appends:
                append.refused()
            return
        for append, first in zip(appends, firsts, strict=True):
            append.acknowledged(first)
        if value % 3 == 0:
            self.repeated += 1
            assert writer.append(group) == firsts, "an append that was repeated has other offsets"

    def look_again_and_again(self, process: Process) -> None:
        """Reads along."""
        chance = process.runtime.random
        log: SharedLog | None = None
        while self.world.now < SECONDS + 5:
            process.runtime.sleep(chance())
            try:
                log = log or self.log(process)
                log.refresh()
                for shard in SHARDS:
                    self.look(process, log, shard)
                if chance() < 0.1:
                    log = None
            except LogUnavailable as e:
                self.world.record(str(process), "cannot read", "", e)

    def look(self, process: Process, log: SharedLog, shard: str, whole: bool = False) -> None:
        """Reads all partitions of a shard as the log shows it now. A group is there as a whole, or not at all."""
        state, committed = log.state(shard), log.committed("g", shard, 0)
        ends = [log.end_offset(shard, partition) for partition in PARTITIONS]
        found = [self.values_of(log, shard, partition, end) for partition, end in zip(PARTITIONS, ends, strict=True)]
        self.looks += 1
        for partition, values in zip(PARTITIONS, found, strict=True):
            self.history.read(process, f"{shard}/{partition}", 0, values, whole=whole)
        assert found[0] == found[1], f"groups of {shard} are there in part: {found}"
        last = found[0][-1] if found[0] else 0
        assert (committed, state) == (last, str(last).encode() if last else None), f"{shard}: {committed}, {state!r}, last {last}"

    def values_of(self, log: SharedLog, shard: str, partition: int, end: int) -> list[int]:
        values: list[int] = []
        while len(values) < end:
            fetch = log.read(shard, partition, len(values), 1 << 20)
            values += [int(record.event_id) for record in decode_all(fetch.data)]
        return values[:end]

    def check(self, process: Process) -> None:
        """Takes all shards over and reads everything."""
        for _ in range(20):
            try:
                log = self.log(process)
                for shard in SHARDS:
                    writer = log.writer(shard)
                    self.look(process, log, shard, whole=True)
                    writer.close()
                return
            except (LogUnavailable, Overtaken, AppendInDoubt):
                process.runtime.sleep(1.0)
        raise AssertionError("the log cannot be opened in a calm world")
