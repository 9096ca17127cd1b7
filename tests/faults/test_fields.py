"""Each field of each object damaged, and each object cut at each byte: found, repaired from another site, never believed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import pytest

from headwater.core.errors import LogError
from headwater.core.ids import seeded_random
from headwater.log import repair as repair_module
from headwater.log import verify_ledgers
from headwater.log.groups import read_group
from headwater.log.interface import AppendGroup, Commit, Producer
from headwater.log.named_storage import NamedStorage
from headwater.log.repair import repair
from headwater.log.roster import Roster
from headwater.log.shared import LogSettings, SharedLog, open_log
from headwater.log.takeover import Sites
from headwater.log.topics import TopicRegistry, TopicSettings
from headwater.log.upkeep import UpkeepSettings
from headwater.log.verify import verify
from headwater.log.verify_ledgers import Finding
from headwater.testing.log_conformance import batch, ids
from headwater.testing.memory_storage import MemoryStorage
from tests.faults.fields import fields_of
from tests.unit.log.keeping import GRACE_S, Clock

Stores = dict[str, MemoryStorage]
PLACES = (("t", 0), ("t", 1), ("v", 0))


class Damage(NamedTuple):
    """Bytes to put in the place of an object, and what they are, for people."""

    name: str
    data: bytes
    what: str


def opened(stores: Mapping[str, MemoryStorage], clock: Clock | None = None, first: str = "a") -> SharedLog:
    """The log of these sites; nothing happens in the background."""
    upkeep = UpkeepSettings(segments_min=1, source_bytes_min=1, grace_s=GRACE_S)
    settings = LogSettings(first=first, segment_bytes_max=900, flush_s=0.0, follows=False, upkeep=upkeep)
    return open_log(dict(stores), settings=settings, runtime=clock or Clock())


def append(log: SharedLog, numbers: Iterable[int]) -> None:
    """A session of a writer: groups with records of two partitions, and in every third a commit, a state and a producer."""
    writer = log.writer("s-0")
    for n in numbers:
        more = ((Commit("g", "t", 0, n),), (("state", str(n).encode()),), Producer("p", n)) if n % 3 == 0 else ()
        writer.append(AppendGroup((batch("t", 2 * n, 2), batch("t", n, 1, partition=1)), *more))
    writer.close()


def build(appends: bool, sites: str) -> Stores:
    """A log with everything in it: copies, closed segments, fences, a last segment, journals; and a shard beside it."""
    stores = {name: MemoryStorage(name, appends) for name in sites}
    clock = Clock()
    log = opened(stores, clock)
    log.create_topic("t", TopicSettings(partitions=2))
    member = log.join("readers", "one", {"t": 2})
    member.poll()
    member.commit({("t", 0): 3})
    Roster(log.sites, clock).number_of("collector")
    append(log, range(5))
    append(log, range(5, 8))
    writer = log.writer("s-0")
    log.keeper.step(force=True)
    clock.time_s += GRACE_S
    log.keeper.step()
    writer.close()
    append(log, range(8, 13))
    log.writer("s-0").close()
    append(log, range(13, 17))
    writer = log.writer("s-1")
    writer.append(AppendGroup((batch("v", 0, 3),), (), (("other state", b"v"),)))
    writer.close()
    log.close()
    return stores


def objects(store: MemoryStorage, directory: str = "") -> list[str]:
    """The names of all objects."""
    found = []
    for entry in store.list(directory):
        path = f"{directory}/{entry}" if directory else entry
        found += objects(store, path.removesuffix("/")) if entry.endswith("/") else [path]
    return found


def with_fields(store: MemoryStorage) -> list[str]:
    """The names of all objects that have any bytes."""
    return [name for name in objects(store) if store.get(name)]


def replace(store: MemoryStorage, name: str, data: bytes) -> None:
    """Behind the log's back."""
    store.delete(name)
    store.put(name, data)


