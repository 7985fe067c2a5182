"""Drawing of explanations: records of `llmrec_core.explain` in, plotly figures and short texts out."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from llmrec_core.experiments import formats

FOR, AGAINST, GREY = "#2e9d62", "#c2405b", "#8a93a6"


def group_bars(groups: Sequence[Mapping[str, Any]], unit: str) -> go.Figure:
    """Mean |value| by group with 95 % intervals over users, largest first unless the groups have an order."""
    names = [formats.escape(str(row["group"])) for row in groups]
    means = [row["mean_abs"] for row in groups]
    figure = go.Figure(
        go.Bar(
            x=means,
            y=list(range(len(names))),
            orientation="h",
            marker={"color": "#3b6fd4"},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [row["high"] - row["mean_abs"] for row in groups],
                "arrayminus": [row["mean_abs"] - row["low"] for row in groups],
                "color": GREY,
            },
            customdata=[
                f"{name}: {row['players']} values of {row['users']} users"
                for name, row in zip(names, groups, strict=True)
            ],
            hovertemplate="%{customdata}<br>mean |value| %{x:.3f}<extra></extra>",
        )
    )
    figure.update_layout(
        height=90 + 28 * len(names), margin={"l": 10, "r": 10, "t": 10, "b": 10}, xaxis_title=f"mean |value|, {unit}"
    )
    figure.update_yaxes(tickvals=list(range(len(names))), ticktext=names, autorange="reversed")
    return figure


def value_bars(players: Sequence[Mapping[str, Any]], unit: str = "score of the model (no unit)") -> go.Figure:
    """Values with their error bars, strongest for the item on top."""
    rows = sorted(players, key=lambda player: -player["value"])
    names = [formats.escape(_short(str(row["title"]))) for row in rows]
    figure = go.Figure(
        go.Bar(
            x=[row["value"] for row in rows],
            y=list(range(len(rows))),
            orientation="h",
            marker={"color": [FOR if row["value"] >= 0 else AGAINST for row in rows]},
            error_x={"type": "data", "array": [row.get("error") or 0.0 for row in rows], "color": GREY},
            customdata=[formats.escape(str(row["title"])) for row in rows],
            hovertemplate="%{customdata}<br>%{x:+.3f}<extra></extra>",
        )
    )
    figure.update_layout(height=90 + 30 * len(rows), margin={"l": 10, "r": 10, "t": 10, "b": 10}, xaxis_title=unit)
    figure.update_yaxes(tickvals=list(range(len(rows))), ticktext=names, autorange="reversed")
    return figure


def curve_lines(curves: Mapping[str, Any]) -> go.Figure:
    """The score as the strongest reasons come in one by one, and as they leave."""
    figure = go.Figure()
    steps = list(range(len(curves["insertion"])))
    for name, colour in (("insertion", FOR), ("deletion", AGAINST)):
        figure.add_trace(go.Scatter(x=steps, y=curves[name], mode="lines+markers", name=name, line={"color": colour}))
    return figure.update_layout(
        height=260, margin={"l": 10, "r": 10, "t": 10, "b": 10},
        xaxis_title="strongest reasons added, or taken away", yaxis_title="score of the model (no unit)",
    )  # fmt: skip


def cost_bars(factors: Sequence[Any]) -> go.Figure:
    """Factors of a cost ratio on a log axis around 1."""
    names = [
        formats.escape(f"{factor.title}" + (f": {factor.first} → {factor.second}" if factor.first else ""))
        for factor in factors
    ]
    figure = go.Figure(
        go.Bar(
            x=[factor.times - 1 for factor in factors],
            base=1,
            y=list(range(len(factors))),
            orientation="h",
            marker={"color": [AGAINST if factor.times > 1 else FOR for factor in factors]},
            text=[f"× {factor.times:.2g}" for factor in factors],
            hovertemplate="%{customdata}: %{text}<extra></extra>",
            customdata=names,
        )
    )
    figure.update_layout(
        height=100 + 34 * len(factors), margin={"l": 10, "r": 10, "t": 10, "b": 10}, xaxis_title="times the cost"
    )
    figure.update_xaxes(type="log")
    figure.update_yaxes(tickvals=list(range(len(factors))), ticktext=names, autorange="reversed")
    return figure


def _short(title: str, limit: int = 42) -> str:
    return title if len(title) <= limit else title[: limit - 1] + "…"


# ── exports ──────────────────────────────────────────────────────────────────────────────────────


def as_json(body: Mapping[str, Any]) -> str:
    """The whole answer, for programs."""
    return json.dumps(body, ensure_ascii=False, indent=1)


def as_html(body: Mapping[str, Any], heading: str) -> str:
    """One explanation as a page of its own that opens without a network; titles are escaped."""
    largest = max((abs(player["value"]) for player in body["players"]), default=0.0) or 1.0
    lines = []
    for player in sorted(body["players"], key=lambda player: -player["value"]):
        width = 100 * abs(player["value"]) / largest
        colour = FOR if player["value"] >= 0 else AGAINST
        error = f" ± {player['error']:.3f}" if player.get("error") else ""
        lines.append(
            f"<tr><td>{html.escape(str(player['title']))}</td><td class=n>{player['value']:+.3f}{error}</td>"
            f'<td><div style="width:{width:.1f}%;background:{colour}"></div></td></tr>'
        )
    notes = [*body.get("notes", []), *(body.get("honesty") or {}).get("warnings", [])]
    for part in ("contrast", "smallest_set"):
        if (body.get(part) or {}).get("text"):
            notes.append(body[part]["text"])
    return (
        "<!doctype html><meta charset=utf-8><title>Why this item</title><style>body{font:16px sans-serif;max-width:50em;"
        "margin:2em auto}td{padding:.2em .6em}.n{text-align:right;white-space:nowrap}td div{height:1em}"
        "td:last-child{width:50%}</style>"
        f"<h1>{html.escape(str(body['title']))}</h1><p>{html.escape(heading)}</p><p>{html.escape(str(body.get('text', '')))}</p>"
        f"<table><tr><td>without any of them</td><td class=n>{body['base']:+.3f}</td><td></td></tr>{''.join(lines)}"
        f"<tr><td><b>score</b></td><td class=n><b>{body['prediction']:+.3f}</b></td><td></td></tr></table>"
        + "".join(f"<p>{html.escape(str(note))}</p>" for note in notes)
    )
