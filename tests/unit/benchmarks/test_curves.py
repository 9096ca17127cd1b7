"""The curves' events and rules are what their axes say, and the drawing is well-formed."""

import itertools
import json
from collections.abc import Iterator
from xml.etree import ElementTree

import curves
import pytest
from chart import BOTTOM, HEIGHT, SVG, TOP, WIDTH, Chart, Line, marks, svg

from headwater.measure.kernel import Measured


@pytest.mark.parametrize("size", [2000, 20_000])
def test_padded_events_are_json_of_their_size(size: int) -> None:
    for line in itertools.islice(curves.padded(size), 50):
        assert size <= len(line) < size + 150
        assert "properties" in json.loads(line)


def test_small_events_are_small() -> None:
    assert all(150 < len(line) < 260 for line in itertools.islice(curves.small_events(), 50))


def quick(rules: list[bytes], lines: Iterator[bytes]) -> Measured:
    return curves.point(rules, itertools.islice(lines, 50), runs=1, seconds=0.0)


def test_outputs_are_as_many_as_the_axis_says() -> None:
    points = list(curves.by_outputs(quick))
    assert points[-1][0] == 50
    assert all(x == found.outputs_per_event for x, found in points)


def test_rules_are_as_many_as_the_axis_says() -> None:
    assert [(x, found.rules) for x, found in curves.by_rules(100, quick)] == [(10, 10), (30, 30), (100, 100)]


def test_one_rule_matches_each_event_of_any_number_of_apps() -> None:
    assert [(x, found.outputs_per_event) for x, found in curves.by_apps(quick)] == [(2, 1), (20, 1), (200, 1), (2000, 1)]


def numbers(root: ElementTree.Element, look: str) -> list[str]:
    """The texts of a look, from left to right."""
    return [element.text or "" for element in root.iter(f"{{{SVG}}}text") if look in element.get("class", "").split()]


def test_a_curve_is_drawn_with_its_values() -> None:
    points = list(curves.by_outputs(quick))
    root = ElementTree.fromstring(svg(curves.chart("outputs", points)))
    shown = [f"{found.ns_per_event:,}" for _x, found in points]
    # The first three places stand too close together for a label of each.
    assert numbers(root, "t0") == [shown[0], *shown[3:]]
    assert numbers(root, "t1") == [f"{points[-1][1].structure_ns_per_event:,}"]
    assert len(list(root.iter(f"{{{SVG}}}circle"))) == 2 * len(points)


@pytest.mark.parametrize("log", [False, True])
def test_higher_values_stand_higher_and_inside(log: bool) -> None:
    root = ElementTree.fromstring(svg(Chart("t", "<&", "x", [10, 100, 1000], [Line("l", [20, 900, 7000], 0)], log, log)))
    circles = [(float(circle.get("cx", "")), float(circle.get("cy", ""))) for circle in root.iter(f"{{{SVG}}}circle")]
    assert circles == sorted(circles, key=lambda circle: (circle[0], -circle[1]))
    assert all(0 < x < WIDTH and TOP <= y <= HEIGHT - BOTTOM for x, y in circles)


@pytest.mark.parametrize(
    ("low", "high", "log", "expected"),
    [
        (1, 1080, False, [0, 200, 400, 600, 800, 1000, 1200]),
        (0, 6, False, [0, 1, 2, 3, 4, 5, 6]),
        (250, 9000, True, [200, 500, 1000, 2000, 5000, 10_000]),
        (100, 100, True, [100]),
    ],
)
def test_grid_lines_are_round_numbers(low: float, high: float, log: bool, expected: list[float]) -> None:
    assert marks(low, high, log) == expected
