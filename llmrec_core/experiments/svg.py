"""The trade-off chart as plain SVG, for a report that needs no script: log cost axis, intervals, front, legend."""

from __future__ import annotations

import math
from collections.abc import Callable

from llmrec_core.experiments import formats, marks
from llmrec_core.experiments.front import METRICS, Chart, Point
from llmrec_core.experiments.views import AXES

Scale = Callable[[float], float]
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 1000, 520, 70, 330, 20, 55


def _polygon(sides: int, turn: float = -90.0, inner: float = 1.0) -> str:
    """Corners around the origin, radius 7; with `inner` below 1 a star."""
    corners = []
    for index in range(sides * (2 if inner < 1 else 1)):
        radius = 7.0 * (inner if inner < 1 and index % 2 else 1.0)
        angle = math.radians(turn + index * 360 / (sides * (2 if inner < 1 else 1)))
        corners.append(f"{radius * math.cos(angle):.1f},{radius * math.sin(angle):.1f}")
    return " ".join(corners)


_CORNERS = {
    "square": "-6,-6 6,-6 6,6 -6,6",
    "diamond": _polygon(4),
    "triangle-up": _polygon(3),
    "triangle-down": _polygon(3, 90),
    "triangle-left": _polygon(3, 180),
    "triangle-right": _polygon(3, 0),
    "diamond-tall": "0,-8 4.5,0 0,8 -4.5,0",
    "diamond-wide": "-8,0 0,-4.5 8,0 0,4.5",
    "star-square": _polygon(4, 45, inner=0.5),
    "pentagon": _polygon(5),
    "hexagon": _polygon(6),
    "octagon": _polygon(8, 22.5),
    "star": _polygon(5, inner=0.45),
    "hexagram": _polygon(6, inner=0.58),
    "star-diamond": _polygon(4, inner=0.5),
    "cross": "-2.5,-7 2.5,-7 2.5,-2.5 7,-2.5 7,2.5 2.5,2.5 2.5,7 -2.5,7 -2.5,2.5 -7,2.5 -7,-2.5 -2.5,-2.5",
    "x": "-7,-4 -4,-7 0,-3 4,-7 7,-4 3,0 7,4 4,7 0,3 -4,7 -7,4 -3,0",
    "hourglass": "-6,-7 6,-7 -6,7 6,7",
    "bowtie": "-7,-6 -7,6 7,-6 7,6",
}


def _mark(shape: str, x: float, y: float, colour: str, opacity: float, assumed: bool) -> str:
    fill = "none" if assumed else colour
    style = f'fill="{fill}" stroke="{colour}" opacity="{opacity}"'
    if shape not in _CORNERS:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6" {style}/>'
    return f'<polygon points="{_CORNERS[shape]}" transform="translate({x:.1f} {y:.1f})" {style}/>'


def _ticks(low: float, high: float) -> list[float]:
    """About five round values that cover the range."""
    step = 10 ** math.floor(math.log10((high - low) / 4 or 1))
    step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) <= 6)
    first = math.ceil(low / step)
    return [step * index for index in range(first, math.floor(high / step) + 1)]


def pareto(chart: Chart) -> str:
    """The chart as one `<svg>` element; every label is escaped."""
    if not chart.points:
        return "<p>No run has both figures, so there is nothing to draw.</p>"
    axis = AXES[chart.axis]
    costs = [math.log10(max(point.x * axis.factor, 1e-12)) for point in chart.points]
    x_low, x_high = math.floor(min(costs) - 0.1), math.ceil(max(costs) + 0.1)
    tops = [point.y_high if point.y_high is not None else point.y for point in chart.points]
    lows = [point.y_low if point.y_low is not None else point.y for point in chart.points]
    y_low, y_high = min(lows), max(tops)
    pad = (y_high - y_low or 0.1) * 0.08
    y_low, y_high = max(0.0, y_low - pad), y_high + pad

    def across(value: float) -> float:
        share = (math.log10(max(value * axis.factor, 1e-12)) - x_low) / (x_high - x_low)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def up(value: float) -> float:
        return HEIGHT - BOTTOM - (value - y_low) / (y_high - y_low) * (HEIGHT - BOTTOM - TOP)

    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Quality against cost">']
    for decade in range(x_low, x_high + 1):
        x = across(10.0**decade / axis.factor)
        label = formats.significant(10.0**decade, 1)
        parts.append(f'<line class="grid" x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{HEIGHT - BOTTOM}"/>')
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{label}</text>')
    for tick in _ticks(y_low, y_high):
        y = up(tick)
        parts.append(f'<line class="grid" x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{tick:.2f}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(
        f'<text x="{middle}" y="{HEIGHT - 12}" text-anchor="middle">{axis.title}, {axis.unit} (log scale)</text>'
    )
    parts.append(
        f'<text transform="translate(18 {HEIGHT / 2}) rotate(-90)" text-anchor="middle">'
        f"{METRICS.get(chart.metric, chart.metric)}, mean over users</text>"
    )
    parts += _front(chart, across, up)
    parts += _points(chart, across, up)
    return "".join(parts) + "</svg>"


def _front(chart: Chart, across: Scale, up: Scale) -> list[str]:
    front = chart.front
    if len(front) < 2:
        return []
    steps = [f"M{across(front[0].x):.1f} {up(front[0].y):.1f}"]
    for point in front[1:]:
        steps.append(f"H{across(point.x):.1f} V{up(point.y):.1f}")
    return [f'<path class="front" d="{" ".join(steps)}"/>']


def _points(chart: Chart, across: Scale, up: Scale) -> list[str]:
    shapes = marks.shapes([point.row.spec.recommender for point in chart.points])
    parts = []
    ordered: list[Point] = sorted(chart.points, key=lambda point: -point.y)
    for index, point in enumerate(ordered):
        shape = shapes[marks.size_label(point.row.spec.recommender)]
        colour = marks.colour(point.row.spec.precision)
        x, y, opacity = across(point.x), up(point.y), 1.0 if point.on_front else 0.5
        if point.y_low is not None and point.y_high is not None:
            parts.append(
                f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{up(point.y_low):.1f}" y2="{up(point.y_high):.1f}" '
                f'stroke="{colour}" opacity="{opacity}"/>'
            )
        name = formats.escape(point.row.name)
        parts.append(
            f"<g><title>{formats.escape(point.words)}</title>{_mark(shape, x, y, colour, opacity, point.assumed)}</g>"
        )
        line = TOP + 14 + index * 22
        parts.append(_mark(shape, WIDTH - RIGHT + 22, line - 4, colour, 1.0, point.assumed))
        weight = ' font-weight="600"' if point.on_front else ""
        shown = name if len(point.row.name) <= 46 else formats.escape(point.row.name[:45]) + "…"
        parts.append(f'<text x="{WIDTH - RIGHT + 38}" y="{line}"{weight}>{shown}</text>')
    return parts
