import json
from importlib.resources import files
from pathlib import Path

from headwater.core.ids import seeded_random
from headwater.demo.people import person, session
from headwater.registry import project


def test_the_example_project_has_no_findings():
    directory = files("headwater.demo") / "project"
    assert isinstance(directory, Path)
    loaded = project.load(directory)
    draft = project.compile(loaded)
    assert len(draft.rules) == 10
    written = [json.loads(rule.canonical()) for rule in draft.rules]
    assert all(rule["owner"] and rule["tier"] and rule["description"] for rule in written)
    random = seeded_random(1)
    reported = {(step.app, step.event) for number in range(500) for step in session(random, person(random, number))}
    assert reported == {(kind.app, kind.name) for kind in draft.event_types}
