"""Charts of predictions: measured filled, predicted open with its interval; how far predictions were off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from llmrec_core.costmodel.evidence import REGIMES, Residual
from llmrec_core.experiments import formats
from pages.shared.charts import GREY

TONES = ("#4a80ea", "#d9702b", "#2e9d62", "#8d5bc7", "#c2405b", "#1796a8", "#8a9a1e")


@dataclass(frozen=True)
class Mark:
    """One figure on one machine; without an interval it was measured."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    note: str = ""

    @property
    def predicted(self) -> bool:
        return self.low is not None and self.high is not None


def beside(marks: Sequence[Mark], title: str, unit: str, colour: str, limit: float | None = None) -> go.Figure:
    """Figures by machine on one log axis: measured filled, predicted open with the 80 % interval."""
    figure = go.Figure()
    for predicted in (False, True):
        kept = [(place, one) for place, one in enumerate(marks) if one.predicted is predicted]
        if not kept:
            continue
        figure.add_trace(
            go.Scatter(
                x=[one.value for _, one in kept],
                y=[place for place, _ in kept],
                mode="markers",
                name="predicted, 80 % interval" if predicted else "measured",
                marker={
                    "symbol": "circle-open" if predicted else "circle",
                    "size": 10 if predicted else 13,
                    "color": colour,
                    "line": {"width": 1.5, "color": colour},
                },
                error_x={
                    "type": "data",
                    "symmetric": False,
                    "array": [(one.high or one.value) - one.value for _, one in kept],
                    "arrayminus": [one.value - (one.low or one.value) for _, one in kept],
                    "color": colour,
                    "thickness": 1,
                    "width": 3,
                }
                if predicted
                else None,
                customdata=[f"{formats.escape(one.name)}<br>{formats.escape(one.note)}" for _, one in kept],
                hovertemplate="%{customdata}<br>%{x:.4g} " + unit + "<extra></extra>",
            )
        )
    if limit:
        figure.add_vline(
            x=limit, line={"color": GREY, "dash": "dot"}, annotation_text="limit", annotation_position="top"
        )
    figure.update_layout(
        height=120 + 24 * len(marks),
        margin={"l": 10, "r": 10, "t": 30, "b": 10},
        xaxis_title=f"{title}, {unit}",
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0, "title": None},
    )
    figure.update_xaxes(type="log", exponentformat="none" if unit.startswith("$") else "SI", minor={"ticks": "outside"})
    figure.update_yaxes(
        tickvals=list(range(len(marks))),
        ticktext=[formats.escape(one.name) for one in marks],
        autorange="reversed",
        showgrid=True,
    )
    return figure


def calibration(lines: Mapping[str, Sequence[tuple[float, float]]]) -> go.Figure:
    """Share of measurements inside their interval against the interval's nominal level; the diagonal is perfect."""
    figure = go.Figure(
        go.Scatter(x=[0, 100], y=[0, 100], mode="lines", line={"color": GREY, "dash": "dot"}, name="perfect")
    )
    for tone, (name, points) in zip(TONES * 2, lines.items(), strict=False):
        figure.add_trace(
            go.Scatter(
                x=[100 * level for level, _ in points],
                y=[100 * share for _, share in points],
                mode="lines+markers",
                name=name,
                marker={"size": 5},
                line={"color": tone, "width": 3 if name == "all" else 1.5},
                hovertemplate="%{x:.0f} % interval holds %{y:.0f} %<extra>" + formats.escape(name) + "</extra>",
            )
        )
    figure.update_layout(
        height=460,
        margin={"l": 10, "r": 10, "t": 20, "b": 10},
        xaxis_title="nominal level of the interval, %",
        yaxis_title="measurements inside, %",
        legend={"orientation": "h", "y": -0.2, "yanchor": "top", "x": 0, "title": None},
    )
    return figure.update_xaxes(range=[0, 100]).update_yaxes(range=[0, 103])


def residuals(found: Sequence[Residual]) -> go.Figure:
    """Predicted over measured of each row by GPU, one colour a regime; 1 is perfect."""
    gpus = sorted({one.gpu for one in found})
    figure = go.Figure()
    for tone, (regime, title) in zip(TONES, REGIMES.items(), strict=False):
        kept = [one for one in found if one.regime == regime]
        if kept:
            figure.add_trace(
                go.Box(
                    x=[one.gpu for one in kept],
                    y=[one.ratio for one in kept],
                    name=title,
                    marker={"color": tone, "size": 3, "opacity": 0.6},
                    line={"width": 1},
                    boxpoints="outliers",
                    customdata=[
                        f"{formats.escape(one.model)}, {formats.escape(one.framework)}<br>predicted {one.ratio:.2f} × the measured"
                        for one in kept
                    ],
                    hovertemplate="%{customdata}<extra></extra>",
                )
            )
    figure.add_hline(y=1, line={"color": GREY, "dash": "dot"})
    figure.update_layout(
        height=460,
        boxmode="group",
        margin={"l": 10, "r": 10, "t": 20, "b": 10},
        yaxis_title="predicted ÷ measured",
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "title": None},
    )
    figure.update_yaxes(type="log", tickvals=[0.25, 0.5, 0.8, 1, 1.25, 2, 4])
    return figure.update_xaxes(categoryorder="array", categoryarray=gpus)


def curve(users: Sequence[float], dollars: Sequence[Mark]) -> go.Figure:
    """Dollars a month of the cheapest plan against users, with the 80 % band."""
    tone = TONES[0]
    figure = go.Figure()
    bands = [(count, one) for count, one in zip(users, dollars, strict=True) if one.predicted]
    figure.add_trace(
        go.Scatter(
            x=[count for count, _ in bands] + [count for count, _ in reversed(bands)],
            y=[one.high for _, one in bands] + [one.low for _, one in reversed(bands)],
            fill="toself",
            mode="lines",
            fillcolor="rgba(74, 128, 234, 0.18)",
            line={"width": 0},
            name="80 % interval",
            hoverinfo="skip",
        )
    )
    figure.add_trace(
        go.Scatter(
            x=list(users),
            y=[one.value for one in dollars],
            mode="lines+markers+text",
            text=[
                formats.escape(one.name) if place == 0 or one.name != dollars[place - 1].name else ""
                for place, one in enumerate(dollars)
            ],
            textposition="top left",
            textfont={"size": 11},
            marker={"symbol": "circle-open", "size": 9, "color": tone},
            line={"color": tone, "dash": "dot"},
            name="cheapest plan, predicted",
            customdata=[formats.escape(one.note) for one in dollars],
            hovertemplate="%{customdata}<extra></extra>",
            cliponaxis=False,
        )
    )
    figure.update_layout(
        height=420,
        margin={"l": 10, "r": 30, "t": 40, "b": 10},
        xaxis_title="users",
        yaxis_title="$ per month",
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "title": None},
    )
    figure.update_xaxes(type="log", exponentformat="power", dtick=1)
    return figure.update_yaxes(type="log", exponentformat="none", dtick="D2", minor={"showgrid": False})
