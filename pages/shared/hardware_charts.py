"""Charts of predictions: measured filled, predicted open with its interval; and how far off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from llmrec_core.costmodel.calibrate.evidence import REGIMES, Residual
from llmrec_core.language import t
from llmrec_core.reading import number_format
from llmrec_core.reading.chart_symbols import SERIES
from pages.shared.charts import GREY, tick_label


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
        """Whether the figure is a prediction with an interval."""
        return self.low is not None and self.high is not None


def beside(marks: Sequence[Mark], title: str, unit: str, colour: str) -> go.Figure:
    """Figures by machine on one log axis: measured filled, predicted open with the 80 % interval.

    Args:
        marks: figures above 0, one line each, in this order from the top.
        title: what they are.
        unit: in which unit.
        colour: of every mark.
    """
    figure = go.Figure()
    for predicted in (False, True):
        drawn = [(place, mark) for place, mark in enumerate(marks) if mark.predicted is predicted]
        if drawn:
            figure.add_trace(_marks(drawn, predicted, unit, colour))
    figure.update_layout(
        height=120 + 30 * len(marks),
        margin={"l": 10, "r": 10, "t": 30, "b": 10},
        xaxis_title=f"{title}, {unit}",
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0, "title": None},
    )
    figure.update_xaxes(
        type="log",
        exponentformat="none" if unit.startswith("$") else "SI",
        minor={"ticks": "outside"},
    )
    figure.update_yaxes(
        tickvals=list(range(len(marks))),
        ticktext=[tick_label(mark.name) for mark in marks],
        autorange="reversed",
        showgrid=True,
    )
    return figure


def _marks(
    drawn: Sequence[tuple[int, Mark]], predicted: bool, unit: str, colour: str
) -> go.Scatter:
    """The measured or the predicted marks, each at its place."""
    error_x = {
        "type": "data",
        "symmetric": False,
        "array": [(mark.high or mark.value) - mark.value for _, mark in drawn],
        "arrayminus": [mark.value - (mark.low or mark.value) for _, mark in drawn],
        "color": colour,
        "thickness": 1,
        "width": 3,
    }
    return go.Scatter(
        x=[mark.value for _, mark in drawn],
        y=[place for place, _ in drawn],
        mode="markers",
        name=t("predicted, 80 % interval") if predicted else t("measured"),
        marker={
            "symbol": "circle-open" if predicted else "circle",
            "size": 10 if predicted else 13,
            "color": colour,
            "line": {"width": 1.5, "color": colour},
        },
        error_x=error_x if predicted else None,
        customdata=[
            f"{number_format.escape(mark.name)}<br>{number_format.escape(mark.note)}"
            for _, mark in drawn
        ],
        hovertemplate="%{customdata}<br>%{x:,.3~r} " + unit + "<extra></extra>",
    )


def calibration(lines: Mapping[str, Sequence[tuple[float, float]]]) -> go.Figure:
    """Share of measurements inside their interval by its nominal level; the diagonal is perfect.

    Args:
        lines: name → (nominal level, share inside); the first line is drawn thick.
    """
    figure = go.Figure(
        go.Scatter(
            x=[0, 100],
            y=[0, 100],
            mode="lines",
            line={"color": GREY, "dash": "dot"},
            name=t("perfect"),
        )
    )
    for place, (tone, (name, points)) in enumerate(zip(SERIES * 2, lines.items(), strict=False)):
        figure.add_trace(
            go.Scatter(
                x=[100 * level for level, _ in points],
                y=[100 * share for _, share in points],
                mode="lines+markers",
                name=number_format.escape(name),
                marker={"size": 5},
                line={"color": tone, "width": 1.5 if place else 3},
                hovertemplate="%{x:.0f} %: %{y:.0f} %<extra>"
                + number_format.escape(name)
                + "</extra>",
            )
        )
    figure.update_layout(
        height=460,
        margin={"l": 10, "r": 10, "t": 20, "b": 10},
        xaxis_title=t("nominal level of the interval, %"),
        yaxis_title=t("measurements inside, %"),
        legend={"orientation": "h", "y": -0.2, "yanchor": "top", "x": 0, "title": None},
    )
    return figure.update_xaxes(range=[0, 100]).update_yaxes(range=[0, 103])


def residuals(rows: Sequence[Residual]) -> go.Figure:
    """Predicted over measured of each row by GPU, one colour a regime; 1 is perfect."""
    figure = go.Figure()
    for tone, (regime, title) in zip(SERIES, REGIMES.items(), strict=False):
        drawn = [row for row in rows if row.regime == regime]
        if drawn:
            figure.add_trace(
                go.Box(
                    x=[row.gpu for row in drawn],
                    y=[row.ratio for row in drawn],
                    name=t(title),
                    marker={"color": tone, "size": 3, "opacity": 0.6},
                    line={"width": 1},
                    boxpoints="outliers",
                    customdata=[_in_words(row) for row in drawn],
                    hovertemplate="%{customdata}<extra></extra>",
                )
            )
    figure.add_hline(y=1, line={"color": GREY, "dash": "dot"})
    figure.update_layout(
        height=460,
        boxmode="group",
        margin={"l": 10, "r": 10, "t": 20, "b": 10},
        yaxis_title=t("predicted ÷ measured"),
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "title": None},
    )
    figure.update_yaxes(type="log", tickvals=[0.25, 0.5, 0.8, 1, 1.25, 2, 4])
    return figure.update_xaxes(
        categoryorder="array", categoryarray=sorted({row.gpu for row in rows})
    )


def _in_words(row: Residual) -> str:
    return t(
        "{model}, {framework}<br>predicted {ratio:.2f} × the measured",
        model=number_format.escape(row.model),
        framework=number_format.escape(row.framework),
        ratio=row.ratio,
    )


@dataclass(frozen=True)
class Line:
    """Dollars a month of one subject against users."""

    name: str
    users: Sequence[float]
    marks: Sequence[Mark]


def curve(lines: Sequence[Line]) -> go.Figure:
    """Dollars a month of the cheapest plan against users, each line with its 80 % band."""
    figure = go.Figure()
    for tone, line in zip(SERIES, lines, strict=False):
        figure.add_trace(_band(line, tone))
        figure.add_trace(_line(line, tone))
    figure.update_layout(
        height=420,
        margin={"l": 10, "r": 30, "t": 40, "b": 10},
        xaxis_title=t("users"),
        yaxis_title=t("$ per month"),
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "title": None},
    )
    figure.update_xaxes(type="log", exponentformat="power", dtick=1)
    return figure.update_yaxes(
        type="log", exponentformat="none", dtick="D2", minor={"showgrid": False}
    )


def _band(line: Line, tone: str) -> go.Scatter:
    """The 80 % intervals of a line as one area."""
    ends = [
        (users, mark) for users, mark in zip(line.users, line.marks, strict=True) if mark.predicted
    ]
    red, green, blue = (int(tone[place : place + 2], 16) for place in (1, 3, 5))
    return go.Scatter(
        x=[users for users, _ in ends] + [users for users, _ in reversed(ends)],
        y=[mark.high for _, mark in ends] + [mark.low for _, mark in reversed(ends)],
        fill="toself",
        mode="lines",
        fillcolor=f"rgba({red}, {green}, {blue}, 0.18)",
        line={"width": 0},
        name=t("80 % interval"),
        showlegend=False,
        hoverinfo="skip",
    )


def _line(line: Line, tone: str) -> go.Scatter:
    """The cheapest plans of a line, named where the plan changes."""
    names = [mark.name for mark in line.marks]
    return go.Scatter(
        x=list(line.users),
        y=[mark.value for mark in line.marks],
        mode="lines+markers+text",
        text=[
            number_format.escape(name) if place == 0 or name != names[place - 1] else ""
            for place, name in enumerate(names)
        ],
        textposition="top left",
        textfont={"size": 11},
        marker={"symbol": "circle-open", "size": 9, "color": tone},
        line={"color": tone, "dash": "dot"},
        name=number_format.escape(line.name),
        customdata=[number_format.escape(mark.note) for mark in line.marks],
        hovertemplate="%{customdata}<extra></extra>",
        cliponaxis=False,
    )
