"""Decide's last question: why is one run dearer than another?"""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from llmrec_core.errors import UnsupportedError
from llmrec_core.experiments import formats, views
from llmrec_core.explain import cost
from pages.shared import charts, reasons, widgets


def section(rows: Sequence[views.Row], pricing: views.Pricing) -> None:
    """Two runs with a language model, and the factors between their prices."""
    costs = {row.run_id: views.usd_per_million(row, pricing).value for row in rows}
    known = {}
    for row in rows:
        try:
            known[row.run_id] = cost.run_cost(row, costs[row.run_id])
        except UnsupportedError:
            continue  # popularity and its like have no prompt to count
    if len(known) < 2:
        return
    st.subheader("Why is one dearer than the other?")
    by_price = sorted(known, key=lambda run_id: known[run_id].cost)
    names = widgets.run_names(rows)
    first_column, second_column = st.columns(2)
    first = first_column.selectbox(
        "From", by_price, format_func=names, key="decide_cheap", bind="query-params", help="Runs with a language model."
    )
    second = second_column.selectbox(
        "To", by_price, index=len(by_price) - 1, format_func=names, key="decide_dear", bind="query-params"
    )
    if first == second:
        st.caption("Choose two different runs.")
        return
    found = cost.why_dearer(known[first], known[second], cost.precision_factors(rows, costs))
    widgets.say(found.text)
    st.plotly_chart(
        reasons.cost_bars(found.factors),
        key="decide_dearer",
        config=charts.CONFIG,
        alt="Factors by which the second run costs more than the first",
    )
    widgets.caption(
        f"Price of a million requests: {formats.dollars(known[first].cost)} and {formats.dollars(known[second].cost)}. The "
        "factors are exact Shapley values on the logarithm of the cost and multiply to the ratio of the two; mixtures of "
        "the two runs cost what the FLOP formula says, precision what this study measured, and the rest is its own factor."
    )
