"""Python functions of a project: in its draft and its snapshots, and watched as its rules are."""

from pathlib import Path

import pytest

from headwater.registry.project import compile, examine, load
from headwater.registry.snapshot import decode, numbered
from headwater.registry.store import SnapshotStore
from headwater.registry.template import write_project
from headwater.registry.udfs import examine_udfs
from headwater.registry.watch import ProjectWatcher, Published, Refused
from headwater.rules import Cache

UDF = """import headwater


@headwater.udf
def risk(amount: list[float]) -> list[float]:
    return [each / 100 for each in amount]
"""
RULE = "-- rule: risky\nINSERT INTO risky SELECT risk(properties.amount) AS risk FROM app_events WHERE event = 'order_paid';\n"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    write_project(tmp_path)
    (tmp_path / "udfs").mkdir()
    (tmp_path / "udfs" / "risk.py").write_text(UDF)
    (tmp_path / "rules" / "risk.sql").write_text(RULE)
    return tmp_path


def test_functions_are_in_the_draft_and_in_the_snapshot(place: Path) -> None:
    draft = compile(load(place))
    assert draft.udfs.files == {"udfs/risk.py": UDF}
    assert [one.form() for one in draft.udfs.signatures] == ["risk(DOUBLE)"]
    snapshot = numbered(draft, 3, 0)
    assert decode(snapshot.encode()) == snapshot
    (place / "udfs" / "risk.py").write_text(UDF.replace("100", "10"))
    assert compile(load(place)).content_hash() != draft.content_hash()


def test_a_project_without_functions_has_the_content_that_it_had(tmp_path: Path) -> None:
    write_project(tmp_path)
    assert "udfs" not in compile(load(tmp_path)).content()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (UDF.replace("list[float]:", "float:"), "udfs/risk.py:5:34: error: what `risk` gives cannot be float; it is given"),
        (UDF + "def\n", "udfs/risk.py:7:4: error: not Python: invalid syntax"),
        (
            "import no_such\n" + UDF,
            "udfs/risk.py:1:1: error: the file cannot be run: ModuleNotFoundError: No module named 'no_such'",
        ),
    ],
)
def test_what_is_wrong_is_a_finding(place: Path, text: str, said: str) -> None:
    (place / "udfs" / "risk.py").write_text(text)
    examined = examine(load(place))
    assert examined.draft is None
    (finding,) = examined.findings
    assert said in str(finding)


def test_files_that_could_be_run_are_not_run_again(tmp_path: Path) -> None:
    files = {"udfs/f.py": UDF + f"open({str(tmp_path / 'ran')!r}, 'a').write('x')\n"}
    cache = Cache()
    for _ in range(3):
        assert examine_udfs(files, cache)[1] == ()
    assert (tmp_path / "ran").read_text() == "x"
    assert examine_udfs({**files, "udfs/g.py": ""}, cache)[1] == ()
    assert (tmp_path / "ran").read_text() == "xx"


def edit(watcher: ProjectWatcher, file: Path, text: str) -> Published | Refused | None:
    file.write_text(text)
    assert watcher.poll() is None
    return watcher.poll()


def test_edits_are_published_or_refused(place: Path) -> None:
    watcher = ProjectWatcher(place, SnapshotStore(place / "data" / "snapshots"))
    first = watcher.poll()
    assert isinstance(first, Published)
    file = place / "udfs" / "risk.py"
    broken = edit(watcher, file, "import no_such\n" + UDF)
    assert isinstance(broken, Refused)
    assert "No module named 'no_such'" in broken.text
    edited = edit(watcher, file, UDF.replace("100", "1000"))
    assert isinstance(edited, Published)
    assert (edited.snapshot.number, watcher.refused) == (2, None)
    file.unlink()
    assert watcher.poll() is None
    gone = watcher.poll()
    assert isinstance(gone, Refused)
    assert "no function `risk`" in gone.text
