"""The simulated world itself: time, processes, sites, and what can go wrong with them."""

import subprocess
import sys

import pytest

from headwater.core.clock import now_ms
from headwater.core.errors import LogError
from headwater.log.storage import ObjectMissing, StorageFull, StorageUnavailable
from headwater.testing.simulation import Deadlock, FaultPlan, Process, SimulationError, Timing, World

QUICK = Timing(slow_share=0.0, stuck_share=0.0)


@pytest.fixture
def world():
    with World(1, QUICK) as world:
        yield world


def outcome(call):
    try:
        return call()
    except Exception as e:
        return e


def test_time_goes_on_while_tasks_sleep(world):
    seen = []

    def sleep(process: Process) -> None:
        before, wall = process.runtime.now(), now_ms()
        process.runtime.sleep(100)
        seen.append((process.runtime.now() - before, now_ms() - wall, world.now))

    world.process("p", sleep)
    world.run()
    (own, wall_ms, now) = seen[0]
    assert 100 <= own < 101
    assert 98_000 < wall_ms < 102_000
    assert 98 < now < 102


def test_run_to_a_time_and_until_something_is_true(world):
    ticks = []

    def tick(process: Process) -> None:
        for _ in range(10):
            process.runtime.sleep(1)
            ticks.append(world.now)

    world.process("p", tick)
    world.run(3.5)
    assert (world.now, len(ticks)) == (3.5, 3)
    world.run(lambda: len(ticks) == 5)
    assert len(ticks) == 5
    world.run()
    assert len(ticks) == 10
    with pytest.raises(SimulationError, match=r"not done after"):
        world.run(lambda: False, seconds_max=5)


def test_what_a_task_raises_ends_the_run(world):
    def fail(process: Process) -> None:
        process.runtime.sleep(1)
        raise ValueError("no good")

    world.process("p", fail)
    with pytest.raises(ValueError, match="no good") as caught:
        world.run()
    assert caught.value.__notes__ == ["raised by p/fail.1"]


def test_a_deadlock_says_who_waits_for_what(world):
    first = []

    def wait_for_other(process: Process) -> None:
        process.runtime.sleep(1)
        first[0].join()

    def wait_for_one(process: Process) -> None:
        one.join()

    process = world.process("p")
    one = process.start(wait_for_other, "one")
    first.append(process.start(wait_for_one, "other"))
    with pytest.raises(Deadlock) as caught:
        world.run()
    text = str(caught.value)
    assert "p/one.1 waits since 1." in text
    assert "for the end of p/other.2" in text
    assert "test_world.py" in text
    assert "in wait_for_one" in text or "wait_for_one" in text


def test_a_loop_that_never_waits_is_refused(world):
    def spin(process: Process) -> None:
        until = process.runtime.now() + 1
        while process.runtime.now() < until:
            pass

    world.process("p", spin)
    with pytest.raises(SimulationError, match="p: looked at the clock"):
        world.run()


def test_only_tasks_wait(world):
    with pytest.raises(SimulationError, match="only a task"):
        world.process("p").runtime.sleep(1)


def test_names_are_all_different(world):
    world.site("a")
    for make in (world.site, world.process):
        with pytest.raises(SimulationError, match="'a'"):
            make("a")
    with pytest.raises(SimulationError, match="neither sites nor processes: x"):
        world.cut({"a"}, {"x"})


def test_together_runs_calls_at_the_same_time_and_goes_on_without_the_late(world):
    site = world.site("a")
    seen = []

    def ask(process: Process) -> None:
        def slow() -> str:
            process.runtime.sleep(10)
            site.put("late", b"1")
            return "late"

        def fail() -> str:
            raise StorageUnavailable("refused")

        begun = world.now
        seen.append(process.runtime.together([lambda: "now", slow, fail], 5))
        seen.append(world.now - begun)
        seen.append(outcome(lambda: site.get("late")))
        process.runtime.sleep(10)
        seen.append(site.get("late"))

    world.process("p", ask)
    world.run()
    (now, late, refused), took, missing, there = seen
    assert now == "now"
    assert "no answer within 5 s" in str(late)
    assert "refused" in str(refused)
    assert 4.9 < took < 5.2
    assert isinstance(missing, ObjectMissing)
    assert there == b"1"


