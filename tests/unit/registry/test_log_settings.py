"""`[log]` of headwater.toml."""

from __future__ import annotations

from pathlib import Path

import pytest

from headwater.core.errors import ProjectError
from headwater.registry import project
from headwater.registry.log_settings import LogSettings


def settings(directory: Path, text: str) -> LogSettings:
    (directory / "headwater.toml").write_text(f'name = "shop"\n{text}')
    return project.load(directory).settings.log


def test_places_are_directories_seen_from_the_project_or_urls(tmp_path: Path) -> None:
    text = """
[log]
key_classes = 8
site = "b"
[log.sites]
a = "log"
b = "/mnt/b/log"
c = "s3://events.example/log/"
[log.witnesses]
w = "hdfs://names.example:8020/witness"
"""
    assert settings(tmp_path, text) == LogSettings(
        sites={"a": str(tmp_path / "log"), "b": "/mnt/b/log", "c": "s3://events.example/log"},
        site="b",
        witnesses={"w": "hdfs://names.example:8020/witness"},
        key_classes=8,
    )


def test_what_is_not_said_is_one_site_in_the_data_directory(tmp_path: Path) -> None:
    assert settings(tmp_path, 'data_dir = "d"') == LogSettings({"local": str(tmp_path / "d/log")}, "local")
    assert settings(tmp_path, "[log]\nkey_classes = 2") == LogSettings({"local": str(tmp_path / "data/log")}, "local", {}, 2)
    assert settings(tmp_path, '[log.sites]\nx = "l"\ny = "m"').site == "x"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("log = 3", "2:1: error: [log]: a table is needed; got a whole number"),
        ("[log]\nkey_class = 3", "3:1: error: [log]: there is no key 'key_class'; did you mean `key_classes`?"),
        ("[log]\nkey_classes = 0", "3:1: error: [log]: key_classes is a whole number from 1 to 1024; got 0"),
        ("[log.sites]", "[log]: sites are from 1 to 9 places by name; got 0"),
        ("[log]\nsites = 'here'", "[log.sites]: a table is needed; got a text"),
        ("[log.sites]\na = 3", "3:1: error: [log.sites]: a is a text; got a whole number"),
        ("[log.sites]\nA = 'x'", "'A' is no name; valid are at most 50 of a-z 0-9 _ -"),
        ("[log.sites]\na = 'x'\nb = './x'", "b is the same place as another"),
        ("[log.sites]\na = 'ftp://x.example/y'", "a is a directory or begins with 's3://', 'gs://', 'az://' or 'hdfs://'"),
        ("[log.sites]\na = 's3://'", "a has nothing behind s3://"),
        ("[log.sites]\na = 's3://me:secret@x.example/y'", "a holds a user name or password"),
        ("[log]\nsite = 'y'\n[log.sites]\nx = 'l'\n", "3:1: error: [log]: site is 'x'; got 'y'"),
        ("[log.sites]\na = 'x'\n[log.witnesses]\nw = 'x'", "the witness 'w' is a site as well"),
        ("[log.sites]\na = 'x'\n[log.witnesses]\na = 'z'", "the witness 'a' is a site as well"),
    ],
)
def test_what_cannot_be_used_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ProjectError) as caught:
        settings(tmp_path, text)
    assert said in str(caught.value)
