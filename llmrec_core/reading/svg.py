"""The trade-off chart as plain SVG, for a report that needs no script.

Coordinates are written in the form of SVG whatever the reader's language; words go through `t`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from llmrec_core.language import number, t
from llmrec_core.reading import chart_symbols, number_format
from llmrec_core.reading.pareto import METRICS, Chart, Point
from llmrec_core.reading.pricing import AXES

Scale = Callable[[float], float]
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 1000, 520, 70, 330, 20, 55
LONGEST_NAME = 46
"""Letters of a name that fit beside the chart."""
NAME_STEP, LEGEND_STEP, LEGEND_COLUMNS = 22, 24, 4


def _polygon(sides: int, turn: float = -90.0, inner: float = 1.0) -> str:
    """Corners around the origin, radius 7; with `inner` below 1 a star."""
    corners = []
    for index in range(sides * (2 if inner < 1 else 1)):
        radius = 7.0 * (inner if inner < 1 and index % 2 else 1.0)
        angle = math.radians(turn + index * 360 / (sides * (2 if inner < 1 else 1)))
        corners.append(f"{radius * math.cos(angle):.1f},{radius * math.sin(angle):.1f}")
    return " ".join(corners)


OFF_FRONT = 0.65
"""Size of a mark off the front; a pale one would stand out from the page by less than 3 : 1."""
_CORNERS = {
    "square": "-6,-6 6,-6 6,6 -6,6",
    "diamond": _polygon(4),
    "triangle-up": _polygon(3),
    "triangle-down": _polygon(3, 90),
    "triangle-left": _polygon(3, 180),
    "triangle-right": _polygon(3, 0),
    "diamond-tall": "0,-8 4.5,0 0,8 -4.5,0",
    "diamond-wide": "-8,0 0,-4.5 8,0 0,4.5",
    "star-triangle-up": _polygon(3, inner=0.3),
    "star-triangle-down": _polygon(3, 90, inner=0.3),
    "star-square": _polygon(4, 45, inner=0.5),
    "pentagon": _polygon(5),
    "hexagon": _polygon(6),
    "hexagon2": _polygon(6, 0),
    "octagon": _polygon(8, 22.5),
    "star": _polygon(5, inner=0.45),
    "hexagram": _polygon(6, inner=0.58),
    "star-diamond": _polygon(4, inner=0.5),
    "cross": (
        "-2.5,-7 2.5,-7 2.5,-2.5 7,-2.5 7,2.5 2.5,2.5 "
        "2.5,7 -2.5,7 -2.5,2.5 -7,2.5 -7,-2.5 -2.5,-2.5"
    ),
    "x": "-7,-4 -4,-7 0,-3 4,-7 7,-4 3,0 7,4 4,7 0,3 -4,7 -7,4 -3,0",
    "hourglass": "-6,-7 6,-7 -6,7 6,7",
    "bowtie": "-7,-6 -7,6 7,-6 7,6",
}


def _mark(shape: str, x: float, y: float, colour: str, size: float, assumed: bool) -> str:
    fill = "none" if assumed else colour
    style = f'fill="{fill}" stroke="{colour}"'
    if shape not in _CORNERS:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{6 * size:g}" {style}/>'
    place = f"translate({x:.1f} {y:.1f}) scale({size:g})"
    return f'<polygon points="{_CORNERS[shape]}" transform="{place}" {style}/>'


def _ticks(low: float, high: float) -> list[float]:
    """About five round values that cover the range."""
    step = 10 ** math.floor(math.log10((high - low) / 4 or 1))
    step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) <= 6)
    first = math.ceil(low / step)
    return [step * index for index in range(first, math.floor(high / step) + 1)]


def pareto(chart: Chart) -> str:
    """The chart as one `<svg>` element; every label is escaped."""
    if not chart.points:
        nothing = t("No run has both figures, so there is nothing to draw.")
        return f"<p>{number_format.escape(nothing)}</p>"
    axis = AXES[chart.axis]
    costs = [math.log10((point.x or chart.edge) * axis.factor) for point in chart.points]
    decades = range(math.floor(min(costs) - 0.1), math.ceil(max(costs) + 0.1) + 1)
    y_low, y_high = _heights(chart)

    def across(value: float) -> float:
        place = math.log10((value or chart.edge) * axis.factor) - decades[0]
        return LEFT + place / (decades[-1] - decades[0]) * (WIDTH - LEFT - RIGHT)

    def up(value: float) -> float:
        return HEIGHT - BOTTOM - (value - y_low) / (y_high - y_low) * (HEIGHT - BOTTOM - TOP)

    label = number_format.escape(t("Quality against cost"))
    below_all = max(HEIGHT, TOP + 14 + NAME_STEP * len(chart.points))
    legend, height = _legend(chart, below_all)
    parts = [f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{label}">']
    for decade in decades:
        x = across(10.0**decade / axis.factor)
        parts.append(_line(x, TOP, x, HEIGHT - BOTTOM))
        tick = number_format.significant(10.0**decade, 1)
        parts.append(_text(x, HEIGHT - BOTTOM + 18, "middle", tick))
    if chart.free:
        parts.append(_text(across(0.0), HEIGHT - BOTTOM + 18, "middle", "0"))
    for quality in _ticks(y_low, y_high):
        y = up(quality)
        parts.append(_line(LEFT, y, WIDTH - RIGHT, y))
        parts.append(_text(LEFT - 8, y + 4, "end", number(quality, ".2f")))
    below = t("{title}, {unit} (log scale)", title=t(axis.title), unit=axis.unit)
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, "middle", below))
    metric = METRICS.get(chart.metric, chart.metric)
    beside = number_format.escape(t("{metric}, mean over users", metric=metric))
    turned = f"translate(18 {HEIGHT / 2}) rotate(-90)"
    parts.append(f'<text transform="{turned}" text-anchor="middle">{beside}</text>')
    parts += _front(chart, across, up)
    parts += _points(chart, across, up)
    parts += legend
    return "".join(parts) + "</svg>"


def _heights(chart: Chart) -> tuple[float, float]:
    """Lowest and highest quality that is drawn, with some room."""
    highest = max(point.y if point.y_high is None else point.y_high for point in chart.points)
    lowest = min(point.y if point.y_low is None else point.y_low for point in chart.points)
    room = (highest - lowest or 0.1) * 0.08
    return max(0.0, lowest - room), highest + room


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="grid" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, anchor: str, label: str, weight: str = "") -> str:
    shown = number_format.escape(label)
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{weight}>{shown}</text>'


def _front(chart: Chart, across: Scale, up: Scale) -> list[str]:
    front = chart.front
    if len(front) < 2:
        return []
    steps = [f"M{across(front[0].x):.1f} {up(front[0].y):.1f}"]
    steps += [f"H{across(point.x):.1f} V{up(point.y):.1f}" for point in front[1:]]
    return [f'<path class="front" d="{" ".join(steps)}"/>']


def _points(chart: Chart, across: Scale, up: Scale) -> list[str]:
    parts = []
    ordered: list[Point] = sorted(chart.points, key=lambda point: -point.y)
    for index, point in enumerate(ordered):
        shape = chart_symbols.shape(point.row.spec.precision)
        colour = chart_symbols.colour(point.row.spec.recommender)
        x, y, size = across(point.x), up(point.y), 1.0 if point.on_front else OFF_FRONT
        if point.y_low is not None and point.y_high is not None:
            parts.append(
                f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{up(point.y_low):.1f}" '
                f'y2="{up(point.y_high):.1f}" stroke="{colour}"/>'
            )
        words = number_format.escape(point.words)
        mark = _mark(shape, x, y, colour, size, point.assumed)
        parts.append(f"<g><title>{words}</title>{mark}</g>")
        line = TOP + 14 + index * NAME_STEP
        parts.append(_mark(shape, WIDTH - RIGHT + 22, line - 4, colour, 1.0, point.assumed))
        weight = ' font-weight="600"' if point.on_front else ""
        name = point.row.name
        shown = name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
        parts.append(_text(WIDTH - RIGHT + 38, line, "start", shown, weight))
    return parts


def _legend(chart: Chart, top: float) -> tuple[list[str], float]:
    """What colours and shapes stand for, in lines below everything else, and where they end."""
    entries = chart_symbols.legend(point.row.spec for point in chart.points)
    parts = []
    for place, entry in enumerate(entries):
        line, column = divmod(place, LEGEND_COLUMNS)
        x = LEFT + column * (WIDTH - LEFT) / LEGEND_COLUMNS
        y = top + 14 + line * LEGEND_STEP
        parts.append(_mark(entry.shape, x, y - 4, entry.colour, 1.0, assumed=False))
        parts.append(_text(x + 16, y, "start", entry.name))
    return parts, top + LEGEND_STEP * math.ceil(len(entries) / LEGEND_COLUMNS)