def test_together_is_done_with_its_last_call(world):
    took = []

    def ask(process: Process) -> None:
        begun = world.now
        process.runtime.together([lambda n=n: process.runtime.sleep(n) for n in (1, 2, 3)], 60)
        took.append(world.now - begun)

    world.process("p", ask)
    world.run()
    assert 2.9 < took[0] < 3.2


def test_a_killed_process_does_nothing_any_more_and_starts_anew(world):
    site = world.site("a")
    ended = []

    def put(process: Process) -> None:
        number = 0
        try:
            while process.starts < 3:
                site.put(f"{process.starts}/{number}", b"")
                number += 1
        except Exception as e:
            ended.append(e)
        finally:
            site.put(f"after-{process.starts}", b"")

    process = world.process("p", put)
    world.run(1.0)
    process.kill()
    count = len(site.list("1"))
    world.run(2.0)
    assert len(site.list("1")) <= count + 1, "at most what was in flight"
    process.restart()
    world.run(3.0)
    assert site.list("2")
    assert not site.list("after-1")
    process.restart_after(5)
    world.run(4.0)
    assert not process.tasks
    world.run()
    assert world.now > 8
    assert process.starts == 3
    assert site.list("") == ["1/", "2/", "after-3"]
    assert not ended


def test_what_a_killed_process_asked_for_is_done_or_not():
    done = set()
    for seed in range(40):
        with World(seed, QUICK) as world:
            site = world.site("a")
            process = world.process("p", lambda process, site=site: site.put("x", b""))
            world.run(lambda process=process: any("for put" in str(task) for task in process.tasks))
            process.kill()
            world.run()
            world.run(world.now + 60)
            done.add(tuple(site.list("")))
    assert done == {(), ("x",)}


def test_a_paused_process_stands_still_and_its_requests_come_before_or_after():
    early = set()
    for seed in range(40):
        with World(seed, QUICK) as world:
            site = world.site("a")
            ended = []

            def put(process, site=site, ended=ended, world=world):
                site.put("x", b"")
                ended.append(world.now)

            process = world.process("p", put)
            world.run(lambda process=process: any("for put" in str(task) for task in process.tasks))
            process.pause(100)
            world.run(50.0)
            assert not ended
            assert "paused until" in world.report()
            early.add(tuple(site.list("")))
            world.run()
            assert ended[0] > 100
            assert site.list("") == ["x"]
    assert early == {(), ("x",)}


def test_a_cut_is_between_its_sides_until_it_is_healed(world):
    a, b = world.site("a"), world.site("b")
    seen = []

    def ask(process: Process) -> None:
        seen.append((process.name, [outcome(lambda site=site: site.list("")) for site in (a, b)]))

    cut = world.cut({"a"}, {"b"})
    cut.heal()
    one = world.process("p", ask)
    two = world.process("q", ask)
    world.cut({"p", "a"}, {"q", "b"})
    world.run()
    assert {name: [type(answer) for answer in answers] for name, answers in seen} == {
        "p": [list, StorageUnavailable],
        "q": [StorageUnavailable, list],
    }
    assert "cut: p-b, q-a" in world.report()
    world.heal()
    one.start(ask)
    two.start(ask)
    world.run()
    assert [answers for _, answers in seen[2:]] == [[[], []]] * 2


def ask_once(world, call):
    """What the call gives in a task."""
    task = world.process(f"p{len(world.processes)}").start(lambda process: outcome(call))
    world.run()
    return task.join()


