"""Charts of one run or some: training curves, parts of a cost, many axes beside each other."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from llmrec_core.language import marked, t
from llmrec_core.reading import gate, number_format
from llmrec_core.reading.chart_symbols import SERIES
from llmrec_core.reading.pareto import EDGE
from llmrec_core.reading.several_runs import MOST, Axis
from pages.shared.charts import CONFIG, GREY, shape, short, tick_label

RUNS = SERIES[:MOST]
"""One colour a run; lines differ in dash too."""
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
CURVES = {
    "train_loss": marked("training loss (nats)"),
    "valid_ndcg@10": marked("validation NDCG@10"),
    "blend_valid_ndcg@10": marked("validation NDCG@10"),
}
BLEND = "blend_valid_ndcg@10"
"""The one curve that is not over training steps: a cascade's weight of its language model."""
PARTS = (GREY, *SERIES[:2])


def draw_curves(tables: Mapping[str, pd.DataFrame], key: str) -> None:
    """Draw the curves of some runs beside each other.

    Args:
        tables: as `curves`.
        key: what the keys of the charts begin with.
    """
    figures = curves(tables)
    for column, (name, figure) in zip(st.columns(len(figures)), figures.items(), strict=True):
        column.plotly_chart(
            figure,
            key=f"{key}_{name}",
            config=CONFIG,
            alt=t("{name} over training steps", name=name),
        )


def curves(tables: Mapping[str, pd.DataFrame], height: int = 300) -> dict[str, go.Figure]:
    """One figure per curve name (loss, validation quality) over steps, a line a run.

    Args:
        tables: name of a run → columns `name`, `step`, `value`.
        height: in pixels.
    """
    figures: dict[str, go.Figure] = {}
    for place, (run, table) in enumerate(tables.items()):
        for name, part in table.groupby("name", sort=False):
            title = CURVES.get(str(name))
            figure = figures.setdefault(
                str(name),
                shape(
                    go.Figure(),
                    t("weight of the language model, %") if name == BLEND else t("training step"),
                    t(title) if title else number_format.escape(name),
                    height,
                ),
            )
            figure.add_trace(
                go.Scatter(
                    x=part["step"],
                    y=part["value"],
                    name=short(run),
                    showlegend=len(tables) > 1,
                    mode="lines+markers" if len(part) < 40 else "lines",
                    line={
                        "color": RUNS[place % len(RUNS)],
                        "dash": DASHES[place % len(DASHES)],
                    },
                )
            )
    return figures


def gate_curve(body: Mapping[str, Any]) -> go.Figure:
    """Validation quality by the share of requests that a cascade's language model reads.

    Args:
        body: a run's document `gate`.
    """
    title = gate.metric(body)
    figure = shape(
        go.Figure(),
        t("requests that the language model reads, %"),
        t("validation {metric}", metric=title),
        300,
    )
    figure.add_trace(
        go.Scatter(
            x=[100 * point["share"] for point in body["curve"]],
            y=[point["ndcg"] for point in body["curve"]],
            name=t("those first who are expected to gain most"),
            mode="lines",
            line={"color": RUNS[0]},
        )
    )
    figure.add_trace(
        go.Scatter(
            x=[0, 100],
            y=[body["never"], body["always"]],
            name=t("whoever comes, by chance"),
            mode="lines",
            line={"color": GREY, "dash": "dot"},
        )
    )
    figure.add_trace(
        go.Scatter(
            x=[100 * body["share"]],
            y=[body["ndcg"]],
            name=t("chosen"),
            mode="markers",
            marker={"color": RUNS[1], "size": 12, "symbol": "diamond"},
        )
    )
    return figure


def gains(body: Mapping[str, Any]) -> go.Figure:
    """Gains that a gate expected of groups of people beside those that came about.

    Args:
        body: a run's document `gate`.
    """
    figure = shape(go.Figure(), t("expected gain"), t("gain that came about"), 300)
    expected = [group["expected"] for group in body["bins"]]
    figure.add_trace(
        go.Scatter(
            x=expected,
            y=[group["observed"] for group in body["bins"]],
            error_y={"array": [1.96 * group["standard_error"] for group in body["bins"]]},
            name=t("groups of validation people, 95 %"),
            mode="markers",
            marker={"color": RUNS[0]},
        )
    )
    ends = [min(expected), max(expected)]
    figure.add_trace(
        go.Scatter(
            x=ends,
            y=ends,
            name=t("as expected"),
            mode="lines",
            line={"color": GREY, "dash": "dot"},
        )
    )
    return figure


