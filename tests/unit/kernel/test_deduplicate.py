"""The deduplication filter against a plain model, and after a restart."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.core.record import Record, decode_all, encode
from headwater.kernel import Deduplicator

WINDOW_MS = 80
Event = tuple[str, int]


def batch(events: list[Event]) -> bytes:
    return b"".join(encode(Record(payload=b"{}", event_id=event_id, received_time=time)) for event_id, time in events)


class Model:
    """The same, plainly: stretches of the log, each with the set of ids seen last in it."""

    def __init__(self, window_ms: int, ids_max: int) -> None:
        self.window_ms, self.ids_max = window_ms, ids_max
        self.clock = -(2**63)
        self.stretches: list[tuple[int, list[int], set[str]]] = []
        self.forgotten = 0

    def keeps(self, event_id: str, time: int) -> bool:
        if not event_id:
            return True
        self.clock = max(self.clock, time)
        current = self.stretches[-1] if self.stretches else None
        full = current is not None and len(current[2]) > self.ids_max // 16 and len(self.stretches) < 64
        if current is None or full or self.clock >= current[0] + max(self.window_ms // 8, 1):
            self.stretches.append((self.clock, [self.clock], set()))
        self.stretches[-1][1][0] = self.clock
        self.stretches = [s for s in self.stretches if s[1][0] + self.window_ms > self.clock]
        repeat = any(event_id in ids for _, _, ids in self.stretches)
        for _, _, ids in self.stretches:
            ids.discard(event_id)
        self.stretches[-1][2].add(event_id)
        while sum(len(ids) for _, _, ids in self.stretches) > self.ids_max and len(self.stretches) > 1:
            self.forgotten += len(self.stretches.pop(0)[2])
        return not repeat

    def ids(self) -> int:
        return sum(len(ids) for _, _, ids in self.stretches)


events_strategy = st.lists(
    st.tuples(st.sampled_from(["", *(f"id{n}" for n in range(30))]), st.integers(-5, 25)), min_size=1, max_size=200
).map(lambda steps: [(event_id, sum(step for _, step in steps[: at + 1])) for at, (event_id, _) in enumerate(steps)])


@settings(max_examples=150, deadline=None)
@given(events_strategy, st.integers(1, 40), st.integers(1, 50))
def test_it_keeps_what_a_plain_model_keeps(events: list[Event], ids_max: int, size: int) -> None:
    model = Model(WINDOW_MS, ids_max)
    expected = [model.keeps(*event) for event in events]
    filter_ = Deduplicator(WINDOW_MS, ids_max)
    kept: list[bool] = []
    for first in range(0, len(events), size):
        result = filter_.run(batch(events[first : first + size]), "t", 0, first)
        kept += result.kept
        offsets = [first + at for at, keep in enumerate(result.kept) if keep]
        assert [record.origin for record in decode_all(result.records)] == [("t", 0, offset) for offset in offsets]
        assert (result.count, result.duplicates) == (len(offsets), len(result.kept) - len(offsets))
    assert kept == expected
    assert (filter_.ids, filter_.forgotten) == (model.ids(), model.forgotten)


@settings(max_examples=100, deadline=None)
@given(events_strategy, st.data())
def test_a_restart_anywhere_changes_nothing(events: list[Event], data: st.DataObject) -> None:
    ids_max = data.draw(st.integers(1, 40))
    stop = data.draw(st.integers(0, len(events)))
    # Two partitions take turns; they are replayed one after the other.
    parts = [[event for at, event in enumerate(events) if at % 2 == part] for part in (0, 1)]
    one = Deduplicator(WINDOW_MS, ids_max)
    for at, event in enumerate(events[:stop]):
        one.run(batch([event]), "t", at % 2, at // 2)
    other = Deduplicator.restore(one.state(), WINDOW_MS, ids_max)
    for topic, partition, start, end in other.replay_ranges():
        assert topic == "t"
        assert end <= len(parts[partition])
        # A read may go past the end of what was done: that must not be remembered.
        other.replay(batch(parts[partition][start : end + 3]), topic, partition, start)
    assert (other.ids, other.forgotten, other.state()) == (one.ids, one.forgotten, one.state())
    for at in range(stop, len(events)):
        again = [f.run(batch([events[at]]), "t", at % 2, at // 2).kept for f in (one, other)]
        assert again[0] == again[1], at
    assert other.state() == one.state()


def test_an_id_is_remembered_for_the_window_and_little_longer() -> None:
    day = 24 * 3600 * 1000
    for age, kept in ((day - 1, False), (day + day // 8 + 1, True)):
        for start in (0, 1, day // 16, 10**12):
            filter_ = Deduplicator(day, 1000)
            filter_.run(batch([("before", start), ("a", start + 1000)]), "t", 0, 0)
            steps = [("", 0), *((f"{n}", start + 1000 + age * n // 50) for n in range(50)), ("a", start + 1000 + age)]
            assert filter_.run(batch(steps), "t", 0, 2).kept[-1] is kept, (age, start)


def test_repeats_of_the_same_ids_for_ever_stay_bounded() -> None:
    filter_ = Deduplicator(WINDOW_MS, 160)
    filter_.run(batch([("stays", 0)]), "t", 0, 0)
    ids = [(f"{n}", 0) for n in range(20)]
    for turn in range(600):
        result = filter_.run(batch(ids), "t", 0, 1 + turn * 20)
        assert result.count == (20 if turn == 0 else 0)
    assert (filter_.ids, filter_.forgotten) == (21, 0)
    assert len(filter_.state()) < 10_000
    assert filter_.run(batch([("stays", 0)]), "t", 0, 1 + 600 * 20).duplicates == 1


def test_an_origin_that_is_there_stays() -> None:
    record = encode(Record(payload=b"{}", event_id="a", origin=("first", 7, 9), rule="r", key="k", event_time=5, tier=1))
    kept = Deduplicator(WINDOW_MS, 10).run(record, "t", 0, 0)
    assert kept.records == record


def test_what_is_not_the_next_batch_is_refused() -> None:
    filter_ = Deduplicator(WINDOW_MS, 10)
    filter_.run(batch([("a", 0)]), "t", 0, 5)
    for wrong in (5, 7):
        with pytest.raises(ValueError, match=f"the next offset of t/0 is 6, not {wrong}"):
            filter_.run(batch([("b", 0)]), "t", 0, wrong)
    with pytest.raises(ValueError, match="cut off"):
        filter_.run(batch([("b", 0)])[:-1], "t", 0, 6)
    assert filter_.run(batch([("b", 0)]), "t", 0, 6).count == 1
    with pytest.raises(ValueError, match="version 9"):
        Deduplicator.restore(b'{"version": 9}', 1, 1)