def test_failures_by_call(world):
    site = world.site("a")
    site.fail_next("refused")
    assert "refused" in str(ask_once(world, lambda: site.put("x", b"")))
    assert site.list("") == []
    site.fail_next("lost", "put")
    assert ask_once(world, lambda: site.list("")) == []
    assert "the answer was lost" in str(ask_once(world, lambda: site.put("x", b"")))
    assert site.list("") == ["x"]
    site.fail_next("late")
    assert "no answer" in str(ask_once(world, lambda: site.put("y", b"")))
    world.run(world.now + 60)
    assert site.list("") == ["x", "y"]
    site.fail_next("full", times=2)
    assert isinstance(ask_once(world, lambda: site.put("z", b"")), StorageFull)
    assert ask_once(world, lambda: site.get("x")) == b""
    assert isinstance(ask_once(world, lambda: site.append("x", 0, b"123")), StorageFull)
    assert b"123".startswith(site.get("x"))
    assert ask_once(world, lambda: site.put("z", b"")) is True


def test_a_full_site_and_one_that_is_down(world):
    site = world.site("a")
    site.full = True
    assert isinstance(ask_once(world, lambda: site.put("x", b"")), StorageFull)
    assert ask_once(world, lambda: site.list("")) == []
    assert "site a: full" in world.report()
    site.lose_power(30)
    begun = world.now
    assert isinstance(ask_once(world, lambda: site.list("")), StorageUnavailable)
    world.run(begun + 31)
    assert ask_once(world, lambda: site.list("")) == []
    site.calm()
    assert ask_once(world, lambda: site.put("x", b"")) is True


def test_refusals_in_the_task_name_what_is_wrong(world):
    site = world.site("a", appends=False)
    assert isinstance(ask_once(world, lambda: site.get("none")), ObjectMissing)
    assert "no name for an object" in str(ask_once(world, lambda: site.put("../x", b"")))
    assert isinstance(ask_once(world, lambda: site.append("x", 0, b"")), LogError)


def test_a_power_cut_keeps_what_was_synced_and_nothing_else_for_sure():
    puts, tails = set(), set()
    for seed in range(150):
        with World(seed, QUICK) as world:
            site = world.site("a")
            site.put("synced", b"s" * 10)
            site.put("not", b"n" * 10, sync=False)
            site.append("synced", 10, b"tail" * 8, sync=False)
            site.put("both", b"b" * 10)
            site.append("both", 10, b"c", sync=False)
            site.append("both", 11, b"")
            site.lose_power(1)
            assert site.get("both") == b"b" * 10 + b"c"
            data = site.get("synced")
            assert data.startswith(b"s" * 10)
            tails.add(_kind(data[10:]))
            found = outcome(lambda site=site: site.get("not"))
            puts.add("no object" if isinstance(found, ObjectMissing) else _kind(found, b"n" * 10))
    assert puts == {"no object", "gone", "whole", "a part", "zeros", "garbage"}
    assert tails == {"gone", "whole", "a part", "zeros", "garbage"}


def _kind(tail, whole=b"tail" * 8):
    if tail in (b"", whole):
        return "gone" if tail == b"" else "whole"
    if whole.startswith(tail):
        return "a part"
    return "zeros" if set(tail) <= {0, *whole} and 0 in tail else "garbage"


def test_what_was_durable_stays_where_it_was_not_written_anew():
    for seed in range(60):
        with World(seed) as world:
            site = world.site("a")
            site.put("x", b"abcdef")
            site.append("x", 2, b"CD", sync=False)
            site.append("x", 6, b"gh", sync=False)
            site.lose_power(1)
            data = site.get("x")
            assert (data[:2], data[4:6]) == (b"ab", b"ef")


def test_a_failed_sync_loses_what_the_next_sync_says_is_durable():
    lost = 0
    for seed in range(20):
        with World(seed, QUICK) as world:
            site = world.site("a")
            site.put("x", b"head")
            site.fail_next("sync")
            assert "the sync failed" in str(ask_once(world, lambda site=site: site.append("x", 4, b"tail")))
            assert site.get("x") == b"headtail"
            assert ask_once(world, lambda site=site: site.append("x", 8, b"more")) is None
            site.lose_power(1)
            assert site.get("x") in (b"headtailmore", b"head\0\0\0\0more")
            lost += site.get("x") != b"headtailmore"
    assert lost


