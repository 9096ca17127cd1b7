"""`headwater log verify`, `repair` and `compact`: what they find, what they mend, how they end."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from headwater.cli import main
from headwater.log.interface import AppendGroup
from headwater.log.shared import LogSettings, open_log
from headwater.log.stores.folder import FolderStorage
from headwater.testing.log_conformance import batch


class Done(NamedTuple):
    code: int
    out: str
    err: str


class Sites:
    """A log on three folders, with small segments."""

    def __init__(self, directory: Path) -> None:
        self.places = {name: directory / name for name in "abc"}
        log = open_log(
            {name: FolderStorage(place) for name, place in self.places.items()},
            settings=LogSettings(segment_bytes_max=1500, follows=False),
        )
        writer = log.writer("s-0")
        for number in range(30):
            writer.append(AppendGroup(batches=(batch("t", 10 * number, 10),)))
        log.close()

    @property
    def options(self) -> list[str]:
        return [text for name, place in self.places.items() for text in ("--log", f"{name}={place}")]

    def segments(self, site: str) -> list[Path]:
        return sorted((self.places[site] / "s-0" / "segment").glob("*/0*"))

    def damage(self, site: str) -> Path:
        """Flips a bit in the middle of a segment that is over."""
        segment = max(self.segments(site)[:-2], key=lambda path: path.stat().st_size)
        data = bytearray(segment.read_bytes())
        data[len(data) // 2] ^= 1
        segment.write_bytes(data)
        return segment

    def contents(self) -> dict[str, bytes]:
        return {str(path): path.read_bytes() for place in self.places.values() for path in place.rglob("*") if path.is_file()}


@pytest.fixture
def sites(tmp_path: Path) -> Sites:
    return Sites(tmp_path)


@pytest.fixture
def run(sites: Sites, capfd: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    def run(*arguments: str) -> Done:
        code = main.run(["log", *arguments, *sites.options])
        captured = capfd.readouterr()
        return Done(code, captured.out, captured.err)

    return run


def test_a_whole_log_has_no_findings(run: Callable[..., Done], sites: Sites) -> None:
    before = sites.contents()
    done = run("verify")
    assert (done.code, done.out) == (0, ""), done.out
    assert "no findings in" in done.err
    found = json.loads(run("verify", "--json").out)
    assert (found["shards"], found["findings"]) == (["s-0"], [])
    assert found["objects"] > 30
    assert run("repair").code == 0
    assert sites.contents() == before


def test_damage_is_found_repaired_and_gone(run: Callable[..., Done], sites: Sites) -> None:
    whole = sites.contents()
    segment = sites.damage("b")
    damaged = sites.contents()
    name = str(segment.relative_to(sites.places["b"]))
    done = run("verify")
    assert done.code == 1
    assert done.out.startswith(f"b: {name}: byte ")
    assert "has it whole)" in done.out
    (finding,) = json.loads(run("verify", "--json").out)["findings"]
    assert (finding["shard"], finding["site"], finding["name"], finding["kind"]) == ("s-0", "b", name, "segment")
    done = run("repair", "--dry-run")
    assert (done.code, "1 of 1 could be repaired" in done.err) == (0, True), done.err
    assert sites.contents() == damaged
    done = run("repair")
    assert (done.code, "1 of 1 repaired" in done.err) == (0, True), done.err
    assert sites.contents() == whole
    assert run("verify").code == 0


def test_a_missing_segment_comes_back(run: Callable[..., Done], sites: Sites) -> None:
    segment = max(sites.segments("c")[:-2], key=lambda path: path.stat().st_size)
    data = segment.read_bytes()
    segment.unlink()
    assert run("sites").code == 1
    assert run("verify").code == 1
    (repaired,) = json.loads(run("repair", "--json").out)["findings"]
    assert (repaired["site"], repaired["done"]) == ("c", True)
    assert segment.read_bytes() == data
    assert run("sites").code == 0


def test_what_no_site_has_whole_is_left_and_said(run: Callable[..., Done], sites: Sites) -> None:
    for site in "abc":
        sites.damage(site)
    before = sites.contents()
    done = run("repair")
    assert done.code == 1
    assert "no other site has it whole" in done.out
    assert sites.contents() == before


def test_repair_needs_all_sites(sites: Sites, capfd: pytest.CaptureFixture[str]) -> None:
    for command in ("repair", "compact"):
        assert main.run(["log", command, "--log", f"a={sites.places['a']}", "--log", f"b={sites.places['b']}"]) == 1
        assert "the log has the site c as well" in capfd.readouterr().err


def test_compact_leaves_all_that_can_be_read(run: Callable[..., Done], sites: Sites) -> None:
    before = run("cat", "t", "--json").out
    assert len(before.splitlines()) == 300
    found = json.loads(run("compact", "--json").out)["shards"]
    assert [each["shard"] for each in found] == ["s-0"]
    assert found[0]["compacted"] > 3
    assert run("cat", "t", "--json").out == before
    assert run("verify").code == 0
    assert run("sites").code == 0
    done = run("compact", "s-0")
    assert (done.code, done.out) == (0, "s-0: nothing to do\n")
    done = run("compact", "s-1")
    assert (done.code, "there is no shard 's-1'; there are s-0" in done.err) == (1, True)


def test_a_manifest_that_no_program_knows_is_named(run: Callable[..., Done], sites: Sites) -> None:
    for place in sites.places.values():
        (manifest,) = (place / "s-0" / "manifest").glob("0*")
        data = bytearray(manifest.read_bytes())
        data[4] = 9
        manifest.write_bytes(data)
    done = run("verify")
    assert done.code == 1
    assert "version 9" in done.out + done.err
    assert "Traceback" not in done.err


def test_a_last_segment_that_nobody_can_read_is_found(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "log"
    for number in range(2):
        log = open_log({"local": FolderStorage(place)}, settings=LogSettings(follows=False))
        log.writer("s-0").append(AppendGroup(batches=(batch("t", number, 1),)))
        log.close()
    segment = max((place / "s-0" / "segment").rglob("0*"))
    data = bytearray(segment.read_bytes())
    data[20] ^= 1
    segment.write_bytes(data)
    for command in ("verify", "repair"):
        assert main.run(["log", command, "--log", str(place)]) == 1
        assert segment.name in capfd.readouterr().out
    assert segment.read_bytes() == data
