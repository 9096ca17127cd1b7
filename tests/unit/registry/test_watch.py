"""Watching a project: edits are published or refused, each once, and the last good snapshot stays."""

from pathlib import Path

import pytest

from headwater.core.errors import RegistryError
from headwater.registry import watch
from headwater.registry.snapshot import Draft, Snapshot
from headwater.registry.store import SnapshotStore
from headwater.registry.template import write_project
from headwater.registry.watch import ProjectWatcher, Published, Refused

RULE = "-- rule: {0}\nINSERT INTO {0} SELECT event_id FROM app_events WHERE event = 'order_paid';\n"


class Place:
    """A project, its store and a watcher that has published the first snapshot."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        write_project(directory)
        self.store = SnapshotStore(directory / "data" / "snapshots")
        self.watcher = ProjectWatcher(directory, self.store)

    def start(self) -> Snapshot:
        return self.published(self.watcher.poll())

    def edit(self, name: str, text: str) -> Published | Refused | None:
        """Writes a file and polls until it was seen unchanged."""
        (self.directory / name).write_text(text)
        assert self.watcher.poll() is None
        return self.watcher.poll()

    @staticmethod
    def published(result: Published | Refused | None) -> Snapshot:
        assert isinstance(result, Published), result
        return result.snapshot


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_the_first_poll_publishes_and_the_next_says_nothing(place: Place) -> None:
    assert place.start().number == 1
    assert place.watcher.poll() is None
    assert place.store.numbers() == [1]


def test_an_edit_is_published_at_the_second_poll_that_sees_it(place: Place) -> None:
    place.start()
    snapshot = place.published(place.edit("rules/more.sql", RULE.format("more")))
    assert snapshot.number == 2
    assert "more" in [rule.name for rule in snapshot.rules]
    assert place.watcher.poll() is None


def test_a_removed_file_takes_its_rules_with_it(place: Place) -> None:
    place.start()
    (place.directory / "rules/orders.sql").unlink()
    assert place.watcher.poll() is None
    assert "orders" not in [rule.name for rule in place.published(place.watcher.poll()).rules]


def test_a_file_that_is_gone_for_a_moment_changes_nothing(place: Place) -> None:
    place.start()
    file = place.directory / "plan/demo.toml"
    content = file.read_bytes()
    file.unlink()
    assert place.watcher.poll() is None
    file.write_bytes(content)
    assert place.watcher.poll() is None
    assert place.watcher.poll() is None
    assert place.store.numbers() == [1]


def test_a_file_that_is_still_being_written_does_not_count(place: Place) -> None:
    place.start()
    text = RULE.format("slow")
    for end in range(20, len(text), 20):
        (place.directory / "rules/slow.sql").write_text(text[:end])
        assert place.watcher.poll() is None
    assert place.published(place.edit("rules/slow.sql", text)).number == 2


def test_what_is_wrong_is_said_once_and_the_last_good_one_stays(place: Place) -> None:
    first = place.start()
    refused = place.edit(
        "rules/orders.sql", "INSERT INTO orders SELECT properties.ordr_id AS x FROM app_events WHERE event = 'order_paid';"
    )
    assert isinstance(refused, Refused)
    assert "rules/orders.sql:1:27: error: no field `properties.ordr_id`" in refused.text
    assert refused.findings[0].line == 1
    assert place.watcher.refused == refused
    assert place.watcher.poll() is None
    # Saved again as it was: as wrong as before, so nothing new is said.
    assert place.edit("rules/orders.sql", (place.directory / "rules/orders.sql").read_text()) is None
    assert place.store.latest() == first


def test_another_mistake_is_said_and_all_of_them_together(place: Place) -> None:
    place.start()
    one = place.edit("rules/a.sql", "INSERT INTO a SELECT x FROM app_events WHERE event = 'order_paid';")
    two = place.edit("rules/b.sql", "INSERT INTO b SELECT y FROM app_events WHERE event = 'order_paid';")
    assert isinstance(one, Refused)
    assert isinstance(two, Refused)
    assert (len(one.findings), len(two.findings)) == (1, 2)


def test_an_edit_that_is_taken_back_ends_the_refusal_without_a_new_number(place: Place) -> None:
    place.start()
    good = (place.directory / "rules/orders.sql").read_text()
    assert isinstance(place.edit("rules/orders.sql", "nonsense"), Refused)
    assert place.published(place.edit("rules/orders.sql", good)).number == 1
    assert place.watcher.refused is None
    assert place.watcher.poll() is None


def test_a_remark_makes_no_new_number(place: Place) -> None:
    place.start()
    edited = place.edit("rules/orders.sql", "-- remark\n\n" + (place.directory / "rules/orders.sql").read_text())
    assert place.published(edited).number == 1


def test_touching_files_makes_nothing(place: Place) -> None:
    place.start()
    for file in place.directory.glob("*/*.sql"):
        file.write_bytes(file.read_bytes())
    assert place.watcher.poll() is None
    assert place.watcher.poll() is None


def test_a_broken_project_at_the_start_is_refused_and_the_stored_snapshot_is_there(place: Place) -> None:
    first = place.start()
    (place.directory / "headwater.toml").write_text("nonsense")
    again = ProjectWatcher(place.directory, SnapshotStore(place.store.directory))
    refused = again.poll()
    assert isinstance(refused, Refused)
    assert "headwater.toml:1:" in refused.text
    assert SnapshotStore(place.store.directory).latest() == first
    (place.directory / "headwater.toml").unlink()
    assert again.poll() is None
    gone = again.poll()
    assert isinstance(gone, Refused)
    assert "is no project" in gone.text


def test_warnings_come_with_what_is_published(place: Place) -> None:
    place.start()
    published = place.edit(
        "rules/all.sql", "-- rule: everything\nINSERT INTO everything SELECT * FROM app_events WHERE app = 'demo';\n"
    )
    assert isinstance(published, Published)
    assert [finding.severity for finding in published.warnings] == ["warning"]


def test_settings_of_the_process_are_said_to_need_a_restart(place: Place) -> None:
    place.start()
    settings = (place.directory / "headwater.toml").read_text()
    moved = place.edit("headwater.toml", settings.replace("8080", "9090"))
    assert isinstance(moved, Published)
    assert "port changes only with a restart; it is '8080' now" in str(moved.warnings[0])
    refused = place.edit("headwater.toml", settings.replace('"app_events"', '"other_events"'))
    assert isinstance(refused, Refused)
    assert "source changes only with a restart; it is 'app_events' now" in refused.text


def test_what_could_not_be_stored_is_tried_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.start()

    def full(_: Draft) -> Snapshot:
        raise RegistryError("no space left")

    monkeypatch.setattr(place.store, "publish", full)
    assert place.edit("rules/more.sql", RULE.format("more")) == Refused("no space left")
    assert place.watcher.poll() is None
    monkeypatch.undo()
    assert place.published(place.watcher.poll()).number == 2
    assert place.watcher.refused is None


def test_a_fault_in_the_compiler_does_not_end_the_watch(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.start()

    def faulty(*_: object) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(watch, "examine", faulty)
    refused = place.edit("rules/more.sql", RULE.format("more"))
    assert isinstance(refused, Refused)
    assert "a fault of Headwater: ZeroDivisionError: oh" in refused.text
    monkeypatch.undo()
    assert place.published(place.edit("rules/more.sql", RULE.format("again"))).number == 2


def test_links_to_nothing_and_to_themselves_hide_no_edit(tmp_path: Path) -> None:
    for name in ("a", "m", "z"):
        (tmp_path / "rules").mkdir(exist_ok=True)
        (tmp_path / "rules" / f".#{name}.sql").symlink_to("ann@host.1:2")
        (tmp_path / "rules" / name).symlink_to(name)
    place = Place(tmp_path)
    place.start()
    assert place.published(place.edit("rules/more.sql", RULE.format("more"))).number == 2
