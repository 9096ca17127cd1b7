"""One shard in a simulated world: writers that open it, append to it and give it up, while sites and processes fail.

`run` plays a seed and raises AssertionError where a promise of decision 0015 is broken.
"""

from __future__ import annotations

from typing import NamedTuple

from headwater.core.errors import AppendInDoubt, LogUnavailable, Overtaken
from headwater.core.record import Record, decode_all, encode
from headwater.kernel import decode_ranges, encode_block, find_ranges
from headwater.log import commit as committing
from headwater.log.commit import Committer, Group, Held
from headwater.log.history import read_header, reader_of
from headwater.log.manifest import decode_manifest
from headwater.log.member import MemberSite
from headwater.log.takeover import Claim, Sites, take_over
from tests.simulation.world import Process, SimulatedRuntime, SimulatedSite, World

SHARD = "s"
SEGMENT_BYTES_MAX = 2500
FAULTS = ("kill", "pause", "cut", "heal", "second", "slow", "fail", "calm", "full", "erase")


class Setting(NamedTuple):
    """What is simulated. ``seconds`` are those with faults; calm ones follow."""

    sites: int = 3
    witnesses: int = 0
    appends: bool = True
    seconds: float = 30.0


class Outcome(NamedTuple):
    """What a run did."""

    acknowledged: int
    refused: int
    opened: int
    kept: int
    trace: list[str]