def test_a_put_whose_sync_fails_is_whole_or_not_there():
    left = set()
    for seed in range(20):
        with World(seed, QUICK) as world:
            site = world.site("a")
            site.fail_next("sync")
            assert "the sync failed" in str(ask_once(world, lambda site=site: site.put("x", b"1234")))
            site.lose_power(1)
            left.add(b"".join(site.get(name) for name in site.list("")))
    assert left == {b"", b"1234"}


def test_a_put_on_its_way_is_whole_or_not_there_when_the_power_goes():
    left = set()
    for seed in range(20):
        with World(seed, QUICK) as world:
            site = world.site("a")
            world.process("p", lambda process, site=site: outcome(lambda: site.put("x", b"1234")))
            world.run(lambda site=site: site.list("") == ["x"])
            site.lose_power(1)
            left.add(b"".join(site.get(name) for name in site.list("")))
    assert left == {b"", b"1234"}


def test_a_put_that_was_read_is_durable():
    for seed in range(40):
        with World(seed, QUICK) as world:
            site = world.site("a")
            world.process("p", lambda process, site=site: outcome(lambda: site.put("x", b"1")))
            world.run(lambda site=site: site.list("") == ["x"])
            assert ask_once_running(world, site) == b"1"
            site.lose_power(1)
            assert site.get("x") == b"1"


def ask_once_running(world, site):
    task = world.process("reader").start(lambda process: site.get("x"))
    world.run(lambda: task.done)
    return task.join()


def test_an_erasure_and_a_flipped_bit(world):
    site = world.site("a")
    site.put("x", bytes(4))
    site.flip("x", 9)
    assert site.get("x") == b"\0\2\0\0"
    site.flip()
    assert sum(byte.bit_count() for byte in site.get("x")) in (0, 2)
    site.erase()
    assert site.list("") == []
    assert site.put("x", b"anew") is True


def test_a_machine_without_power_takes_its_processes_with_it(world):
    site = world.site("a")

    def live(process: Process) -> None:
        process.runtime.sleep(20)

    here, there = world.process("here", live, on=site), world.process("there", live)
    world.run(5.0)
    site.lose_power(3)
    world.run(6.0)
    assert (here.alive, there.alive) == (False, True)
    world.run()
    assert (here.starts, there.starts) == (2, 1)
    assert world.now > 27


def test_a_plan_is_drawn_from_the_seed_and_all_of_it_ends(world):
    every = FaultPlan(
        seconds=300, erasures=2.0, flips=2.0, allows=lambda kind, name: (kind, name) not in {("erasures", "a"), ("cuts", "c")}
    )

    def trace(seed: int, plan: FaultPlan) -> list[str]:
        with World(seed) as world:
            sites = [world.site(name) for name in "abc"]

            def live(process: Process) -> None:
                for number in range(1000):
                    outcome(lambda: sites[number % 3].put(f"{process}/{process.starts}/{number}", b"x"))  # noqa: B023
                    process.runtime.sleep(0.2)

            for name in "pq":
                world.process(name, live)
            plan.unleash(world)
            world.run(301.0)
            assert all(process.alive for process in world.processes.values())
            assert not world.cuts
            assert not any(site.trouble() for site in sites)
            return world.trace()

    lines = trace(3, every)
    assert trace(3, every) == lines
    assert trace(4, every) != lines
    text = "\n".join(lines)
    for what in (
        " killed",
        "paused",
        "world cut",
        "power lost",
        "erased",
        "flipped",
        "full",
        "failing",
        "slowness",
        "world calm",
    ):
        assert what in text, what
    assert " a erased" not in text
    assert not any("-c" in line for line in lines if " cut " in line)
    drawn = [every.some(World(seed)) for seed in range(20)]
    assert drawn[0] == every.some(World(0))
    assert len({plan.kills == 0 for plan in drawn}) == 2


def test_without_greenlet_the_error_says_what_to_install():
    program = "import sys; sys.modules['greenlet'] = None\nimport headwater.log.shared\nimport headwater.testing.simulation"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert run.stderr.splitlines()[-1] == (
        "ModuleNotFoundError: headwater.testing.simulation needs greenlet; install it: pip install greenlet"
    )
