"""Decide's last question: why does one run cost more than another?"""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from llmrec_core.errors import UnsupportedError
from llmrec_core.explain import cost_difference
from llmrec_core.language import t
from llmrec_core.reading import number_format
from llmrec_core.reading.comparison import why_not_paired
from llmrec_core.reading.pricing import Pricing, usd_per_million
from llmrec_core.reading.row import Row
from pages.shared import charts, reasons, widgets
from pages.shared.address import choose


def section(rows: Sequence[Row], pricing: Pricing) -> None:
    """Two runs with a language model, and the factors between their prices."""
    costs = {row.run_id: usd_per_million(row, pricing).value for row in rows}
    run_costs = {}
    for row in rows:
        try:
            run_costs[row.run_id] = cost_difference.run_cost(row, costs[row.run_id])
        except UnsupportedError:
            continue  # popularity and its like have no prompt to count
    if len(run_costs) < 2:
        return
    st.header(t("Why is one more expensive than the other?"))
    by_price = sorted(run_costs, key=lambda run_id: run_costs[run_id].cost)
    name_of = widgets.run_names(rows)
    names = {run_id: name_of(run_id) for run_id in by_price}
    first_column, second_column = st.columns(2)
    first = choose(
        first_column.selectbox,
        t("From"),
        names,
        "decide_from",
        default=by_price[0],
        moving=True,
        help=t("Runs with a language model."),
    )
    second = choose(
        second_column.selectbox, t("To"), names, "decide_to", default=by_price[-1], moving=True
    )
    if first == second:
        st.caption(t("Choose two different runs."))
        return
    by_id = {row.run_id: row for row in rows}
    refusal = why_not_paired(by_id[first], by_id[second], same_people=False)
    if refusal:
        widgets.caption(refusal)
        return
    alike = [row for row in rows if not why_not_paired(row, by_id[first], same_people=False)]
    difference = cost_difference.why_more_expensive(
        run_costs[first], run_costs[second], cost_difference.precision_factors(alike, costs)
    )
    widgets.say(difference.text)
    st.plotly_chart(
        reasons.cost_bars(difference.factors),
        key="decide_price_factors",
        config=charts.CONFIG,
        alt=t("Factors by which the second run costs more than the first"),
    )
    widgets.caption(
        t(
            "Price of a million requests: {cost} and {cost_2}. The factors are exact "
            "Shapley values on the logarithm of the cost and multiply to the ratio of the "
            "two; mixtures of the two runs cost what the FLOP formula says, precision what "
            "this study measured, and the rest is its own factor.",
            cost=number_format.dollars(run_costs[first].cost),
            cost_2=number_format.dollars(run_costs[second].cost),
        )
    )
