"""What a process refuses to start with."""

from __future__ import annotations

from pathlib import Path

import pytest

from headwater.core.errors import ProjectError
from headwater.embedded import Embedded, Part
from headwater.registry.template import write_project


@pytest.mark.parametrize("text", ["[log]\nkey_classes = 8\n", "log.key_classes = 8\n", '[log.sites]\na = "elsewhere"\n'])
def test_settings_that_are_broken_and_name_a_log_are_not_replaced_by_the_usual_ones(tmp_path: Path, text: str) -> None:
    write_project(tmp_path)
    embedded = Embedded(tmp_path)
    assert embedded.stop(1)
    settings = tmp_path / "headwater.toml"
    settings.write_text(f"name = \n{text}")
    with pytest.raises(ProjectError, match="not TOML"):
        Embedded(tmp_path)
    settings.write_text("name = \n")
    embedded = Embedded(tmp_path)
    assert embedded.stop(1)


@pytest.mark.parametrize("part", Part)
def test_names_of_processes_and_sites_are_checked(tmp_path: Path, part: Part) -> None:
    write_project(tmp_path)
    with pytest.raises(ProjectError, match=r"a process cannot be named 'a b'; valid are at most 100 of A-Z a-z 0-9 _ \. -"):
        Embedded(tmp_path, part, "a b")
    with pytest.raises(ProjectError, match="the log has no site 'moon'; valid are local"):
        Embedded(tmp_path, part, site="moon")
