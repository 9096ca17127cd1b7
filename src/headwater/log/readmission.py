"""Bringing a site back that left a shard's members, or was erased: a new admission with all that it missed."""

from __future__ import annotations

from collections.abc import Sequence

from headwater.core.errors import CorruptLog
from headwater.log.compacted import repair_copy
from headwater.log.history import read_header
from headwater.log.layout import Layout
from headwater.log.ledger import object_name
from headwater.log.member import Base, MemberSite, directory_of, encode_base
from headwater.log.segment import Segment, SegmentReader, Torn
from headwater.log.storage import ObjectMissing, Storage, StorageUnavailable

_MARK_BYTES = 256


def admit(
    members: Sequence[MemberSite], storage: Storage, admission: str, earlier: Sequence[str], last: Segment | None, layout: Layout
) -> MemberSite:
    """A site with every segment up to ``last``, as far as it counts, under an admission that nobody used before.

    ``earlier`` are admissions of the same site, newest first: what it has of the same segments there is not copied.
    What comes before the first segment that is there still, by the ``layout``, are compacted copies: see `bring_copies`.
    Raises StorageUnavailable, CorruptLog where no member has a segment whole.
    """
    shard = members[0].shard
    old = next((site for site in (MemberSite(storage, shard, each) for each in earlier) if _opens(site)), None)
    chain: list[tuple[int, int]] = []
    held = 0  # How many of the oldest segments the earlier admission has.
    segment = last
    while segment is not None:
        number = segment.header.number
        chain.append((number, segment.end))
        # One that is there says nothing about those before it: a writer of yesterday may have put it alone.
        # The last one is compared from its first byte: the site may have left because it is damaged there.
        start = 0 if segment is last else max(segment.end - _MARK_BYTES, 0)
        held = held + 1 if old is not None and _same(old, members, number, start, segment.end) else 0
        if old is not None and held and number <= old.up_to:
            break  # Whoever made the earlier admission looked at what comes before.
        segment = _before(members, segment) if number > layout.starts_at else None
    base = Base(old.admission, chain[-held][0]) if old is not None and held else Base()
    site = MemberSite(storage, shard, admission)
    # First, and looked for at the end: a site that is erased meanwhile lacks more than is copied here.
    storage.put(f"{directory_of(shard, admission)}/base", encode_base(base))
    for number, end in reversed(chain[: len(chain) - held]):
        name = object_name(directory_of(shard, admission), number)
        data = _whole(members, number, end)
        if not storage.put(name, data) and storage.get(name) != data:
            raise CorruptLog(f"{storage.name}: {name}: there is another segment already")
    if not site.open():
        raise StorageUnavailable(f"{storage.name}: {directory_of(shard, admission)}: erased while it was being filled")
    return site


def bring_copies(sources: Sequence[Storage], storage: Storage, layout: Layout, but: Layout | None = None) -> None:
    """Brings a site every compacted copy that the layout names, without those that the other one names.

    ``sources`` are all sites of the log. Raises StorageUnavailable, CorruptLog where none of them has a copy whole.
    """
    for compacted in layout.compacted:
        if but is None or compacted not in but.compacted:
            repair_copy(sources, storage, layout.shard, compacted)


def _opens(site: MemberSite) -> bool:
    try:
        return site.open()
    except CorruptLog:
        return False  # What it has is copied anew.


def _same(site: MemberSite, members: Sequence[MemberSite], number: int, start: int, end: int) -> bool:
    """Whether the site has the segment as it counts. Its last mark has the chain of all that comes before it."""
    try:
        found = site.get(number, start, end - start)
    except ObjectMissing:
        return False
    return len(found) == end - start and found == _range_of(members, number, start, end)


def _whole(members: Sequence[MemberSite], number: int, end: int) -> bytes:
    """The segment from a member that has it undamaged; where none has, as the first one has it."""
    for member in members:
        try:
            data = member.get(number, 0, end)
        except ObjectMissing:
            continue
        if len(data) == end and _is_whole(data):
            return data
    return _range_of(members, number, 0, end)


def _is_whole(data: bytes) -> bool:
    reader = SegmentReader(lambda at, length: data[at : None if length is None else at + length], "")
    try:
        at = (segment := reader.header()).end
        for group in reader.groups(segment):
            reader.check_bodies(group)
            at = group.end
    except (CorruptLog, Torn):
        return False
    return at == len(data)


def _range_of(members: Sequence[MemberSite], number: int, start: int, end: int) -> bytes:
    for member in members:
        try:
            data = member.get(number, start, end - start)
        except ObjectMissing:
            continue
        if len(data) == end - start:
            return data
    raise CorruptLog(f"shard {members[0].shard}: segment {number}: no member has all {end} bytes that count")


def _before(members: Sequence[MemberSite], after: Segment) -> Segment | None:
    """The segment that the other one follows, as far as it counts."""
    number = after.header.previous
    if number is None:
        return None
    for member in members:
        try:
            segment = read_header(member, number)
        except CorruptLog:
            continue
        if segment is not None:
            segment.end, segment.chain = after.header.previous_end, after.header.previous_chain
            return segment
    raise CorruptLog(f"shard {members[0].shard}: segment {number} counts, and no member has it whole")
