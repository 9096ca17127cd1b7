"""What a site keeps: objects as they are seen, and what of them a power cut leaves."""

from __future__ import annotations

from headwater.core.ids import Random
from headwater.testing.memory_storage import MemoryStorage


class _Unsynced:
    """An object that is not durable as it is seen. ``durable``: as it was (None: there was none).

    ``whole``: where it is new, so many bytes stay, or none. ``settles``: a look makes it durable.
    """

    __slots__ = ("durable", "settles", "whole")

    def __init__(self, durable: bytes | None, whole: int = 0, settles: bool = False) -> None:
        self.durable = durable
        self.whole = whole
        self.settles = settles


class Disk:
    """Objects whose volatile part is lost, zeroed, garbled or kept when the power goes, as the seed says."""

    def __init__(self, name: str, appends: bool, random: Random) -> None:
        self.seen = MemoryStorage(name, appends)
        self.names: dict[str, None] = {}
        self._random = random
        self._unsynced: dict[str, _Unsynced] = {}
        # Bytes that are seen and that a failed sync dropped: from the first on, to the second.
        self._dropped: dict[str, tuple[int, int]] = {}

    def put(self, name: str, data: bytes, settles: bool) -> bool:
        """Not durable until `sync`, or, where it ``settles``, until somebody looks at it."""
        if not self.seen.put(name, data):
            self.settle(name)
            return False
        self.names[name] = None
        self._unsynced[name] = _Unsynced(None, len(data) if settles else 0, settles)
        return True

    def append(self, name: str, at: int, data: bytes) -> None:
        """Not durable until `sync`."""
        before = self.seen.get(name)
        self.seen.append(name, at, data)
        self._unsynced.setdefault(name, _Unsynced(before))
        if name in self._dropped:
            first, last = self._dropped.pop(name)
            first, last = max(first, at + len(data)) if at <= first else first, min(last, at) if at + len(data) >= last else last
            if first < last:
                self._dropped[name] = (first, last)

    def settle(self, name: str) -> None:
        """Somebody looks: what a put is about to make durable is durable before it is shown."""
        unsynced = self._unsynced.get(name)
        if unsynced is not None and unsynced.settles:
            del self._unsynced[name]

    def sync(self, name: str) -> None:
        """Makes the object durable as it is seen, but for what a failed sync dropped."""
        self._unsynced.pop(name, None)

    def fail_sync(self, name: str) -> None:
        """The system drops what was not durable yet, shows it all the same, and calls the next sync a success."""
        unsynced = self._unsynced.pop(name, None)
        if unsynced is None:
            return
        if unsynced.settles and self._random.random() < 0.5:
            self.delete(name)  # It had no name yet; had somebody read it, it would be durable.
        else:
            self._dropped[name] = (
                unsynced.whole if unsynced.durable is None else len(unsynced.durable),
                len(self.seen.get(name)),
            )

    def delete(self, name: str) -> None:
        """Durable at once."""
        self.seen.delete(name)
        for kept in (self.names, self._unsynced, self._dropped):
            kept.pop(name, None)

    def erase(self) -> None:
        """Everything is gone."""
        for name in list(self.names):
            self.delete(name)

    def lose_power(self) -> list[str]:
        """What was not durable is lost or damaged; says what became of each object."""
        became = []
        for name in list(self.names):
            unsynced, dropped = self._unsynced.pop(name, None), self._dropped.pop(name, None)
            before = data = self.seen.get(name)
            if unsynced is not None and unsynced.durable is None:
                if self._random.random() < 0.5:
                    self.delete(name)
                    became.append(f"{name} is gone")
                    continue
                unsynced.durable = data[: unsynced.whole]
            if dropped is not None:
                data = data[: dropped[0]] + bytes(dropped[1] - dropped[0]) + data[dropped[1] :]
            if unsynced is not None:
                data = self._survivor(data, unsynced.durable or b"")
            if data != before:
                became.append(f"{name}: of {len(before)} bytes {len(data)} are left, or others")
                self._replace(name, data)
        return became

    def _survivor(self, data: bytes, durable: bytes) -> bytes:
        """What is left of an object that was written to: bytes that were durable and were not written anew stay."""
        old, more = len(durable), len(data) - len(durable)
        part = old + int(self._random.random() * (more + 1))
        match int(self._random.random() * 6):
            case 0:
                return durable
            case 1:
                return data[:part]
            case 2:
                return data[:part] + bytes(len(data) - part)
            case 3:
                return data[:old] + bytes(part - old) + data[part:]
            case 4:
                garbage = self._random.randbytes(len(data))
                if data.startswith(durable):
                    return durable + garbage[old:]
                kept = bytes(a if a == b else c for a, b, c in zip(durable, data, garbage, strict=False))
                return kept + garbage[old:]
            case _:
                return data

    def flip(self, name: str | None = None, bit: int | None = None) -> str | None:
        """Flips a bit of an object, by the seed where not given; which one, None where there is none."""
        names = [each for each in self.names if self.seen.get(each)] if name is None else [name]
        if not names:
            return None
        chosen = names[int(self._random.random() * len(names))]
        data = bytearray(self.seen.get(chosen))
        at = int(self._random.random() * len(data) * 8) if bit is None else bit
        data[at // 8] ^= 1 << at % 8
        self._replace(chosen, bytes(data))
        return f"bit {at % 8} of byte {at // 8} of {chosen}"

    def _replace(self, name: str, data: bytes) -> None:
        self.seen.delete(name)
        self.seen.put(name, data)
