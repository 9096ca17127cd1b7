"""Functions in processes of their own: budgets, crashes, and what is disabled until a file changes."""

import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from headwater.core.errors import UdfError
from headwater.kernel.udf import host as host_module
from headwater.kernel.udf.host import Host
from headwater.rules import read_udfs

SOURCE = """
import headwater, os, re, signal, time

@headwater.udf
def double(x: list[int]) -> list[int]:
    return [2 * each for each in x]

@headwater.udf
def loop(x: list[int]) -> list[int]:
    while 1 in x:
        pass
    return x

@headwater.udf
def loop_in_c(x: list[int]) -> list[int]:
    re.match(r"(a+)+b", "a" * 200)
    return x

@headwater.udf
def sleep_twice(x: list[int]) -> list[int]:
    time.sleep(0.4)
    return x

@headwater.udf
def crash(x: list[int]) -> list[int]:
    if 1 in x:
        os.kill(os.getpid(), signal.SIGSEGV)
    return x

@headwater.udf
def leave(x: list[int]) -> list[int]:
    os._exit(7)

@headwater.udf
def pid(x: list[int]) -> list[int]:
    print("this must not disturb anything")
    return [os.getpid()] * len(x)
"""

Make = Callable[..., Host]


@pytest.fixture
def make() -> Iterator[Make]:
    made: list[Host] = []

    def make(source: str = SOURCE, batch_ms_max: int = 20_000, **more: Any) -> Host:
        udfs, findings = read_udfs({"udfs/f.py": source})
        assert not findings, findings
        made.append(Host(udfs, batch_ms_max, **more))
        return made[-1]

    yield make
    for host in made:
        host.close()


def call(batch: Callable[[str, int, bytes], bytes], name: str, *values: int) -> object:
    return msgspec.msgpack.decode(batch(name, len(values), msgspec.msgpack.encode([values])))


def test_functions_are_called_and_counted(make: Make) -> None:
    host = make()
    batch = host.batch()
    assert call(batch, "double", 1, 2) == [2, 4]
    assert call(batch, "double", 3) == [6]
    calls = host.figures()["double"]
    assert (calls.calls, calls.rows, calls.disabled) == (2, 3, None)
    assert calls.seconds > 0
    assert host.alarms() == []
    assert call(batch, "pid", 1) != [os.getpid()]
    assert call(batch, "pid", 1) == call(host.batch(), "pid", 1)
    assert call(batch, "none", 1) == {"": "unknown: there is no function none"}


@pytest.mark.parametrize("name", ["loop", "loop_in_c"])
def test_a_function_that_never_returns_is_disabled_and_the_others_go_on(make: Make, name: str) -> None:
    said: list[str] = []
    host = make(batch_ms_max=500, alarm=said.append)
    why = "disabled: it took longer than 500 ms for one batch"
    assert call(host.batch(), name, 1) == {"": why}
    assert call(host.batch(), name, 0) == {"": why}
    assert host.figures()[name].calls == 1
    assert said == [f"the function {name} is {why}; it is called again when udfs/f.py changes, or after a restart"]
    assert host.alarms() == said


def test_the_budget_is_for_all_calls_of_a_batch(make: Make) -> None:
    host = make(batch_ms_max=700)
    batch = host.batch()
    assert call(batch, "sleep_twice", 1) == [1]
    assert call(batch, "sleep_twice", 1) == {"": "disabled: it took longer than 700 ms for one batch"}


@pytest.mark.parametrize(("name", "how"), [("crash", "SIGSEGV"), ("leave", "exit code 7")])
def test_a_function_that_ends_its_process_is_disabled(make: Make, name: str, how: str) -> None:
    host = make()
    assert call(host.batch(), name, 1) == {"": f"disabled: it ended its process ({how})"}
    assert host.figures()[name].calls == 2
    assert call(host.batch(), "double", 4) == [8]


def test_a_process_that_somebody_else_ended_is_replaced(make: Make) -> None:
    host = make()
    (pid,) = call(host.batch(), "pid", 1)
    os.kill(pid, 9)
    assert call(host.batch(), "double", 4) == [8]
    assert host.alarms() == []


def test_what_is_disabled_stays_so_until_its_file_changes(make: Make) -> None:
    first = make(batch_ms_max=300)
    call(first.batch(), "loop", 1)
    same = make(before=first)
    assert same.figures()["loop"].disabled
    edited = make(SOURCE.replace("while 1 in x", "while 99 in x"), before=same)
    assert edited.figures()["loop"].disabled is None
    assert call(edited.batch(), "loop", 1) == [1]


def test_threads_have_a_process_each(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_module.os, "cpu_count", lambda: 2)
    host = make()
    met = threading.Barrier(2, timeout=30)
    pids = []

    def work() -> None:
        with host._process() as process:
            met.wait()
            answer = process.call("pid", 1, msgspec.msgpack.encode([[1]]), 20)
            pids.extend(msgspec.msgpack.decode(answer))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(set(pids)) == 2


def test_processes_end_with_their_host(make: Make) -> None:
    host = make()
    (pid,) = call(host.batch(), "pid", 1)
    host.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_file_that_cannot_be_run(make: Make) -> None:
    with pytest.raises(UdfError, match=r"udfs/f.py:9: ModuleNotFoundError: No module named 'no_such'"):
        make("\n" * 7 + "import headwater\n" + "import no_such\n" + SOURCE)
    with pytest.raises(UdfError, match=r"running udfs/f.py ended the process \(exit code 3\)"):
        make("import os\nos._exit(3)\n" + SOURCE)


def test_a_file_that_runs_for_ever(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_module, "UDF_LOAD_S_MAX", 0.5)
    with pytest.raises(UdfError, match=r"running udfs/f.py takes longer than 0.5 s"):
        make("while True:\n    pass\n" + SOURCE)
