"""Record → plotly figure. Labels are escaped, axes carry units; colours and shapes come from experiments/marks.py."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd
import plotly.graph_objects as go

from llmrec_core.experiments import formats, marks
from llmrec_core.experiments.front import METRICS, Chart, Point
from llmrec_core.experiments.views import AXES

GREY = "#8a93a6"
CONFIG = {"displaylogo": False, "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"]}


def _shape(figure: go.Figure, x: str, y: str, height: int) -> go.Figure:
    figure.update_layout(
        height=height,
        margin={"l": 10, "r": 10, "t": 20, "b": 10},
        xaxis_title=x,
        yaxis_title=y,
        hoverlabel={"align": "left"},
        legend={"title": None},
    )
    return figure


def pareto(chart: Chart, show_dominated: bool = True, logarithmic: bool = True, height: int = 520) -> go.Figure:
    """Quality against cost with intervals; the front is a stepped line, other points are pale."""
    axis = AXES[chart.axis]
    figure = go.Figure()
    front = chart.front
    if len(front) > 1:
        figure.add_trace(
            go.Scatter(
                x=[point.x * axis.factor for point in front],
                y=[point.y for point in front],
                mode="lines",
                line={"shape": "hv", "dash": "dot", "color": GREY, "width": 1.5},
                name="Pareto front",
                hoverinfo="skip",
            )
        )
    shapes = marks.shapes([point.row.spec.recommender for point in chart.points])
    places = _label_places(front)
    for point in chart.points:
        if show_dominated or point.on_front:
            figure.add_trace(_mark(point, chart, shapes, places.get(point.row.run_id)))
    figure = _shape(figure, f"{axis.title}, {axis.unit}", f"{METRICS[chart.metric]}, mean over users", height)
    figure.update_xaxes(type="log" if logarithmic else "linear", exponentformat="SI" if axis.unit != "$" else "none")
    if logarithmic:
        costs = [point.x for point in chart.points if point.x > 0] or [1.0]
        decades = math.log10(max(costs) / min(costs))
        figure.update_xaxes(dtick=1 if decades > 2.5 else "D2", minor={"ticks": "outside", "showgrid": False})
    return figure


def _label_places(front: Sequence[Point]) -> dict[str, str]:
    """Where the label of each front point goes: the best above left, then in turn below right and above left."""
    from_best = enumerate(reversed(front))
    return {point.row.run_id: "bottom right" if index % 2 else "top left" for index, point in from_best}


def _mark(point: Point, chart: Chart, shapes: Mapping[str, str], place: str | None) -> go.Scatter:
    axis = AXES[chart.axis]
    symbol = shapes[marks.size_label(point.row.spec.recommender)]
    x = point.x * axis.factor
    colour = marks.colour(point.row.spec.precision)
    cost = formats.value_text(point.x, "", chart.axis)
    if point.row.predicted and point.assumed:
        cost += " (predicted"
        if point.x_low is not None and point.x_high is not None:
            low, high = (formats.value_text(end, "", chart.axis) for end in (point.x_low, point.x_high))
            cost += f", 80 % interval {low} to {high}"
        cost += ")"
    elif point.assumed:
        cost += " (assumed)"
    hover = (
        f"<b>{formats.escape(point.row.name)}</b><br>{METRICS[chart.metric]} {point.y:.3f}"
        + (f" ({point.y_low:.3f} to {point.y_high:.3f})" if point.y_low is not None else "")
        + f", {point.n or '?'} users<br>{axis.title}: {cost}<br>"
        + f"{formats.escape(marks.size_label(point.row.spec.recommender))}, {point.row.spec.precision}<br>"
        + (
            "on the front: nothing measured is both cheaper and better"
            if point.on_front
            else "something costs no more and ranks no worse"
        )
        + ("<br>timing was noisy" if point.row.noisy else "")
    )
    error = None
    if point.y_low is not None and point.y_high is not None:
        error = {
            "type": "data",
            "symmetric": False,
            "array": [point.y_high - point.y],
            "arrayminus": [point.y - point.y_low],
            "color": colour,
            "thickness": 1,
            "width": 3,
        }
    return go.Scatter(
        x=[x],
        y=[point.y],
        mode="markers+text" if place else "markers",
        text=[_short(point.row.name, 34)] if place else None,
        textposition=place,
        textfont={"size": 11},
        error_y=error,
        error_x=_reach(point, axis.factor, colour) if point.row.predicted else None,
        name=_short(point.row.name, 40),
        customdata=[point.row.run_id],
        opacity=1.0 if point.on_front else 0.6,
        marker={
            "symbol": symbol + ("-open" if point.assumed else ""),
            "color": colour,
            "size": 13 if point.on_front else 11,
            "line": {"width": 1.5 if point.assumed else 0.5, "color": colour},
        },
        hovertemplate=hover + "<extra></extra>",
        cliponaxis=False,
    )


def _reach(point: Point, factor: float, colour: str) -> dict[str, object] | None:
    """The 80 % interval of a predicted cost."""
    if point.x_low is None or point.x_high is None:
        return None
    return {
        "type": "data",
        "symmetric": False,
        "array": [(point.x_high - point.x) * factor],
        "arrayminus": [(point.x - point.x_low) * factor],
        "color": colour,
        "thickness": 1,
        "width": 3,
    }


def waterfall(titles: Sequence[str], values: Sequence[float], base: float, prediction: float) -> go.Figure:
    """Base value → one bar per history item → score."""
    labels = ["Without history", *(_short(title) for title in titles), "Score"]
    figure = go.Figure(
        go.Waterfall(
            orientation="h",
            measure=["absolute", *["relative"] * len(values), "total"],
            y=list(range(len(labels))),
            x=[base, *values, prediction],
            text=[f"{base:.3f}", *(f"{value:+.3f}" for value in values), f"{prediction:.3f}"],
            textposition="outside",
            connector={"line": {"color": GREY, "width": 1, "dash": "dot"}},
            increasing={"marker": {"color": "#2e9d62"}},
            decreasing={"marker": {"color": "#c2405b"}},
            totals={"marker": {"color": "#3b6fd4"}},
            hovertemplate="%{customdata}<br>%{text}<extra></extra>",
            customdata=[
                "Score with an empty history",
                *(formats.escape(title) for title in titles),
                "Score of this item",
            ],
            cliponaxis=False,
        )
    )
    _shape(figure, "score of the model (no unit)", "", 120 + 42 * len(labels))
    figure.update_yaxes(tickvals=list(range(len(labels))), ticktext=labels, autorange="reversed")
    reach = [0.0, base, prediction]
    total = base
    for value in values:
        total += value
        reach.append(total)
    room = (max(reach) - min(reach) or 1) * 0.22
    figure.update_xaxes(range=[min(reach) - room, max(reach) + room])
    return figure.update_layout(showlegend=False)


def _short(title: str, limit: int = 42) -> str:
    return formats.escape(title if len(title) <= limit else title[: limit - 1] + "…")


def curves(table: pd.DataFrame, height: int = 300) -> dict[str, go.Figure]:
    """One figure per curve name (loss, validation quality) over steps."""
    figures = {}
    for name, part in table.groupby("name", sort=False):
        figure = go.Figure(
            go.Scatter(x=part["step"], y=part["value"], mode="lines+markers" if len(part) < 40 else "lines")
        )
        figures[str(name)] = _shape(figure, "training step", CURVES.get(str(name), formats.escape(name)), height)
    return figures


CURVES = {
    "train_loss": "training loss (nats)",
    "valid_ndcg@10": "validation NDCG@10",
}


def bars(
    names: Sequence[str], values: Sequence[float], colours: Sequence[str], unit: str, assumed: Sequence[bool] = ()
) -> go.Figure:
    """Horizontal bars on a log axis, one per row; assumed ones are open."""
    open_bars = list(assumed) or [False] * len(values)
    figure = go.Figure(
        go.Bar(
            x=list(values),
            y=list(range(len(values))),
            orientation="h",
            marker={
                "color": ["rgba(0,0,0,0)" if flag else colour for flag, colour in zip(open_bars, colours, strict=True)],
                "line": {"color": list(colours), "width": 1.5},
            },
            customdata=[formats.escape(name) for name in names],
            hovertemplate="%{customdata}<br>%{x:.4g} " + unit + "<extra></extra>",
        )
    )
    _shape(figure, unit, "", 80 + 26 * len(values))
    figure.update_xaxes(type="log", exponentformat="SI", dtick=1)
    figure.update_yaxes(
        tickvals=list(range(len(values))), ticktext=[_short(name) for name in names], autorange="reversed"
    )
    return figure


def heat(rows: Sequence[str], columns: Sequence[str], values: Sequence[Sequence[float | None]], unit: str) -> go.Figure:
    """Values by two dials, each cell labelled; empty cells were not measured."""
    text = [["" if value is None else formats.significant(value) for value in line] for line in values]
    figure = go.Figure(
        go.Heatmap(
            x=[formats.escape(column) for column in columns],
            y=[formats.escape(row) for row in rows],
            z=values,
            text=text,
            texttemplate="%{text}",
            colorscale="Blues",
            colorbar={"title": unit},
            hoverongaps=False,
        )
    )
    return _shape(figure, "", "", 120 + 46 * len(rows))


def intervals(
    names: Sequence[str], means: Sequence[float], lows: Sequence[float], highs: Sequence[float], title: str
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
            customdata=[formats.escape(name) for name in names],
            hovertemplate="%{customdata}: %{x:+.3f}<extra></extra>",
        )
    )
    figure.add_vline(x=0, line={"color": GREY, "dash": "dot"})
    _shape(figure, title, "", 90 + 30 * len(means))
    figure.update_yaxes(
        tickvals=list(range(len(means))), ticktext=[_short(name) for name in names], autorange="reversed"
    )
    return figure


def label_curve(table: pd.DataFrame, title: str, by_price: bool, height: int = 420) -> go.Figure:
    """Quality against labels, or against what the training cost, a line per method with its intervals."""
    column = "Training $" if by_price else "Labels"
    figure = go.Figure()
    for name, part in table.dropna(subset=[column]).groupby("Method", sort=False):
        part = part.sort_values(column)
        figure.add_trace(
            go.Scatter(
                x=part[column],
                y=part["Value"],
                mode="lines+markers",
                name=_short(str(name), 40),
                error_y={
                    "type": "data",
                    "symmetric": False,
                    "array": part["High"] - part["Value"],
                    "arrayminus": part["Value"] - part["Low"],
                    "thickness": 1,
                },
            )
        )
    _shape(figure, "price of one training, $" if by_price else "labels (training interactions)", title, height)
    return figure.update_xaxes(type="log", exponentformat="none" if by_price else "SI")