def setting(seed: int) -> Setting:
    """The settings take turns."""
    sites, witnesses = ((3, 0), (3, 0), (1, 0), (2, 0), (2, 1), (3, 0))[seed // 2 % 6]
    return Setting(sites, witnesses, seed % 2 == 0)


def run(seed: int) -> Outcome:
    """Plays one seed to its end and checks everything."""
    return _Run(seed, setting(seed)).play()


class _Run:
    def __init__(self, seed: int, setting: Setting) -> None:
        self.seed = seed
        self.setting = setting
        self.world = World(seed)
        self.sites = [SimulatedSite(self.world, name, setting.appends) for name in "abc"[: setting.sites]]
        self.witnesses = [SimulatedSite(self.world, f"witness{n}", False) for n in range(setting.witnesses)]
        self.acknowledged: dict[int, int] = {}
        self.refused: set[int] = set()
        self.values = self.opened = 0
        self.quiet_until = 0.0
        self.stopping = False

    def play(self) -> Outcome:
        world, end = self.world, self.setting.seconds
        self.start_writer("w")
        time = 0.0
        while time < end:
            time += world.chance.random() * 3
            fault = world.chance.choice(FAULTS)
            world.at(time, lambda fault=fault: self.fault(fault))  # type: ignore[misc]
        world.at(end, self.calm)
        world.run(end + 20)
        self.stopping = True
        for process in world.processes:
            process.dead = True
        self.heal()
        kept = self.check()
        return Outcome(len(self.acknowledged), len(self.refused), self.opened, kept, world.trace)

    def all_sites(self) -> Sites:
        return Sites(tuple(self.sites), tuple(self.witnesses))

    # Writers.

    def start_writer(self, kind: str) -> None:
        if not self.stopping:
            process = Process(self.world, f"{kind}{len(self.world.processes)}")
            process.start(lambda: self.write_for_ever(process))

    def write_for_ever(self, process: Process) -> None:
        runtime = SimulatedRuntime(process)
        while True:
            self.opened += 1
            try:
                claim = take_over(SHARD, self.all_sites(), runtime, f"{process.name}-{self.opened}")
            except (LogUnavailable, Overtaken) as e:
                self.world.say(f"{process.name} cannot open the shard: {e}")
                process.wait(self.world.chance.random() * 2)
                continue
            self.world.say(f"{process.name} opened epoch {claim.epoch} on {[site.name for site in claim.members]}")
            try:
                self.append_for_ever(process, runtime, claim)
            except (Overtaken, AppendInDoubt) as e:
                self.world.say(f"{process.name} gives up: {e}")
                process.wait(self.world.chance.random() * 3)

    def append_for_ever(self, process: Process, runtime: SimulatedRuntime, claim: Claim) -> None:
        end = [end_of(claim)]
        committer = committing.Committer(
            claim,
            self.all_sites(),
            runtime,
            lambda: Held([("t", 0, end[0])], (), ()),
            lambda site, reason: self.world.say(f"{process.name}: {site} left"),
            SEGMENT_BYTES_MAX,
        )
        while True:
            self.values += 1
            value = self.values
            record = encode(Record(payload=b"{}", key="k", event_id=str(value), received_time=value))
            try:
                committer.commit(Group(encode_block(committer.next_group, [("t", 0, end[0], 1, record)])))
                self.acknowledged[value] = end[0]
                end[0] += 1
            except LogUnavailable:
                self.refused.add(value)
            if len(committer.members) < len(self.sites) and self.world.chance.random() < 0.3:
                self.readmit(process, committer)
            process.wait(self.world.chance.random() * 0.4)

    def readmit(self, process: Process, committer: Committer) -> None:
        members = {site.name for site in committer.members}
        lacking = next(site for site in self.sites if site.name not in members)
        try:
            committer.readmit(lacking)
            self.world.say(f"{process.name}: {lacking.name} is back")
        except LogUnavailable as e:
            self.world.say(f"{process.name}: {lacking.name} cannot come back: {e}")

    # Faults.

    def fault(self, kind: str) -> None:
        world, chance = self.world, self.world.chance
        if self.stopping or world.now < self.quiet_until:
            return
        world.say(f"! {kind}")
        living = [process for process in world.processes if not process.dead]
        site = chance.choice(self.sites)
        if kind == "kill" and living:
            chance.choice(living).dead = True
            world.at(world.now + chance.random() * 2, lambda: self.start_writer("w"))
        elif kind == "pause" and living:
            chance.choice(living).paused_until = world.now + chance.random() * 15
        elif kind == "second" and len(living) < 3:
            self.start_writer("w")
        elif kind == "cut" and living:
            chance.choice(living).cut_from.add(chance.choice([*self.sites, *self.witnesses]).name)
        elif kind == "heal":
            for process in living:
                process.cut_from.clear()
        elif kind == "slow":
            site.slow = 0.05
        elif kind == "fail":
            site.failing = 0.1
        elif kind == "full":
            site.full = True
        elif kind == "erase" and len(self.sites) == 3:
            # One loss at a time: an erased site while another is out would be two.
            self.heal()
            self.quiet_until = world.now + 16
            world.at(world.now + 15, lambda: self.erase(site))
        elif kind == "calm":
            self.heal()

    def heal(self) -> None:
        for site in self.sites:
            site.slow, site.failing, site.full = 0.0, 0.0, False
        for process in self.world.processes:
            process.cut_from.clear()

    def erase(self, site: SimulatedSite) -> None:
        numbers = sorted(
            {name for other in self.sites for name in other.objects if name.startswith(f"{SHARD}/manifest/0")}, reverse=True
        )
        for name in numbers[:2]:
            for other in self.sites:
                if name in other.objects:
                    members = decode_manifest(other.objects[name], int(name[-20:]), name).members
                    if not {member.site for member in members} - {site.name}:
                        return
        self.world.say(f"! {site.name} is erased")
        site.objects.clear()

    def calm(self) -> None:
        """No more faults; whoever still writes is killed, and one writer goes on."""
        self.heal()
        for process in self.world.processes:
            process.dead = True
        self.start_writer("last")

    # What must hold.

    def check(self) -> int:
        found: dict[str, list[tuple[int, int]]] = {}
        checker = Process(self.world, "checker")

        def read() -> None:
            claim = take_over(SHARD, self.all_sites(), SimulatedRuntime(checker), "checker")
            found.update({site.name: records(site, claim) for site in claim.members})

        checker.start(read)
        self.world.run(self.world.now + 60)
        assert found, "the shard cannot be opened in a calm world"
        first = next(iter(found.values()))
        for name, others in found.items():
            assert others == first, f"{name} has other records than {next(iter(found))}"
        kept = dict(first)
        assert len(kept) == len(first), "a record is there twice"
        assert [offset for _, offset in first] == list(range(len(first))), "offsets are not dense"
        lost = {value: offset for value, offset in self.acknowledged.items() if kept.get(value) != offset}
        assert not lost, f"acknowledged, and not there (value: offset): {lost}"
        assert not self.refused & kept.keys(), f"refused, and there: {self.refused & kept.keys()}"
        return len(kept)


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