def copied(stores: Mapping[str, MemoryStorage]) -> Stores:
    """The same objects, apart."""
    others = {name: MemoryStorage(name, store.appends) for name, store in stores.items()}
    for name, store in stores.items():
        for each in objects(store):
            others[name].put(each, store.get(each))
    return others


class Seen(NamedTuple):
    """What a log gave: values by name, the records of a partition as ``topic/partition``; or the error in place of a value.

    ``passed``: how many records of each partition were passed over, and counted.
    """

    values: dict[str, object]
    errors: dict[str, str]
    passed: dict[str, int]


def look(stores: Mapping[str, MemoryStorage], takes_over: bool = False) -> Seen:
    """Reads everything there is, as far as it can be read; after a take-over of the shard, where that is possible."""
    clock = Clock()
    seen = Seen({}, {}, {})
    log = opened(stores, clock)
    if takes_over:
        for name, shard in (("writer", "s-0"), ("other writer", "s-1")):
            _note(seen, name, lambda shard=shard: log.writer(shard).shard)
    for topic, partition in PLACES:
        _note(seen, f"{topic}/{partition}", lambda topic=topic, partition=partition: records(log, topic, partition, seen))
    _note(seen, "state", lambda: log.state("state"))
    _note(seen, "other state", lambda: log.state("other state"))
    _note(seen, "commit", lambda: log.committed("g", "t", 0))
    _note(seen, "topics", lambda: TopicRegistry(log.sites, clock).list())
    _note(seen, "group", lambda: read_group("readers", log.sites, clock).units)
    _note(seen, "roster", lambda: Roster(log.sites, clock).names())
    seen.passed.update({f"{topic}/{partition}": count for (topic, partition), count in log.quarantine.records().items()})
    return seen


def _note(seen: Seen, name: str, value: Callable[[], object]) -> None:
    try:
        seen.values[name] = value()
    except LogError as e:
        seen.errors[name] = str(e)


def records(log: SharedLog, topic: str, partition: int, seen: Seen) -> dict[int, int]:
    """Offset and id of each record; where the log raises, it goes on at the next offset, and the errors are kept."""
    found: dict[int, int] = {}
    offset, end = log.start_offset(topic, partition), log.end_offset(topic, partition)
    while offset < end:
        try:
            fetch = log.read(topic, partition, offset, 1)
        except LogError as e:
            seen.errors[f"{topic}/{partition} {offset}"] = str(e)
            offset += 1
            continue
        found.update(enumerate(ids(fetch.data), fetch.first_offset))
        offset = fetch.next_offset
    return found


