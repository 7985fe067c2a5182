"""The chart of Start: how many of 100 people find their item, cheap row against language model.

Below the two bars stands what separates them: the paired difference with its interval, drawn from
the end of the cheap row's bar. An interval over the dotted line says "cannot be told apart".
"""

from __future__ import annotations

import plotly.graph_objects as go

from llmrec_core.language import t
from llmrec_core.reading import chart_symbols, number_format
from llmrec_core.reading.comparison import spread
from llmrec_core.reading.offers import hits_per_100
from llmrec_core.reading.pays import Pair
from llmrec_core.reading.pricing import usd_per_million
from llmrec_core.reading.row import Row
from llmrec_core.types import Measurement
from pages.shared.charts import GREY, shape, tick_label

HEIGHT = 240
PALE = 0.45
"""Opacity of the bars, so that the interval on them is seen in both schemes."""


def figure(pair: Pair, item: str) -> go.Figure | None:
    """Two bars and their difference; `None` where a row has no such figure.

    Args:
        pair: what is compared.
        item: what an item of the data set is called.
    """
    rows = (pair.classical, pair.language)
    found = [hits_per_100(row, pair.question.protocol) for row in rows]
    if any(hits.value is None for hits in found):
        return None
    chart = go.Figure()
    for place, (row, hits) in enumerate(zip(rows, found, strict=True)):
        chart.add_trace(_bar(place, row, hits))
    ticks = [_label(row, hits, pair) for row, hits in zip(rows, found, strict=True)]
    gap = pair.hits_gap
    if gap is not None:
        start = found[0].value or 0.0
        chart.add_vline(x=start, line={"color": GREY, "dash": "dot"})
        chart.add_trace(
            go.Scatter(
                x=[start + 100 * gap.mean],
                y=[len(rows)],
                mode="markers",
                marker={"size": 9, "color": GREY},
                error_x=_whiskers(100 * gap.mean, 100 * gap.low, 100 * gap.high, GREY),
                hovertemplate=f"{_difference(pair)}<extra></extra>",
            )
        )
        ticks.append(f"{t('Difference')}<br>{_difference(pair)}")
    k = pair.language.spec.protocol.k
    title = t("people of 100 who find their {item} in the top {k}", item=item, k=k)
    shape(chart, title, "", HEIGHT)
    chart.update_yaxes(
        tickvals=list(range(len(ticks))),
        ticktext=ticks,
        tickfont={"size": 11},
        autorange="reversed",
    )
    return chart.update_xaxes(rangemode="tozero").update_layout(showlegend=False, bargap=0.45)


def _bar(place: int, row: Row, hits: Measurement) -> go.Bar:
    value, colour = hits.value or 0.0, chart_symbols.colour(row.spec.recommender)
    low = value if hits.low is None else hits.low
    high = value if hits.high is None else hits.high
    return go.Bar(
        x=[value],
        y=[place],
        orientation="h",
        marker={"color": colour, "opacity": PALE},
        error_x=_whiskers(value, low, high, colour),
        customdata=[number_format.escape(row.name)],
        hovertemplate=f"%{{customdata}}<br>{_of_100(hits)}<extra></extra>",
    )


def _whiskers(mean: float, low: float, high: float, colour: str) -> dict[str, object]:
    return {
        "type": "data",
        "symmetric": False,
        "array": [high - mean],
        "arrayminus": [mean - low],
        "color": colour,
        "thickness": 2,
    }


def _of_100(hits: Measurement) -> str:
    return t("{value:.0f} of 100 people", value=hits.value or 0.0)


def _price(row: Row, pair: Pair) -> str:
    price = usd_per_million(row, pair.question.pricing)
    if price.value is None:
        return t("price not known")
    return t("{price} per million", price=number_format.small_dollars(price.value))


def _label(row: Row, hits: Measurement, pair: Pair) -> str:
    return "<br>".join([tick_label(row.name), _of_100(hits), _price(row, pair)])


def _difference(pair: Pair) -> str:
    """The difference in people of 100 with its interval; empty where none is known."""
    gap = pair.hits_gap
    if gap is None:
        return ""
    if not gap.differing:
        return spread(gap)
    mean = number_format.signed(100 * gap.mean, 1)
    return t("{mean} ({interval})", mean=mean, interval=spread(gap, 1, 100))


def caption(pair: Pair) -> str:
    """How the last line of the chart is read."""
    gap = pair.hits_gap
    if gap is None:
        return t("Too few people were asked by both, so no difference is drawn.")
    apart = (
        t("it does not cross the dotted line, so the two differ")
        if gap.distinguishable
        else t("it crosses the dotted line, so the two cannot be told apart")
    )
    return t(
        "Lines on the marks are 95 % intervals. That of the difference, of the same {n} people, "
        "starts from the bar without a language model: {apart}.",
        n=gap.n,
        apart=apart,
    )


def alt(pair: Pair) -> str:
    """The chart in words, for those who do not see it."""
    parts = [
        t("{name}: {hits}, {price}", name=row.name, hits=_of_100(hits), price=_price(row, pair))
        for row in (pair.classical, pair.language)
        for hits in (hits_per_100(row, pair.question.protocol),)
    ]
    if pair.hits_gap is not None:
        parts.append(t("difference {gap}", gap=_difference(pair)))
    return "; ".join(parts)
