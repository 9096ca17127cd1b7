"""The curves' events and rules are what their axes say, and the drawing is well-formed."""

import itertools
import json
from xml.etree import ElementTree

import curves
import pytest

from headwater.kernel import Program


@pytest.mark.parametrize("size", [2000, 20_000])
def test_padded_events_are_json_of_their_size(size: int) -> None:
    for line in itertools.islice(curves.padded(size), 50):
        assert size <= len(line) < size + 150
        assert "properties" in json.loads(line)


def test_small_events_are_small() -> None:
    assert all(150 < len(line) < 260 for line in itertools.islice(curves.small_events(), 50))


def test_outputs_are_as_many_as_the_axis_says(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = list(itertools.islice(curves.small_events(), 10))

    def rows(rules: list[bytes], _lines: object) -> float:
        return sum(Program(rules).run(b"\n".join(lines)).rows.values()) / len(lines)

    monkeypatch.setattr(curves, "point", rows)
    points = list(curves.by_outputs())
    assert points[-1] == (50, 50.0)
    assert all(x == y for x, y in points)


def test_the_drawing_is_well_formed() -> None:
    root = ElementTree.fromstring(curves.svg("Rules", "rules", [(10, 900.0), (100, 1200.0)], True))
    assert len(list(root)) == 5 + 3 * 2
