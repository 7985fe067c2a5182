"""Drawing of explanations: records in; plotly figures, tables and short texts out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from llmrec_core.explain.cost_difference import Factor
from llmrec_core.explain.explanation import Explanation
from llmrec_core.language import t, tn
from llmrec_core.reading import number_format
from llmrec_core.reading.chart_symbols import AGAINST, FOR, SERIES
from llmrec_core.retelling import retold
from pages.shared.charts import GREY, tick_label


def strongest_first(explanation: Explanation) -> list[int]:
    """Numbers of the players, what speaks most for the item first."""
    return [int(number) for number in np.argsort(-explanation.values, kind="stable")]


def steps(explanation: Explanation) -> tuple[list[str], list[float], float, float]:
    """What a waterfall draws: labels and values of the reasons, the base and the score."""
    order = strongest_first(explanation)
    return (
        [explanation.players[number].label for number in order],
        [float(explanation.values[number]) for number in order],
        explanation.base,
        explanation.prediction,
    )


def value_table(explanation: Explanation) -> pd.DataFrame:
    """Reason, value and, where it was estimated, the half-width of its 95 % interval."""
    order = strongest_first(explanation)
    columns: dict[str, list[Any]] = {
        t("Reason"): [explanation.players[number].label for number in order],
        t("Shapley value"): [float(explanation.values[number]) for number in order],
    }
    if explanation.errors.any():
        columns["± 95 %"] = [float(explanation.errors[number]) for number in order]
    return pd.DataFrame(columns)


def effort(explanation: Explanation) -> str:
    """How exact it is and what it took, in one line."""
    parts = [
        t(
            "base + values - score = {gap}",
            gap=number_format.significant(explanation.additivity_gap, 2),
        )
    ]
    if explanation.relative_error:
        parts.append(
            t("estimated error {error}", error=number_format.share(explanation.relative_error))
        )
    if explanation.seconds:
        scored = explanation.forwards
        parts.append(tn("{count:,} new scoring", "{count:,} new scorings", scored))
        parts.append(number_format.duration(explanation.seconds))
    return " · ".join(parts)


def group_bars(groups: Sequence[Mapping[str, Any]], unit: str) -> go.Figure:
    """Mean |value| by group with 95 % intervals over users, in the order of the groups."""
    names = [retold(str(row["group"])) for row in groups]
    figure = go.Figure(
        go.Bar(
            x=[row["mean_abs"] for row in groups],
            y=list(range(len(names))),
            orientation="h",
            marker={"color": SERIES[0]},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [_reach(row, "high") for row in groups],
                "arrayminus": [_reach(row, "low") for row in groups],
                "color": GREY,
            },
            customdata=[
                t(
                    "{name}: {players} values of {users} users",
                    name=number_format.escape(name),
                    players=row["players"],
                    users=row["users"],
                )
                for name, row in zip(names, groups, strict=True)
            ],
            hovertemplate="%{customdata}<br>%{x:.3f}<extra></extra>",
        )
    )
    return _as_rows(figure, names, 32, t("mean |value|, {unit}", unit=unit))


def _reach(row: Mapping[str, Any], end: str) -> float:
    """How far the interval reaches from the mean; 0 where there is none."""
    return 0.0 if row[end] is None else abs(row[end] - row["mean_abs"])


def value_bars(explanation: Explanation, unit: str = "") -> go.Figure:
    """Values with their error bars, strongest for the item on top."""
    order = strongest_first(explanation)
    labels = [explanation.players[number].label for number in order]
    values = [float(explanation.values[number]) for number in order]
    figure = go.Figure(
        go.Bar(
            x=values,
            y=list(range(len(order))),
            orientation="h",
            marker={"color": [FOR if value >= 0 else AGAINST for value in values]},
            error_x={
                "type": "data",
                "array": [float(explanation.errors[number]) for number in order],
                "color": GREY,
            },
            customdata=[number_format.escape(label) for label in labels],
            hovertemplate="%{customdata}<br>%{x:+.3f}<extra></extra>",
        )
    )
    return _as_rows(figure, labels, 34, unit or t("score of the list"))


def curve_lines(curves: Mapping[str, Any]) -> go.Figure:
    """The score as the strongest reasons come in one by one, and as they leave."""
    figure = go.Figure()
    counts = list(range(len(curves["insertion"])))
    for key, name, colour in (
        ("insertion", t("added"), FOR),
        ("deletion", t("taken away"), AGAINST),
    ):
        figure.add_trace(
            go.Scatter(
                x=counts, y=curves[key], mode="lines+markers", name=name, line={"color": colour}
            )
        )
    return figure.update_layout(
        height=260,
        margin={"l": 10, "r": 10, "t": 10, "b": 10},
        xaxis_title=t("strongest reasons added, or taken away"),
        yaxis_title=t("score of the list"),
    )


def cost_bars(factors: Sequence[Factor]) -> go.Figure:
    """Factors of a cost ratio on a log axis around 1."""
    names = [
        t(
            "{title}: {first} → {second}",
            title=t(factor.title),
            first=factor.first,
            second=factor.second,
        )
        if factor.first
        else t(factor.title)
        for factor in factors
    ]
    figure = go.Figure(
        go.Bar(
            x=[factor.times - 1 for factor in factors],
            base=1,
            y=list(range(len(factors))),
            orientation="h",
            marker={"color": [AGAINST if factor.times > 1 else FOR for factor in factors]},
            text=[
                t("× {times}", times=number_format.significant(factor.times, 2))
                for factor in factors
            ],
            hovertemplate="%{customdata}: %{text}<extra></extra>",
            customdata=[number_format.escape(name) for name in names],
        )
    )
    figure.update_xaxes(type="log")
    return _as_rows(figure, names, 48, t("times the cost"))


def _as_rows(figure: go.Figure, names: Sequence[str], row_px: int, axis: str) -> go.Figure:
    """The figure with one named row a bar, the first on top.

    Args:
        figure: horizontal bars at 0, 1, 2 …
        names: of the bars, as they stand in the data.
        row_px: height of a row; 16 pixels are one line of its name.
        axis: title of the value axis.
    """
    figure.update_layout(
        height=95 + row_px * len(names),
        margin={"l": 10, "r": 10, "t": 10, "b": 10},
        xaxis_title=axis,
    )
    figure.update_yaxes(
        tickvals=list(range(len(names))),
        ticktext=[tick_label(name, row_px // 16) for name in names],
        autorange="reversed",
    )
    return figure


def as_json(body: Mapping[str, Any]) -> str:
    """The whole answer, for programs."""
    return json.dumps(body, ensure_ascii=False, indent=1)
