"""Record → plotly figure. Labels are escaped, axes carry units."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

import plotly.graph_objects as go

from llmrec_core.language import t
from llmrec_core.reading import chart_symbols, number_format
from llmrec_core.reading.pareto import EDGE
from llmrec_core.reading.table import Table

GREY = chart_symbols.NEUTRAL
LINE = 22
"""Letters in a line beside a chart: more would leave a phone no room for the chart itself."""
LEGEND = {"title": None, "orientation": "h", "x": 0, "y": -0.18, "yanchor": "top"}
"""Below the chart, which so has the whole width."""
CONFIG = {"displaylogo": False, "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"]}


def shape(figure: go.Figure, x: str, y: str, height: int) -> go.Figure:
    """The figure with titles of its axes and the margins of all our charts.

    Args:
        figure: is changed.
        x: title of the axis across.
        y: title of the axis up.
        height: in pixels.
    """
    figure.update_layout(
        height=height,
        margin={"l": 10, "r": 10, "t": 20, "b": 10},
        xaxis_title=x,
        yaxis_title=y,
        hoverlabel={"align": "left"},
        legend=LEGEND,
    )
    return figure


def mark_zero(figure: go.Figure, edge: float) -> None:
    """Name the place where a logarithmic axis shows a cost of 0, and part it from the scale."""
    figure.add_vline(x=edge * 1.6, line={"color": GREY, "dash": "dash", "width": 1})
    figure.add_annotation(
        x=math.log10(edge), y=0, xref="x", yref="paper", text="0", showarrow=False, yshift=-12
    )


def waterfall(
    titles: Sequence[str], values: Sequence[float], base: float, prediction: float
) -> go.Figure:
    """Base value → one bar per history item → score."""
    labels = [t("Without history"), *(tick_label(title) for title in titles), t("Score")]
    figure = go.Figure(
        go.Waterfall(
            orientation="h",
            measure=["absolute", *["relative"] * len(values), "total"],
            y=list(range(len(labels))),
            x=[base, *values, prediction],
            text=[f"{base:.3f}", *(f"{value:+.3f}" for value in values), f"{prediction:.3f}"],
            textposition="outside",
            connector={"line": {"color": GREY, "width": 1, "dash": "dot"}},
            increasing={"marker": {"color": chart_symbols.FOR}},
            decreasing={"marker": {"color": chart_symbols.AGAINST}},
            totals={"marker": {"color": chart_symbols.WHOLE}},
            hovertemplate="%{customdata}<br>%{text}<extra></extra>",
            customdata=[
                t("Score with an empty history"),
                *(number_format.escape(title) for title in titles),
                t("Score of this item"),
            ],
            cliponaxis=False,
        )
    )
    shape(figure, t("score of the model (no unit)"), "", 120 + 42 * len(labels))
    figure.update_yaxes(tickvals=list(range(len(labels))), ticktext=labels, autorange="reversed")
    reach = [0.0, base, prediction]
    total = base
    for value in values:
        total += value
        reach.append(total)
    room = (max(reach) - min(reach) or 1) * 0.22
    figure.update_xaxes(range=[min(reach) - room, max(reach) + room])
    return figure.update_layout(showlegend=False)


def short(title: str, limit: int = 42) -> str:
    """A title of at most `limit` letters, escaped."""
    return number_format.escape(title if len(title) <= limit else title[: limit - 1] + "…")


def tick_label(name: str, lines: int = 2) -> str:
    """A name beside a chart, escaped: at most so many lines of `LINE` letters.

    What is too long loses its middle: the end tells seeds and precisions apart.

    >>> tick_label("Text-SASRec (MiniLM embeddings + ids), seed 2")
    'Text-SASRec (MiniLM<br>…ddings + ids), seed 2'
    """
    wrapped = textwrap.wrap(name, LINE)
    if len(wrapped) > lines:
        wrapped[lines - 1 :] = ["…" + name[1 - LINE :].lstrip()]
    return "<br>".join(map(number_format.escape, wrapped))


def bars(
    names: Sequence[str],
    values: Sequence[float],
    colours: Sequence[str],
    unit: str,
    assumed: Sequence[bool] = (),
) -> go.Figure:
    """Horizontal bars on a log axis, one a row; assumed ones are open, and 0 is written as such.

    Args:
        names: of the rows.
        values: in the unit drawn.
        colours: of the rows.
        unit: as drawn.
        assumed: which rows are assumed.
    """
    open_bars = list(assumed) or [False] * len(values)
    figure = go.Figure(
        go.Bar(
            x=[value if value > 0 else None for value in values],
            y=list(range(len(values))),
            orientation="h",
            marker={
                "color": [
                    "rgba(0,0,0,0)" if flag else colour
                    for flag, colour in zip(open_bars, colours, strict=True)
                ],
                "line": {"color": list(colours), "width": 1.5},
            },
            customdata=[number_format.escape(name) for name in names],
            hovertemplate="%{customdata}<br>%{x:,.3~r} " + unit + "<extra></extra>",
        )
    )
    shape(figure, unit, "", 80 + 30 * len(values))
    figure.update_xaxes(type="log", exponentformat="SI", dtick=1)
    figure.update_yaxes(
        tickvals=list(range(len(values))),
        ticktext=[tick_label(name) for name in names],
        autorange="reversed",
        range=[len(values) - 0.5, -0.5],
    )
    for place, value in enumerate(values):
        if value <= 0:
            figure.add_annotation(
                x=0, xref="paper", y=place, text="0", showarrow=False, xanchor="left", xshift=4
            )
    return figure


def heat(
    rows: Sequence[str], columns: Sequence[str], values: Sequence[Sequence[float | None]], unit: str
) -> go.Figure:
    """Values by two dials, each cell labelled; empty cells were not measured."""
    text = [
        ["" if value is None else number_format.significant(value) for value in line]
        for line in values
    ]
    figure = go.Figure(
        go.Heatmap(
            x=[number_format.escape(column) for column in columns],
            y=[number_format.escape(row) for row in rows],
            z=values,
            text=text,
            texttemplate="%{text}",
            colorscale="Blues",
            colorbar={"title": unit},
            hoverongaps=False,
        )
    )
    return shape(figure, "", "", 120 + 46 * len(rows))


def intervals(
    names: Sequence[str],
    means: Sequence[float],
    lows: Sequence[float],
    highs: Sequence[float],
    title: str,
) -> go.Figure:
    """Paired differences with their intervals around a line at 0."""
    figure = go.Figure(
        go.Scatter(
            x=list(means),
            y=list(range(len(means))),
            mode="markers",
            marker={"size": 9},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [high - mean for high, mean in zip(highs, means, strict=True)],
                "arrayminus": [mean - low for low, mean in zip(lows, means, strict=True)],
            },
            customdata=[number_format.escape(name) for name in names],
            hovertemplate="%{customdata}: %{x:+.3f}<extra></extra>",
        )
    )
    figure.add_vline(x=0, line={"color": GREY, "dash": "dot"})
    shape(figure, title, "", 90 + 30 * len(means))
    figure.update_yaxes(
        tickvals=list(range(len(means))),
        ticktext=[tick_label(name) for name in names],
        autorange="reversed",
    )
    return figure


def label_curve(table: Table, title: str, by_price: bool, height: int = 420) -> go.Figure:
    """Quality against labels, or against what the training cost, a line a method with intervals.

    Args:
        table: as `check_results.curve_table`.
        title: of the metric.
        by_price: whether the axis is the price of a training.
        height: in pixels.
    """
    across = "Price of a training" if by_price else "Labels"
    columns = [table.values(name) for name in ("Method", across, "Value", "Low", "High")]
    methods: dict[str, list[tuple[float, float, float, float]]] = {}
    for method, x, value, low, high in zip(*columns, strict=True):
        points = methods.setdefault(str(method), [])
        if x is not None and value is not None:
            low, high = value if low is None else low, value if high is None else high
            points.append((float(x), float(value), float(low), float(high)))
    smallest = min((x for points in methods.values() for x, *_ in points if x > 0), default=1.0)
    edge = smallest / EDGE
    figure = go.Figure()
    for method, points in methods.items():
        points.sort()
        placed = [(x if x > 0 else edge, *ends) for x, *ends in points]
        figure.add_trace(_line(short(method, 40), placed))
    if any(x <= 0 for points in methods.values() for x, *_ in points):
        mark_zero(figure, edge)
    label = t("price of one training, $") if by_price else t("labels (training interactions)")
    shape(figure, label, title, height)
    return figure.update_xaxes(type="log", exponentformat="none" if by_price else "SI")


def _line(name: str, points: Sequence[Sequence[float]]) -> go.Scatter:
    """A line with an interval at each point: x, value, low, high."""
    return go.Scatter(
        x=[x for x, *_ in points],
        y=[value for _, value, _, _ in points],
        mode="lines+markers",
        name=name,
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [high - value for _, value, _, high in points],
            "arrayminus": [value - low for _, value, low, _ in points],
            "thickness": 1,
        },
    )


def by_layers(table: Table, title: str, height: int = 380) -> go.Figure:
    """Quality against layers, a line a model with intervals.

    Args:
        table: as `ladder_tables.size_table`.
        title: of the metric.
        height: in pixels.
    """
    columns = [table.values(name) for name in ("Model", "Layers", "Value", "Low", "High")]
    models: dict[str, list[tuple[float, ...]]] = {}
    for model, layers, value, low, high in zip(*columns, strict=True):
        if layers is not None and value is not None:
            low, high = value if low is None else low, value if high is None else high
            point = (float(layers), float(value), float(low), float(high))
            models.setdefault(str(model), []).append(point)
    figure = go.Figure([_line(short(model, 40), points) for model, points in models.items()])
    figure.update_layout(showlegend=True)
    ticks = sorted({int(x) for points in models.values() for x, *_ in points})
    return shape(figure, t("layers"), title, height).update_xaxes(tickvals=ticks)


def left_out_of_layers(table: Table) -> list[str]:
    """Models with a size that `by_layers` cannot draw, a sentence each."""
    cells = zip(table.values("Model"), table.values("Layers"), strict=True)
    return [
        t("Not drawn: {name} – {reason}", name=name, reason=t("its layers were not counted"))
        for name in dict.fromkeys(model for model, layers in cells if layers is None)
    ]


def left_out_of_curve(table: Table, by_price: bool) -> list[str]:
    """Methods that `label_curve` cannot draw, a sentence each."""
    across = "Price of a training" if by_price else "Labels"
    cells = list(
        zip(table.values("Method"), table.values(across), table.values("Value"), strict=True)
    )
    drawn = {method for method, x, value in cells if x is not None and value is not None}
    return [
        t("Not drawn: {name} – {reason}", name=method, reason=t("its price is not known"))
        for method in dict.fromkeys(method for method, _, _ in cells)
        if method not in drawn
    ]
