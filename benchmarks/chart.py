"""Line charts as SVG text, in light and dark by the reader's setting, written without a library."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

SVG = "http://www.w3.org/2000/svg"
WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 72, 24, 98, 78
# Labels nearer to each other than this would overlap.
LABEL_WIDTH = 46
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #24292f } .title { font-size: 16px; font-weight: 600 } .soft { fill: #57606a }
.ground { fill: #ffffff } .grid { stroke: #d8dee4 } .axis { stroke: #8c959f } .line { fill: none; stroke-width: 2 }
.l0 { stroke: #0969da } .d0, .t0 { fill: #0969da } .l1 { stroke: #8c959f; stroke-dasharray: 5 4 } .d1, .t1 { fill: #6e7781 }
.halo { stroke: #ffffff; stroke-width: 4; paint-order: stroke }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .soft { fill: #9198a1 } .ground { fill: #0d1117 } .grid { stroke: #2a313c } .axis { stroke: #6e7681 }
.l0 { stroke: #58a6ff } .d0, .t0 { fill: #58a6ff } .l1 { stroke: #6e7681 } .d1, .t1 { fill: #9198a1 } .halo { stroke: #0d1117 }
}
"""


@dataclass(frozen=True)
class Line:
    """One line: its name, a value for each place of the chart; ``look`` is 0, or 1 for what others are held against."""

    name: str
    values: Sequence[float]
    look: int


@dataclass(frozen=True)
class Chart:
    """Places on the horizontal axis, with a word below each, and lines above them. Values are positive."""

    title: str
    subtitle: str
    axis: str
    places: Sequence[float]
    lines: Sequence[Line]
    log_x: bool = True
    log_y: bool = False
    below: Sequence[str] = field(default=())


def scale(log: bool) -> Callable[[float], float]:
    """A value as a distance from the origin."""
    return math.log10 if log else float


def marks(low: float, high: float, log: bool) -> list[float]:
    """Round values for grid lines up to the first one that is not below ``high``."""
    if log:
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        every = [float(f"{digit}e{decade}") for decade in decades for digit in (1, 2, 5)]
        first = max(number for number in every if number <= low)
        return [number for number in every if first <= number <= min(other for other in every if other >= high)]
    step = next(
        step for decade in range(-3, 12) for step in (1 * 10.0**decade, 2 * 10.0**decade, 5 * 10.0**decade) if high / step <= 6
    )
    return [step * number for number in range(math.ceil(high / step) + 1)]


def shown(number: float) -> str:
    """A number for people."""
    return f"{number:,.0f}" if number >= 10 or number == int(number) else f"{number:,.2g}"


def apart(positions: Sequence[float]) -> list[bool]:
    """Which labels have room: the last one always, the others from the left."""
    found: list[bool] = []
    before = -math.inf
    for position in positions[:-1]:
        found.append(position - before >= LABEL_WIDTH and positions[-1] - position >= LABEL_WIDTH)
        before = position if found[-1] else before
    return [*found, True]


def svg(chart: Chart) -> str:
    """The picture."""
    across, down = _axes(chart)
    columns = [across(place) for place in chart.places]
    return "\n".join(
        [
            f'<svg xmlns="{SVG}" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img">',
            f"<title>{escape(chart.title)}</title><style>{STYLE}</style>",
            f'<rect class="ground" width="{WIDTH}" height="{HEIGHT}" rx="6"/>',
            _text(20, 28, chart.title, "title"),
            _text(20, 48, chart.subtitle, "soft"),
            *_legend(chart),
            *_grid(chart, down),
            *_bottom(chart, columns),
            *(part for line in reversed(chart.lines) for part in _line(line, columns, down)),
            "</svg>",
            "",
        ]
    )


def _text(x: float, y: float, text: str, look: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{look}" text-anchor="{anchor}">{escape(text)}</text>'


def _axes(chart: Chart) -> tuple[Callable[[float], float], Callable[[float], float]]:
    """Where a place and a value stand in the picture."""
    along, up = scale(chart.log_x), scale(chart.log_y)
    first, last = along(chart.places[0]), along(chart.places[-1])
    rows = _marks(chart)
    low, high = up(rows[0]), up(rows[-1])
    # The first and the last point stand a little inside.
    start, width, height = LEFT + 28, WIDTH - LEFT - RIGHT - 56, HEIGHT - TOP - BOTTOM
    return (
        lambda place: start + (along(place) - first) / (last - first) * width,
        lambda value: TOP + height - (up(value) - low) / (high - low) * height,
    )


def _marks(chart: Chart) -> list[float]:
    values = [value for line in chart.lines for value in line.values]
    return marks(min(values), max(values) * 1.08, chart.log_y)


def _legend(chart: Chart) -> Iterator[str]:
    at = 20.0
    for line in chart.lines:
        yield f'<path class="line l{line.look}" d="M{at} 66h22"/>'
        yield _text(at + 28, 70, line.name, "soft")
        at += 28 + len(line.name) * 6.4 + 24


def _grid(chart: Chart, down: Callable[[float], float]) -> Iterator[str]:
    for mark in _marks(chart):
        yield f'<path class="grid" d="M{LEFT} {down(mark):.1f}H{WIDTH - RIGHT}"/>'
        yield _text(LEFT - 8, down(mark) + 4, shown(mark), "soft", "end")


def _bottom(chart: Chart, columns: Sequence[float]) -> Iterator[str]:
    floor = HEIGHT - BOTTOM
    yield f'<path class="axis" d="M{LEFT} {floor}H{WIDTH - RIGHT}"/>'
    words = chart.below or [""] * len(columns)
    for column, place, word, room in zip(columns, chart.places, words, apart(columns), strict=True):
        yield f'<path class="axis" d="M{column:.1f} {floor}v5"/>'
        if room:
            yield _text(column, floor + 20, shown(place), "", "middle")
            yield _text(column, floor + 37, word, "soft", "middle")
    yield _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - (18 if chart.below else 30), chart.axis, "soft", "middle")


def _line(line: Line, columns: Sequence[float], down: Callable[[float], float]) -> Iterator[str]:
    """A line, its points, and their values where there is room; of what others are held against the last one's."""
    rows = [down(value) for value in line.values]
    path = " ".join(f"{column:.1f},{row:.1f}" for column, row in zip(columns, rows, strict=True))
    yield f'<polyline class="line l{line.look}" points="{path}"/>'
    last = len(columns) - 1
    for at, (column, row, room) in enumerate(zip(columns, rows, apart(columns), strict=True)):
        yield f'<circle class="d{line.look}" cx="{column:.1f}" cy="{row:.1f}" r="{2.5 if line.look else 3.5}"/>'
        if room and (not line.look or at == last):
            yield _text(column, row - 9, shown(line.values[at]), f"halo t{line.look}", "middle")
