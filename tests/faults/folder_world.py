"""What a test put in a folder and what became of it; and the check that the folder, opened again, holds just that."""

from pathlib import Path

from headwater.log.storage import ObjectMissing
from headwater.log.stores.folder import FolderStorage
from headwater.testing.faults import PowerLost, SimulatedFiles

PATH = Path("/var/lib/headwater/site")
SECTORS = bytes(range(1, 251))  # Several sectors of the simulated disk, no byte of which is what a lost one reads as.


class FolderWorld:
    """Names, and what each may hold: exactly one of some values (None: no object), or anything that begins with a value."""

    def __init__(self) -> None:
        self.values: dict[str, set[bytes | None]] = {}
        self.begins: dict[str, bytes] = {}
        self.runs = 0
        self.acknowledged = 0

    def run(self, files: SimulatedFiles, kind: type[FolderStorage]) -> None:
        """Opens the folder, checks it and does one of everything, as far as the power lasts."""
        self.runs += 1
        try:
            storage = kind(PATH, files, token=f"t{self.runs}")
            self.check(storage)
            shard = f"s-{self.runs % 2}"
            for kept in ("manifest", "segment"):
                self.put(storage, f"{shard}/{kept}/{self.runs:020}", SECTORS)
            self.put(storage, f"{shard}/segment/{self.runs:020}", b"taken")
            for at, data in ((250, SECTORS), (500, SECTORS[::-1]), (600, b"cut" * 50), (750, b"")):
                self.append(storage, f"{shard}/segment/{self.runs:020}", at, data)
            fast = f"{shard}/fast/{self.runs:020}"
            self.begins[fast] = b""
            storage.put(fast, SECTORS, sync=False)
            storage.append(fast, 250, SECTORS, sync=False)
            self.values[fast] = {SECTORS * 2}
            storage.append(fast, 500, b"")
            del self.begins[fast]
            self.delete(storage, f"{shard}/manifest/{self.runs:020}")
            self.put(storage, f"{shard}/manifest/{self.runs:020}", b"anew" * 50)
        except PowerLost:
            pass

    def put(self, storage: FolderStorage, name: str, data: bytes) -> None:
        before = self.values.get(name, {None})
        self.values[name] = before | {data} if None in before else before
        done = storage.put(name, data)
        assert done == (None in before), f"{name}: the put said {done}; the object before it was {before}"
        self.values[name] = {data} if done else before
        self.acknowledged += 1

    def append(self, storage: FolderStorage, name: str, at: int, data: bytes) -> None:
        (before,) = self.values[name]
        assert before is not None
        self.begins[name] = before[:at]
        storage.append(name, at, data)
        del self.begins[name]
        self.values[name] = {before[:at] + data + before[at + len(data) :]}
        self.acknowledged += 1

    def delete(self, storage: FolderStorage, name: str) -> None:
        self.values[name] = {*self.values[name], None}
        storage.delete(name)
        self.values[name] = {None}

    def check(self, storage: FolderStorage) -> None:
        """Fails where something acknowledged is lost, or something is there in part or unasked. Then knows what is there."""
        listed = set()
        for shard in storage.list(""):
            for kept in storage.list(shard[:-1]):
                listed |= {f"{shard}{kept}{name}" for name in storage.list(f"{shard}{kept}"[:-1])}
        there = {name: _content(storage, name) for name in {*self.values, *listed}}
        assert {name for name, content in there.items() if content is not None} == listed
        for name, content in there.items():
            if name in self.begins:
                begin = self.begins[name]
                # An object that was put unsynced is there in part, or not at all.
                assert not begin or (content is not None and content.startswith(begin)), (
                    f"{name}: bytes before the append are gone"
                )
            else:
                valid = self.values.get(name, {None})
                assert content in valid, f"{name} holds {content!r}; it may hold one of {valid}"
        self.values = {name: {content} for name, content in there.items()}
        self.begins = {}


def _content(storage: FolderStorage, name: str) -> bytes | None:
    try:
        return storage.get(name)
    except ObjectMissing:
        return None
