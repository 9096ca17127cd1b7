"""One shard in a simulated world: writers that open it, append to it and lose it, while sites, processes and networks fail."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from headwater.core.errors import AppendInDoubt, LogUnavailable, Overtaken
from headwater.core.record import Record, decode_all, encode
from headwater.kernel import Packed, decode_ranges, encode_block, find_ranges
from headwater.log.commit import Committer, Group, Held
from headwater.log.history import read_header, reader_of
from headwater.log.manifest import decode_manifest
from headwater.log.member import MemberSite
from headwater.log.takeover import Claim, Sites, take_over
from headwater.testing.simulation import FaultPlan, History, Process, World, assert_holds

SHARD, PLACE = "s", "t/0"
SEGMENT_BYTES_MAX = 2500
WRITERS = 2
SECONDS = 30.0
PLAN = FaultPlan(
    seconds=SECONDS,
    cuts=4.0,
    kills=4.0,
    pauses=4.0,
    power_cuts=3.0,
    erasures=2.0,
    full_disks=8.0,
    failing_sites=4.0,
    lasts_s=12.0,
)


class Setting(NamedTuple):
    """What is simulated."""

    sites: int
    witnesses: int
    appends: bool


def setting(seed: int) -> Setting:
    """The settings take turns."""
    sites, witnesses = ((3, 0), (3, 0), (1, 0), (2, 0), (2, 1), (3, 0))[seed // 2 % 6]
    return Setting(sites, witnesses, seed % 2 == 0)


class Shard:
    """A world with one shard; `play` raises AssertionError where a promise of decision 0015 is broken."""

    def __init__(self, seed: int) -> None:
        self.setting = setting(seed)
        self.world = World(seed)
        self.stores = [self.world.site(name, self.setting.appends) for name in "abc"[: self.setting.sites]]
        witnesses = [self.world.site(f"witness{n}", False) for n in range(self.setting.witnesses)]
        self.sites = Sites(tuple(self.stores), tuple(witnesses))
        self.history = History(lambda: self.world.now)
        self.values = self.opened = self.left = self.returned = 0
        self.erased_s = -SECONDS
        self.seconds = SECONDS
        # Some writers stay for long, others come and go.
        self.opens_for_s = 3.0 if seed % 5 == 0 else 30.0

    def play(self) -> Shard:
        """Plays it to its end, and looks at everything."""
        with self.world as world:
            for number in range(WRITERS):
                world.process(f"w{number}", self.write, on=self.stores[number % len(self.stores)])
            replace(PLAN.some(world), allows=self.allows).unleash(world)
            world.run()
            checker = world.process("checker").start(self.check)
            world.run()
            checker.join()
            assert_holds(self.history)
        return self

    def write(self, process: Process) -> None:
        """Opens the shard and appends to it, again and again, until all is over; a little longer where it was calm at last."""
        chance = process.runtime.random
        while self.world.now < self.seconds + 10:
            self.opened += 1
            try:
                claim = take_over(SHARD, self.sites, process.runtime, f"{process}-{process.starts}-{self.opened}")
                self.append_for_long(process, claim)
            except (LogUnavailable, Overtaken, AppendInDoubt) as e:
                self.world.record(str(process), "gives up", SHARD, e)
                process.runtime.sleep(chance() * 4)

    def append_for_long(self, process: Process, claim: Claim) -> None:
        runtime, chance = process.runtime, process.runtime.random
        end = end_of(claim)
        self.world.record(str(process), "opened", f"epoch {claim.epoch}, end {end}", [site.name for site in claim.members])
        committer = Committer(claim, self.sites, runtime, lambda: Held([("t", 0, end)], (), ()), self.has_left, SEGMENT_BYTES_MAX)
        until = self.world.now + self.opens_for_s * chance()
        while self.world.now < until:
            self.values += 1
            record = encode(Record(payload=b"{}", key="k", event_id=str(self.values), received_time=self.values))
            append = self.history.append(process, PLACE, self.values)
            try:
                committer.commit(Group(encode_block(committer.next_group, [Packed([("t", 0, 1, record)])], [[end]])))
                append.acknowledged(end)
                end += 1
            except LogUnavailable:
                append.refused()
            if len(committer.members) < len(self.stores) and chance() < 0.3:
                self.readmit(committer)
            runtime.sleep(chance() * 0.4)

    def has_left(self, site: str, reason: str) -> None:
        self.left += 1
        self.world.record(site, "left", SHARD, reason)

    def readmit(self, committer: Committer) -> None:
        members = {site.name for site in committer.members}
        lacking = next(site for site in self.stores if site.name not in members)
        try:
            committer.readmit(committer.copy(lacking))
            self.returned += 1
        except LogUnavailable as e:
            self.world.record(lacking.name, "cannot come back", SHARD, e)

    def allows(self, kind: str, name: str) -> bool:
        """Of three sites one may be erased, once the others have all of it and nothing else is wrong: two losses are too many."""
        if kind != "erasures":
            return True
        others = [site for site in self.stores if site.name != name]
        calm = not self.world.cuts and not any(site.trouble() for site in self.stores)
        if len(self.stores) < 3 or not calm or self.world.now < self.erased_s + 20:
            return False
        manifests = sorted({each for site in others for each in site.disk.names if each.startswith(f"{SHARD}/manifest/0")})
        for manifest in manifests[-2:]:
            data = next(site.disk.seen.get(manifest) for site in others if manifest in site.disk.names)
            if not {member.site for member in decode_manifest(data, int(manifest[-20:]), manifest).members} - {name}:
                return False
        self.erased_s = self.world.now
        return True

    def opened_at_last(self, process: Process) -> Claim:
        """Even in a calm world an answer is late now and then."""
        for attempt in range(10):
            try:
                return take_over(SHARD, self.sites, process.runtime, f"checker-{attempt}")
            except LogUnavailable:
                process.runtime.sleep(1.0)
        raise AssertionError("the shard cannot be opened in a calm world")

    def check(self, process: Process) -> None:
        """Reads everything from every member, and tells the history."""
        claim = self.opened_at_last(process)
        found = {site.name: records(site, claim) for site in claim.members}
        first = next(iter(found.values()))
        for name, others in found.items():
            assert others == first, f"{name} has other records than {next(iter(found))}"
        assert [offset for _, offset in first] == list(range(len(first))), "offsets are not dense"
        self.history.read(process, PLACE, 0, [value for value, _ in first], whole=True)


def end_of(claim: Claim) -> int:
    """One past the last record."""
    end = 0
    for _, _, last in claim.counted[0].segment.header.ends if claim.counted else []:
        end = last
    for counted in claim.counted:
        for group in counted.groups:
            for _, _, directory in group.blocks:
                for _, _, first, count in directory:
                    assert first == end, f"offset {first} follows {end - 1}"
                    end = first + count
    return end


def records(site: MemberSite, claim: Claim) -> list[tuple[int, int]]:
    """Value and offset of each record that counts, read from one site alone."""
    segments = [claim.counted[-1].segment] if claim.counted else []
    while segments and segments[-1].header.previous is not None:
        header = segments[-1].header
        before = read_header(site, header.previous)  # type: ignore[arg-type]
        assert before is not None, f"{site.name} lacks segment {header.previous}, which counts"
        before.end = header.previous_end
        segments.append(before)
    found: list[tuple[int, int]] = []
    for segment in reversed(segments):
        for group in reader_of(site, segment.header.number, segment.end).groups(segment):
            for at, length, directory in group.blocks:
                block = site.get(segment.header.number, at, length)
                for _, _, first, _ in directory:
                    ranges, _, _ = find_ranges(block, 0, len(block), "t", 0, first, 1 << 20)
                    data, _ = decode_ranges([(each, block, each[0]) for each in ranges], first, 1 << 20)
                    found += [(int(record.event_id), first + n) for n, record in enumerate(decode_all(data))]
    return found
