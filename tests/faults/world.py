"""What a test appended and what became of it; and the check that a log, opened again, holds just that."""

from collections.abc import Callable
from pathlib import Path

from headwater.core.errors import AppendInDoubt, LogError, LogUnavailable, Overtaken
from headwater.log.files import Files, OsFiles
from headwater.log.interface import AppendGroup, Batch, Commit, Log, ShardWriter
from headwater.log.runtime import Threads
from headwater.log.shared import LogSettings, SharedLog, open_log
from headwater.log.storage import Storage
from headwater.log.stores.folder import FolderStorage
from headwater.testing.log_conformance import batch, read_all

IDS_PER_GROUP = 100
SITE = "local"
SYSTEM = OsFiles()


class Clock(Threads):
    """A runtime whose time passes when somebody sleeps, and by some milliseconds each time it is looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.time_s = 0.0

    def now(self) -> float:
        """See `Runtime`."""
        self.time_s += 0.002
        return self.time_s

    def sleep(self, seconds: float) -> None:
        """See `Runtime`."""
        self.time_s += seconds


def open_folder(
    path: Path, files: Files = SYSTEM, segment_bytes_max: int = 4000, folder: type[FolderStorage] = FolderStorage
) -> SharedLog:
    """The log of one folder, in order: nothing happens in it but what the caller asks for."""
    settings = LogSettings(segment_bytes_max=segment_bytes_max, follows=False)
    return open_log({SITE: folder(path, files, token="token")}, settings=settings, runtime=Clock())


def opened_to_write(log: SharedLog) -> SharedLog:
    """The log, with its shard taken over: readers do not show a last group that nothing stands behind yet."""
    log.writer("s-0")
    return log


def segments_of(path: Path, shard: str = "s-0") -> list[Path]:
    """The segments of a shard in a folder that a test knows to have one admission, fences among them."""
    return sorted(each for each in (path / shard / "segment").glob("*/*") if each.name.isdigit())


def group_of(number: int) -> AppendGroup:
    """Group ``number``: records for two topics, a commit and a state, each telling the number. Every fifth has no records."""
    commits = (Commit(group="g", topic="in", partition=0, next_offset=number),)
    batches: tuple[Batch, ...] = ()
    if number % 5 != 4:
        first = number * IDS_PER_GROUP
        batches = (batch("a", first, 1 + number % 3, payload_bytes=50 + number * 37 % 300), batch("b", first, 1 + number % 2))
    return AppendGroup(batches=batches, commits=commits, state=(("s", str(number).encode()),))


def counts(number: int) -> tuple[int, int]:
    """Records of the group in topic a and in topic b."""
    return (0, 0) if number % 5 == 4 else (1 + number % 3, 1 + number % 2)


class World:
    """Group numbers, in the order of their appends."""

    def __init__(self) -> None:
        self.acknowledged: list[int] = []
        self.refused: set[int] = set()
        self.unknown: set[int] = set()
        self.next = 1

    def append(self, writer: ShardWriter) -> None:
        """Appends the next group. One that neither returns nor refuses stays unknown.

        Raises AppendInDoubt and Overtaken: the writer is done for.
        """
        number = self.next
        self.next += 1
        self.unknown.add(number)
        try:
            writer.append(group_of(number))
        except (AppendInDoubt, Overtaken):
            raise
        except LogUnavailable:
            self.refused.add(number)
        else:
            self.acknowledged.append(number)
        self.unknown.discard(number)

    def check(self, log: Log) -> None:
        """Fails where something acknowledged is lost, something refused is there, or a group is there in part.

        Groups that were unknown are taken for acknowledged or refused after it, as the log now says.
        """
        found = [_groups(read_all(log, topic)) for topic in ("a", "b")]
        committed = log.committed("g", "in", 0)
        last = {number for number in (committed,) if number}
        present = set(found[0]) | set(found[1]) | last
        assert not present & self.refused, f"refused, and there: {present & self.refused}"
        for number in self.acknowledged:
            expected = tuple(groups.get(number, 0) for groups in found)
            assert expected == counts(number), f"group {number} was acknowledged; of its records {expected} are there"
        for number in present:
            there = tuple(groups.get(number, 0) for groups in found)
            assert there == counts(number), f"of group {number} there are {there} records, not {counts(number)}"
        for groups in found:
            assert list(groups) == sorted(groups), f"out of order: {list(groups)}"
        known = max([0, *self.acknowledged, *present])
        assert committed == known, f"committed is {committed}, the last group that is there is {known}"
        assert log.state("s") == (str(committed).encode() if committed else None)
        self.acknowledged = sorted({*self.acknowledged, *(self.unknown & present)})
        self.refused |= self.unknown - present
        self.unknown = set()


def _groups(ids: list[int]) -> dict[int, int]:
    """Group number → its records, in order; fails where they do not stand together and in order."""
    groups: dict[int, int] = {}
    for found in ids:
        number, index = divmod(found, IDS_PER_GROUP)
        assert groups.get(number, 0) == index, f"record {index} of group {number} stands where {groups.get(number, 0)} belongs"
        groups[number] = index + 1
    return groups


def catches(check: Callable[[], None]) -> bool:
    """Whether a check fails, by assertion or by the log's own complaint: for mutants."""
    try:
        check()
    except (AssertionError, LogError):
        return True
    return False


def site_names(sites: int) -> str:
    """The names of that many sites."""
    return "abc"[:sites]


def folders(directory: Path, sites: int) -> dict[str, Storage]:
    """Sites in folders of a directory."""
    return {name: FolderStorage(directory / name) for name in site_names(sites)}


def open_sites(directory: Path, sites: int, follows: bool = False, only: str = "", segment_bytes_max: int = 10**6) -> SharedLog:
    """The log on the sites of a directory, with real time; ``only``: on that one of them."""
    storages = {name: storage for name, storage in folders(directory, sites).items() if not only or name == only}
    return open_log(storages, settings=LogSettings(segment_bytes_max=segment_bytes_max, follows=follows))
