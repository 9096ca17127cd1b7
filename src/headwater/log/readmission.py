"""Bringing a site back that left a shard's members, or was erased: a new admission with all that it missed."""

from __future__ import annotations

from collections.abc import Sequence

from headwater.core.errors import CorruptLog
from headwater.log.history import read_header
from headwater.log.ledger import object_name
from headwater.log.member import Base, MemberSite, directory_of, encode_base
from headwater.log.segment import Segment
from headwater.log.storage import ObjectMissing, Storage, StorageUnavailable


def admit(
    members: Sequence[MemberSite], storage: Storage, admission: str, earlier: Sequence[str], last: Segment | None
) -> MemberSite:
    """A site with every segment up to ``last``, as far as it counts, under an admission that nobody used before.

    ``earlier`` are admissions of the same site, newest first: what it has of the same segments there is not copied.
    Raises StorageUnavailable, CorruptLog where no member has a segment whole.
    """
    shard = members[0].shard
    old = next((site for site in (MemberSite(storage, shard, each) for each in earlier) if site.open()), None)
    lacking: list[tuple[int, bytes]] = []
    segment = last
    while segment is not None:
        number = segment.header.number
        data = _bytes_of(members, number, segment.end)
        if old is not None and _holds(old, number, data):
            break
        lacking.append((number, data))
        segment = _before(members, segment)
    base = Base(old.admission, segment.header.number) if old is not None and segment is not None else Base()
    site = MemberSite(storage, shard, admission)
    # First, and looked for at the end: a site that is erased meanwhile lacks more than is copied here.
    storage.put(f"{directory_of(shard, admission)}/base", encode_base(base))
    for number, data in reversed(lacking):
        name = object_name(directory_of(shard, admission), number)
        if not storage.put(name, data) and storage.get(name) != data:
            raise CorruptLog(f"{storage.name}: {name}: there is another segment already")
    if not site.open():
        raise StorageUnavailable(f"{storage.name}: {directory_of(shard, admission)}: erased while it was being filled")
    return site


def _holds(site: MemberSite, number: int, data: bytes) -> bool:
    try:
        return site.get(number, 0, len(data) + 1) == data
    except ObjectMissing:
        return False


def _bytes_of(members: Sequence[MemberSite], number: int, end: int) -> bytes:
    for member in members:
        try:
            data = member.get(number, 0, end)
        except ObjectMissing:
            continue
        if len(data) == end:
            return data
    raise CorruptLog(f"shard {members[0].shard}: segment {number}: no member has all {end} bytes that count")


def _before(members: Sequence[MemberSite], after: Segment) -> Segment | None:
    """The segment that the other one follows, as far as it counts."""
    number = after.header.previous
    if number is None:
        return None
    for member in members:
        segment = read_header(member, number)
        if segment is not None:
            segment.end, segment.chain = after.header.previous_end, after.header.previous_chain
            return segment
    raise CorruptLog(f"shard {members[0].shard}: segment {number} counts, and no member has it")
