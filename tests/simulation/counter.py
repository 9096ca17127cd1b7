"""A toy log for the simulation: values under numbers, by put-if-absent on one site. And ways to get it wrong."""

from collections.abc import Callable

from headwater.log.runtime import Runtime
from headwater.log.storage import ObjectMissing, Storage, StorageUnavailable
from headwater.testing.simulation import FaultPlan, History, Process, World, assert_holds

Add = Callable[[Storage, Runtime, bytes], int]


def name_of(number: int) -> str:
    return f"count/{number:020}"


def add(site: Storage, runtime: Runtime, value: bytes) -> int:
    """Puts the value under the first free number; tries the same again until it is known who has it."""
    number = 0
    while True:
        try:
            if site.put(name_of(number), value) or site.get(name_of(number)) == value:
                return number
        except StorageUnavailable:
            runtime.sleep(0.1 + runtime.random())
            continue
        number += 1


def add_elsewhere_when_in_doubt(site: Storage, runtime: Runtime, value: bytes) -> int:
    number = 0
    while True:
        try:
            if site.put(name_of(number), value):
                return number
        except StorageUnavailable:
            runtime.sleep(0.1)
        number += 1


def add_without_sync(site: Storage, runtime: Runtime, value: bytes) -> int:
    number = 0
    while True:
        try:
            if site.put(name_of(number), value, sync=False) or site.get(name_of(number)) == value:
                return number
        except StorageUnavailable:
            runtime.sleep(0.1)
            continue
        number += 1


def add_behind_what_is_listed(site: Storage, runtime: Runtime, value: bytes) -> int:
    """A list shows what is not durable yet, and what may be gone after a power cut."""
    while True:
        try:
            number = len(site.list("count"))
            if site.put(name_of(number), value) or site.get(name_of(number)) == value:
                return number
        except StorageUnavailable:
            runtime.sleep(0.1)


def add_believing_in_time(site: Storage, runtime: Runtime, value: bytes) -> int:
    """Takes a number to be free when nobody answers that it is not."""
    number = 0
    while True:
        try:
            if site.put(name_of(number), value):
                return number
        except StorageUnavailable:
            return number
        number += 1


def read_all(site: Storage, runtime: Runtime) -> list[bytes]:
    values: list[bytes] = []
    while True:
        try:
            values.append(site.get(name_of(len(values))))
        except ObjectMissing:
            break
        except StorageUnavailable:
            runtime.sleep(0.1)
    return values


def count(seed: int, how: Add = add, plan: FaultPlan | None = None, writers: int = 3, values: int = 6) -> World:
    with World(seed) as world:
        site = world.site("a")
        history = History(lambda: world.now)

        def write(process: Process) -> None:
            for number in range(values):
                value = f"{process}.{process.starts}.{number}".encode()
                append = history.append(process, "count", value)
                append.acknowledged(how(site, process.runtime, value))
                process.runtime.sleep(2 * process.runtime.random())

        for number in range(writers):
            world.process(f"w{number}", write, on=site if number == 0 else None)
        (plan or FaultPlan(seconds=20)).some(world).unleash(world)
        world.run()
        read = world.process("reader").start(lambda process: read_all(site, process.runtime))
        world.run()
        found = read.join()
        history.read("reader", "count", 0, found, whole=True)
        # A list sees what a reader that stops at the first hole does not.
        assert len(site.list("count")) == len(found), "there is a hole"
        assert_holds(history)
        assert len([a for a in history.appends if a.outcome == "acknowledged"]) >= writers * values
    return world