def stacked(
    names: Sequence[str], parts: Mapping[str, Sequence[float | None]], unit: str
) -> go.Figure:
    """One bar a run, made of parts; a part that was not measured is missing from its bar.

    Args:
        names: of the runs.
        parts: title → value of every run in the unit drawn.
        unit: as drawn.
    """
    figure = go.Figure()
    for place, (title, values) in enumerate(parts.items()):
        figure.add_trace(
            go.Bar(
                x=list(values),
                y=list(range(len(names))),
                orientation="h",
                name=title,
                marker={"color": PARTS[place % len(PARTS)]},
                customdata=[number_format.escape(name) for name in names],
                hovertemplate="%{customdata}<br>" + title + ": %{x:,.3~r} " + unit
                + "<extra></extra>",
            )
        )  # fmt: skip
    shape(figure, unit, "", 120 + 44 * len(names))
    figure.update_layout(barmode="stack", legend={"y": 1.0, "yanchor": "bottom"})
    figure.update_yaxes(
        tickvals=list(range(len(names))),
        ticktext=[tick_label(name) for name in names],
        autorange="reversed",
    )
    return figure


def parallel(names: Sequence[str], chosen: Sequence[int | None], axes: Sequence[Axis]) -> go.Figure:
    """A line a run across several axes; dragging along an axis keeps the runs of that range.

    Args:
        names: of the runs.
        chosen: place of each run among the chosen ones, which have a colour; `None` for others.
        axes: with a value of every run.
    """
    order = sorted(range(len(names)), key=lambda place: chosen[place] is not None)
    colours = [GREY, *RUNS]
    steps = [
        (edge / len(colours), colour)
        for place, colour in enumerate(colours)
        for edge in (place, place + 1)
    ]
    named = [place for place, run in enumerate(order) if chosen[run] is not None]
    dimensions = [
        {
            "label": "",
            "values": list(range(len(order))),
            "range": [-0.5, len(order) - 0.5],
            "tickvals": named,
            "ticktext": [short(names[order[place]], 24) for place in named],
        }
    ]
    figure = go.Figure(
        go.Parcoords(
            line={
                "color": [0 if chosen[run] is None else 1 + int(chosen[run] or 0) for run in order],
                "colorscale": steps,
                "cmin": -0.5,
                "cmax": len(colours) - 0.5,
            },
            dimensions=dimensions + [_dimension(axis, order) for axis in axes],
            unselected={"line": {"opacity": 0.1}},
        )
    )
    return figure.update_layout(height=420, margin={"l": 130, "r": 60, "t": 50, "b": 20})


def _dimension(axis: Axis, order: Sequence[int]) -> dict[str, object]:
    """An axis as plotly takes it: logarithms with ticks in the figure's own words."""
    values = [float(axis.values[run] or 0.0) for run in order]
    if not axis.logarithmic:
        ends = _ends(values)
        ticks = [ends[0] + (ends[1] - ends[0]) * part / 4 for part in range(5)]
        return {
            "label": axis.title,
            "values": values,
            "range": list(ends),
            "tickvals": ticks,
            "ticktext": [axis.show(tick) for tick in ticks],
        }
    positive = [value for value in values if value > 0]
    edge = min(positive, default=1.0) / EDGE
    placed = [math.log10(value if value > 0 else edge) for value in values]
    low, high = _ends(placed)
    ticks = [float(power) for power in range(math.ceil(low), math.floor(high) + 1)]
    if len(ticks) < 2:
        ticks = [low, high]
    zero = [] if len(positive) == len(values) else [math.log10(edge)]
    return {
        "label": axis.title,
        "values": placed,
        "range": [low, high],
        "tickvals": zero + ticks,
        "ticktext": ["0"] * len(zero) + [axis.show(10.0**tick) for tick in ticks],
    }


def _ends(values: Sequence[float]) -> tuple[float, float]:
    """Where an axis begins and ends: never one and the same place."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    room = (high - low) * 0.02 or abs(high) * 0.1 or 1.0
    return low - room, high + room
