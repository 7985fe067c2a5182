"""Quality against cost as a plotly figure, with what is said below it.

Colours and shapes come from reading/chart_symbols.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import plotly.graph_objects as go

from llmrec_core.language import t
from llmrec_core.reading import chart_symbols, number_format
from llmrec_core.reading.pareto import METRICS, Chart, Point
from llmrec_core.reading.pricing import AXES
from llmrec_core.reading.row import Row
from pages.shared.charts import GREY, mark_zero, shape, short


def pareto(
    chart: Chart,
    show_dominated: bool = True,
    logarithmic: bool = True,
    height: int = 640,
    choice: Row | None = None,
    limit: float | None = None,
    marked: str = "",
) -> go.Figure:
    """Quality against cost with intervals; the front is a stepped line, other points are smaller.

    Args:
        chart: what is drawn.
        show_dominated: whether points off the front are drawn.
        logarithmic: whether the cost axis is; a cost of 0 then stands at its marked edge.
        height: in pixels.
        choice: the row that gets a ring.
        limit: on the cost, in the record's unit; what lies beyond it is shaded.
        marked: id of the run whose line in the table was clicked; it gets a square.
    """
    axis = AXES[chart.axis]
    figure = go.Figure()

    def across(x: float) -> float:
        return (chart.edge if logarithmic and x <= 0 else x) * axis.factor

    front = chart.front
    if len(front) > 1:
        figure.add_trace(
            go.Scatter(
                x=[across(point.x) for point in front],
                y=[point.y for point in front],
                mode="lines",
                line={"shape": "hv", "dash": "dot", "color": GREY, "width": 1.5},
                name=t("Pareto front"),
                hoverinfo="skip",
            )
        )
    places = _label_places(front, chart.points)
    drawn = [point for point in chart.points if show_dominated or point.on_front]
    of_kind: dict[str, list[Point]] = {}
    for point in drawn:
        of_kind.setdefault(chart_symbols.kind(point.row.spec.recommender), []).append(point)
    for kind, points in of_kind.items():
        figure.add_trace(_marks(kind, points, chart, places, across))
    _shapes(figure, drawn, across)
    if choice is not None:
        _ring(figure, chart, choice.run_id, t("the choice"), "circle-open", across)
    if marked:
        _ring(figure, chart, marked, t("the marked line"), "square-open", across)
    if limit is not None:
        _shade(figure, chart, across(limit), logarithmic)
    shape(
        figure,
        t("{title}, {unit}", title=t(axis.title), unit=axis.unit),
        t("{metric}, mean over users", metric=METRICS[chart.metric]),
        height,
    )
    figure.update_layout(legend={"itemsizing": "constant"})
    figure.update_xaxes(
        type="log" if logarithmic else "linear", exponentformat="SI" if axis.unit != "$" else "none"
    )
    if logarithmic:
        costs = [point.x for point in chart.points if point.x > 0] or [1.0]
        decades = math.log10(max(costs) / min(costs))
        # within a decade 1, 2 and 5 may all lie outside, and plotly chooses by itself
        dtick = 1 if decades > 2.5 else "D2" if decades > 1 else None
        figure.update_xaxes(dtick=dtick, minor={"ticks": "outside", "showgrid": False})
        if chart.free:
            mark_zero(figure, across(0.0))
    return figure


def _ring(
    figure: go.Figure,
    chart: Chart,
    run_id: str,
    name: str,
    symbol: str,
    across: Callable[[float], float],
) -> None:
    for point in chart.points:
        if point.row.run_id == run_id:
            figure.add_trace(
                go.Scatter(
                    x=[across(point.x)],
                    y=[point.y],
                    mode="markers",
                    marker={
                        "symbol": symbol,
                        "size": 24,
                        "color": GREY,
                        "line": {"width": 2},
                    },
                    name=name,
                    hoverinfo="skip",
                )
            )


def _shade(figure: go.Figure, chart: Chart, limit: float, logarithmic: bool) -> None:
    """Shade what costs more than the limit, where anything does."""
    highest = max((point.x for point in chart.points), default=0.0) * AXES[chart.axis].factor
    if highest <= limit:
        return
    end = highest * 1.2
    figure.add_vrect(x0=limit, x1=end, fillcolor=GREY, opacity=0.14, line_width=0, layer="below")
    figure.add_annotation(
        x=math.log10(limit) if logarithmic else limit,
        y=1,
        xref="x",
        yref="paper",
        text=t("beyond the limit"),
        showarrow=False,
        xanchor="left",
        yanchor="top",
        font={"color": GREY},
    )


def under_the_chart(chart: Chart, show_dominated: bool, logarithmic: bool) -> list[str]:
    """A sentence for every row that the chart does not show as its values say."""
    sentences = [
        t("Not drawn: {name} – {reason}", name=name, reason=reason)
        for name, reason in chart.left_out
    ]
    if logarithmic and chart.free:
        sentences.append(
            t(
                "At the edge marked 0, as a logarithmic axis has no place for it: {names}.",
                names=", ".join(point.row.name for point in chart.free),
            )
        )
    hidden = [point.row.name for point in chart.points if not point.on_front]
    if hidden and not show_dominated:
        sentences.append(t("Hidden, as dominated: {names}.", names=", ".join(hidden)))
    return sentences


def _label_places(front: Sequence[Point], points: Sequence[Point]) -> dict[str, str]:
    """Where labels go: the front's above left from the best on, then in turn; also of each kind.

    The cheapest of the front stands at the left edge, so that its name goes to the right. Of a kind
    of which nothing is on the front, the best has its name too.
    """
    from_best = enumerate(reversed(front))
    places = {
        point.row.run_id: "bottom right" if index % 2 else "top left" for index, point in from_best
    }
    if len(front) > 1:
        places[front[0].row.run_id] = "top right"
    kinds = {chart_symbols.kind(point.row.spec.recommender) for point in front}
    most = max((point.x for point in points), default=0.0)
    for point in sorted(points, key=lambda point: -point.y):
        kind = chart_symbols.kind(point.row.spec.recommender)
        if kind not in kinds:
            kinds.add(kind)
            places[point.row.run_id] = "top left" if point.x * 30 > most else "top right"
    return places


def _shapes(figure: go.Figure, drawn: Sequence[Point], across: Callable[[float], float]) -> None:
    """What shapes stand for, where there are several: dots of one pixel under a mark of each."""
    for entry in chart_symbols.precisions(point.row.spec for point in drawn):
        point = drawn[entry.place]
        figure.add_trace(
            go.Scatter(
                x=[across(point.x)],
                y=[point.y],
                mode="markers",
                name=entry.name,
                marker={"symbol": entry.shape, "color": entry.colour, "size": 1},
                hoverinfo="skip",
            )
        )


def _marks(
    kind: str,
    points: Sequence[Point],
    chart: Chart,
    places: Mapping[str, str],
    across: Callable[[float], float],
) -> go.Scatter:
    """The points of a kind as one trace, which is its line in the legend too.

    A browser draws few traces much faster than many.
    """
    factor = AXES[chart.axis].factor
    # the legend shows the first mark
    points = sorted(points, key=lambda point: (point.assumed, not point.on_front))
    colour = chart_symbols.colour(points[0].row.spec.recommender)
    ids = [point.row.run_id for point in points]
    return go.Scatter(
        x=[across(point.x) for point in points],
        y=[point.y for point in points],
        mode="markers+text",
        text=[short(point.row.name, 34) if point.row.run_id in places else "" for point in points],
        textposition=[places.get(run_id, "top left") for run_id in ids],
        textfont={"size": 11},
        error_y=_ends([(point.y, point.y_low, point.y_high) for point in points], 1.0, colour),
        error_x=_ends(
            [
                (point.x, point.x_low, point.x_high)
                if point.row.predicted
                else (point.x, None, None)
                for point in points
            ],
            factor,
            colour,
        ),
        name=kind,
        customdata=ids,
        marker={
            "opacity": 1.0,  # plotly makes marks of several sizes pale by itself
            "symbol": [
                chart_symbols.shape(point.row.spec.precision) + ("-open" if point.assumed else "")
                for point in points
            ],
            "color": colour,
            "size": [14 if point.on_front else 9 for point in points],
            "line": {
                "width": [1.5 if point.assumed else 0.5 for point in points],
                "color": colour,
            },
        },
        hovertext=["<br>".join(_hover(point, chart)) for point in points],
        hovertemplate="%{hovertext}<extra></extra>",
        cliponaxis=False,
    )


def _hover(point: Point, chart: Chart) -> list[str]:
    """What a mark says, a line each, escaped."""
    row = point.row
    quality = t("{metric} {value:.3f}", metric=METRICS[chart.metric], value=point.y)
    if point.y_low is not None and point.y_high is not None:
        quality = t(
            "{quality} ({low:.3f} to {high:.3f})",
            quality=quality,
            low=point.y_low,
            high=point.y_high,
        )
    if point.n is not None:
        quality = t("{quality}, {n} users", quality=quality, n=point.n)
    lines = [
        quality,
        t("{title}: {cost}", title=t(AXES[chart.axis].title), cost=_cost_words(point, chart.axis)),
        t(
            "{size}, {precision}",
            size=chart_symbols.size_label(row.spec.recommender),
            precision=row.spec.precision,
        ),
        t("on the front: nothing measured is both cheaper and better")
        if point.on_front
        else t("something costs no more and ranks no worse"),
    ]
    if row.noisy:
        lines.append(t("timing was noisy"))
    return [f"<b>{number_format.escape(row.name)}</b>", *map(number_format.escape, lines)]


def _cost_words(point: Point, axis: str) -> str:
    cost = number_format.value_text(point.x, "", axis)
    if not point.assumed:
        return cost
    if not point.row.predicted:
        return t("{cost} (assumed)", cost=cost)
    if point.x_low is None or point.x_high is None:
        return t("{cost} (predicted)", cost=cost)
    low, high = (number_format.value_text(end, "", axis) for end in (point.x_low, point.x_high))
    return t("{cost} (predicted, 80 % interval {low} to {high})", cost=cost, low=low, high=high)


def _ends(
    values: Sequence[tuple[float, float | None, float | None]], factor: float, colour: str
) -> dict[str, object] | None:
    """Intervals as plotly draws them; `None` where no value has one.

    Args:
        values: each with the ends of its interval, `None` where it has none.
        factor: from the record's unit to that of the axis.
        colour: of the bars.
    """
    if all(low is None or high is None for _, low, high in values):
        return None
    return {
        "type": "data",
        "symmetric": False,
        "array": [None if high is None else (high - value) * factor for value, _, high in values],
        "arrayminus": [None if low is None else (value - low) * factor for value, low, _ in values],
        "color": colour,
        "thickness": 1,
        "width": 3,
    }