def flipped(data: bytes, bit: int) -> bytes:
    """With a bit turned."""
    turned = bytearray(data)
    turned[bit // 8] ^= 1 << bit % 8
    return bytes(turned)


def bits(name: str, data: bytes, every: bool = True) -> list[Damage]:
    """Every bit of every field; or one bit of each, once for frames, ranges and entries of lists that are of one kind."""
    random = seeded_random(1)
    found: dict[str, Damage] = {}
    for field in fields_of(data):
        first, end = field.start * 8, field.end * 8
        for bit in range(first, end) if every else (random.randrange(first, end),):
            what = f"bit {bit - first} of {field.name!r} (bytes {field.start} to {field.end})"
            kind = what if every else re.sub(r"\d+", "", field.name)
            if kind not in found or random.random() < 0.3:
                found[kind] = Damage(name, flipped(data, bit), what)
    return list(found.values())


def cuts(name: str, data: bytes, step: int) -> list[Damage]:
    """Cut off at every so many bytes, and between any two frames."""
    frames = {field.start for field in fields_of(data) if field.name.endswith(": magic")}
    sizes = sorted({*range(0, len(data), step), *frames})
    return [Damage(name, data[:size], f"cut off at byte {size} of {len(data)}") for size in sizes]


def one_of_each(store: MemoryStorage) -> list[str]:
    """The first, middle and last object of each kind of shard s-0 and of the journals; of segments, fences apart."""
    by_kind: dict[str, list[str]] = {}
    for name in with_fields(store):
        directory, _, last = name.rpartition("/")
        kind = f"{directory} {last.isdigit() or last[-5:]} {b'fence' + bytes([0xC3]) in store.get(name)}"
        by_kind.setdefault(kind, []).extend([name] if not name.startswith("s-1/") else [])
    return sorted({each[at] for each in by_kind.values() if each for at in (0, len(each) // 2, -1)})


def sites_of(stores: Mapping[str, MemoryStorage]) -> Sites:
    """The sites as a log has them."""
    return Sites(tuple(NamedStorage(name, store) for name, store in stores.items()))


def found_by_verify(stores: Mapping[str, MemoryStorage]) -> list[Finding]:
    """All findings."""
    return list(verify(sites_of(stores), Clock()))


class Alone:
    """A log on one site: what is damaged is named, or passed over and counted; the rest is read; nothing wrong ever is."""

    def __init__(self, appends: bool) -> None:
        self.stores = build(appends, "a")
        self.store = self.stores["a"]
        self.whole = look(self.stores)
        assert not self.whole.errors
        self.last = last_segments(self.store)[0]
        self.named = self.passed = self.hidden = 0

    def play(self, damages: Iterable[Damage]) -> Alone:
        """Puts each in its place, looks, and puts back what was there."""
        for damage in damages:
            whole = self.store.get(damage.name)
            replace(self.store, damage.name, damage.data)
            try:
                self.check(damage, whole)
            except AssertionError as e:
                raise AssertionError(f"{damage.name}: {damage.what}: {e}") from None
            replace(self.store, damage.name, whole)
        return self

    def check(self, damage: Damage, whole: bytes) -> None:
        """Whether it is found, and what is read in spite of it: by who looks on, and by who takes the shard over."""
        found = [each.name for each in found_by_verify(self.stores)]
        if damage.name == self.last and self.is_torn_tail(damage.data, whole):
            self.hidden += 1
            self.check_tail(look(self.stores), damage.data, whole, hides=1)
            self.check_tail(look(copied(self.stores), takes_over=True), damage.data, whole, hides=0)
            return
        assert damage.name in found, f"verify does not find it: {found}"
        self.compare(look(self.stores), damage.name)
        self.compare(look(copied(self.stores), takes_over=True), damage.name)

    def compare(self, seen: Seen, name: str) -> None:
        """Every value is as it was, or missing under a name or a count."""
        for what, error in seen.errors.items():
            assert name in error, f"{what} is not to be had: {error}"
            assert not what.startswith(("v/", "other ")), f"{what} lies elsewhere, and is not to be had: {error}"
        for what, value in self.whole.values.items():
            found = seen.values.get(what)
            if what in seen.errors:
                continue
            if not what.startswith(("t/", "v/")):
                assert found == value, f"{what} is {found}, and was {value}"
                continue
            assert found.items() <= value.items(), f"{what}: there are other records: {dict(found.items() - value.items())}"
            named = sum(each.startswith(f"{what} ") for each in seen.errors)
            passed, missing = seen.passed.get(what, 0), len(value) - len(found)
            assert missing == named + passed, f"{what}: {missing} records are missing, {named} by name, {passed} are counted"
            self.passed += passed
        self.named += len(seen.errors)

    def is_torn_tail(self, data: bytes, whole: bytes) -> bool:
        """Whether the end of the last segment looks as if it was never durable: the one thing that a site alone cannot tell.

        Where objects are put whole, it can.
        """
        cut = len(data) < len(whole) and len(data) >= int.from_bytes(whole[8:12], "little")
        return self.store.appends and (cut or _differs_at(data, whole) >= marks_of(whole)[-1])

    def check_tail(self, seen: Seen, data: bytes, whole: bytes, hides: int) -> None:
        """All groups before the damage are there, in order; but for some that nothing stands behind any more."""
        marks = marks_of(whole)
        # A group is as whole as its mark, which ends where the next group begins; the closing mark has no records.
        lost = sum(end > _differs_at(data, whole) for end in ends_of(whole, marks)[:-1])
        for what, many in (("t/0", 2), ("t/1", 1)):
            found, value = seen.values[what], self.whole.values[what]
            assert found == dict(list(value.items())[: len(found)]), f"{what}: there are other records: {found}"
            missing = len(value) - len(found)
            assert missing in range(lost * many, (lost + hides) * many + 1), f"{what}: {missing} records are missing"
        for what in ("v/0", "other state", "topics", "group", "roster"):
            assert seen.values.get(what) == self.whole.values[what], f"{what} lies elsewhere, and is {seen.values.get(what)}"


def last_segments(store: MemoryStorage) -> list[str]:
    """The last segment of each shard."""
    found = [name for name in objects(store) if "/segment/" in name and not name.endswith("base")]
    return [max(name for name in found if name.startswith(shard)) for shard in ("s-0/", "s-1/")]


def marks_of(data: bytes) -> list[int]:
    """Where the marks of a segment begin."""
    return [field.start for field in fields_of(data) if field.name.endswith("(mark): magic")]


def ends_of(data: bytes, marks: list[int]) -> list[int]:
    """Where these frames end."""
    return [at + int.from_bytes(data[at + 8 : at + 12], "little") for at in marks]


def _differs_at(data: bytes, whole: bytes) -> int:
    return next((at for at, (one, other) in enumerate(zip(data, whole, strict=False)) if one != other), len(data))


class OneOfThree:
    """A log on three sites, of which one is damaged: all of it is read right, found, and brought back from the others."""

    def __init__(self, appends: bool) -> None:
        self.stores = build(appends, "abc")
        self.whole = look(self.stores)
        self.last = last_segments(self.stores["a"])

    def rounds(self, damages_of: Callable[[str, bytes], list[Damage]], names: list[str]) -> OneOfThree:
        """The first damage of each of these objects at once, then the second, until each of each was there."""
        damages = [damages_of(name, self.stores["a"].get(name)) for name in names]
        for turn in range(max(map(len, damages))):
            chosen = [each[turn % len(each)] for each in damages]
            try:
                self.round(chosen)
            except AssertionError as e:
                raise AssertionError(f"{'; '.join(f'{each.name}: {each.what}' for each in chosen)}: {e}") from None
        return self

    def play(self, damages_of: Callable[[str, bytes], list[Damage]]) -> OneOfThree:
        """Of all objects at once; but a site with a damaged base or last segment is not looked at any further."""
        apart = [self.last[0], *(name for name in with_fields(self.stores["a"]) if name.startswith("s-0/") and "base" in name)]
        beside = [name for name in with_fields(self.stores["a"]) if name.startswith("s-1/")]
        self.rounds(damages_of, [name for name in with_fields(self.stores["a"]) if name not in (*apart, *beside)])
        for name in apart:
            self.rounds(damages_of, [name])
        return self

    def round(self, damages: list[Damage]) -> None:
        """Damages site a, reads, verifies, repairs, and compares."""
        stores = copied(self.stores)
        for damage in damages:
            replace(stores["a"], damage.name, damage.data)
        self.check_values(look(stores), "with the damage", torn=damages[0].name in self.last)
        self.check_values(look(copied(stores), takes_over=True), "taken over")
        found = found_by_verify(stores)
        assert all(each.site == "a" for each in found), f"on other sites: {found}"
        for damage in damages:
            assert damage.name in [each.name for each in found], f"verify does not find {damage.name}: {damage.what}"
        apart = False
        for each in repair(sites_of(stores), Clock()):
            assert each.done or each.finding.kind == "tail", f"{each.finding.name}: {each.what}"
            apart = apart or each.finding.kind in ("tail", "base")
        if apart:
            bring_back(stores)
        assert found_by_verify(stores) == []
        self.check_values(look({"a": stores["a"]}), "repaired, on that site alone")
        for damage in () if apart else damages:
            assert stores["a"].get(damage.name) == stores["b"].get(damage.name), f"{damage.name}: the sites differ"

    def check_values(self, seen: Seen, when: str, torn: bool = False) -> None:
        """All of it is there. ``torn``: the last group may be hidden until the shard is opened."""
        assert not seen.errors, f"{when}: {seen.errors}"
        assert not seen.passed, f"{when}: {seen.passed} records are passed over"
        for what, value in self.whole.values.items():
            found = seen.values[what]
            if torn and isinstance(found, dict) and isinstance(value, dict) and found != value:
                assert found == dict(list(value.items())[: len(found)]), f"{when}: {what} is {found}, and was {value}"
            elif not torn or what not in ("state", "commit", "other state"):
                assert found == value, f"{when}: {what} is {found}, and was {value}"


def bring_back(stores: Stores) -> None:
    """What `repair` leaves to whoever opens the shards next."""
    log = opened(stores)
    for shard in ("s-0", "s-1"):
        writer = log.writer(shard)
        for storage in log.sites.storages:
            assert storage.name in writer.members or writer.readmit(storage)
        writer.close()
    log.close()


def flips(name: str, data: bytes) -> list[Damage]:
    """One bit of each field."""
    return bits(name, data, every=False)


def test_a_bit_of_each_field_on_the_only_site_is_found_and_never_believed() -> None:
    alone = Alone(appends=True)
    alone.play(damage for name in one_of_each(alone.store) for damage in flips(name, alone.store.get(name)))
    assert alone.named > 500
    assert alone.passed > 50


def test_an_object_cut_at_any_byte_on_the_only_site_is_found_and_never_believed() -> None:
    alone = Alone(appends=True)
    alone.play(damage for name in one_of_each(alone.store) for damage in cuts(name, alone.store.get(name), step=61))
    assert alone.named > 100
    assert alone.hidden > 3


def test_a_bit_of_each_field_on_one_site_is_repaired_from_another() -> None:
    OneOfThree(appends=True).play(flips)


def test_objects_cut_at_any_byte_on_one_site_are_repaired_from_another() -> None:
    OneOfThree(appends=True).play(lambda name, data: cuts(name, data, step=97))


@pytest.mark.slow
@pytest.mark.parametrize("part", range(8))
@pytest.mark.parametrize("appends", [True, False])
def test_any_bit_and_any_cut_on_the_only_site_is_found_and_never_believed(appends: bool, part: int) -> None:
    alone = Alone(appends)
    for name in one_of_each(alone.store)[part::8]:
        whole = alone.store.get(name)
        alone.play([*bits(name, whole), *cuts(name, whole, step=1)])


@pytest.mark.slow
@pytest.mark.parametrize("appends", [True, False])
def test_a_bit_of_each_byte_and_any_cut_on_one_site_is_repaired_from_another(appends: bool) -> None:
    OneOfThree(appends).play(lambda name, data: [*bits(name, data)[::7], *cuts(name, data, step=1)])


def test_a_log_that_believes_damage_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = Alone(appends=True)
    name = next(name for name in with_fields(alone.store) if name.startswith("s-0/manifest"))
    monkeypatch.setattr(verify_ledgers, "decode_manifest", lambda *_: None)
    with pytest.raises(AssertionError, match=r"manifest.*of 'magic'.*verify does not find it"):
        alone.play(flips(name, alone.store.get(name)))


def test_a_repair_that_brings_nothing_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repair_module, "_bring", lambda *_: None)
    with pytest.raises(AssertionError, match="segment header"):
        OneOfThree(appends=True).play(flips)
