"""Sites and time for tests of one thread: sites fall silent, and something may happen just before they are asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from headwater.log.storage import StorageUnavailable
from headwater.testing.memory_storage import MemoryStorage


class Place(MemoryStorage):
    """A site. ``before`` is called with operation and name before each call has its effect, until it says True once.

    It is not called for calls that it makes itself.
    """

    silent = False
    before: Callable[[str, str], bool] | None = None

    def put(self, name: str, data: bytes, sync: bool = True) -> bool:
        self._begin("put", name)
        return super().put(name, data, sync)

    def get(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        self._begin("get", name)
        return super().get(name, start, length)

    def list(self, directory: str, after: str = "") -> list[str]:
        self._begin("list", directory)
        return super().list(directory, after)

    def delete(self, name: str) -> None:
        self._begin("delete", name)
        super().delete(name)

    def erase(self) -> None:
        self._objects.clear()
        self._directories.clear()

    def names(self) -> list[str]:
        return sorted(self._objects)

    def flip(self, name: str, bit: int) -> None:
        data = bytearray(self._objects[name])
        data[bit // 8] ^= 1 << bit % 8
        self._objects[name] = bytes(data)

    def _begin(self, operation: str, name: str) -> None:
        hook, self.before = self.before, None
        if hook is not None and not hook(operation, name):
            self.before = hook
        if self.silent:
            raise StorageUnavailable(f"{self.name} is silent")


class Clock:
    """A runtime in which sleeping takes time, and waiting for what does not answer (``silence_s`` each time)."""

    def __init__(self, silence_s: float = 0.0) -> None:
        self.at = 1000.0
        self.silence_s = silence_s
        self._drawn = 0

    def now(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += seconds

    def random(self) -> float:
        self._drawn += 1
        return self._drawn * 0.6180339887 % 1.0

    def together(self, calls: Sequence[Callable[[], object]], timeout_s: float) -> list[object]:
        answers = [self._outcome(call) for call in calls]
        if any(isinstance(answer, StorageUnavailable) for answer in answers):
            self.at += self.silence_s
        return answers

    def _outcome(self, call: Callable[[], object]) -> object:
        try:
            return call()
        except Exception as e:
            return e
