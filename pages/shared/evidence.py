"""How good the predictions are: errors on what was left out, coverage of the intervals, residuals, sources."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from llmrec_core.costmodel import evidence
from pages.shared import hardware_charts, widgets
from pages.shared.charts import CONFIG

WORDS = {
    "gpu": "a GPU (as named in the source)",
    "chip": "a chip with all its variants",
    "model": "a model",
    "framework": "a framework",
}


def section() -> None:
    """The recorded validation, read from assets/costmodel."""
    errors, found = evidence.errors(), evidence.residuals()
    widgets.say(sentence(errors, found))
    kind = st.segmented_control(
        "Left out as a whole",
        list(WORDS),
        default="gpu",
        required=True,
        format_func=lambda name: WORDS[name],
        key="other_left_out",
        bind="query-params",
        help="Every measurement is predicted by coefficients that saw nothing of its group.",
    )
    widgets.table(table(errors, kind), "other_errors", "prediction_errors.csv")
    st.caption(
        "Median absolute error over measurements by others that state all their conditions. Naive: FLOPs over peak or bytes "
        "over bandwidth at one fitted efficiency. Inside: share of measurements in their 80 % interval, whose width was "
        "set by the other groups."
    )
    st.subheader("Do the intervals hold?")
    judged = [one for one in found if one.ok]
    lines = {"all": evidence.calibration(judged)}
    for regime, title in evidence.REGIMES.items():
        own = [one for one in judged if one.regime == regime]
        if len(own) >= evidence.ENOUGH:
            lines[title] = evidence.calibration(own)
    st.plotly_chart(
        hardware_charts.calibration(lines),
        key="other_calibration",
        config=CONFIG,
        alt="Share of measurements inside their interval against its nominal level",
    )
    st.caption("GPU left out. Below the diagonal: intervals too narrow; above: wider than they need be.")
    st.subheader("Where they are off")
    st.plotly_chart(
        hardware_charts.residuals(judged),
        key="other_residuals",
        config=CONFIG,
        alt="Predicted over measured by GPU and regime",
    )
    st.caption(
        "Box: middle half of the rows of a GPU that the prediction had not seen. 1: as measured; 2: twice too much."
    )
    with st.expander("Sources of the measurements", icon=":material/menu_book:"):
        counts = evidence.sources(found)
        widgets.table(
            pd.DataFrame({"Source": list(counts), "Measurements": list(counts.values())}),
            "other_sources",
            "sources.csv",
        )
        st.caption(
            "Published by others; none was measured by this project. Coefficients: assets/costmodel/effects.csv."
        )


def sentence(errors: list[evidence.Error], found: list[evidence.Residual]) -> str:
    """The headline: how far off on a GPU never seen, and whether the intervals hold."""
    unseen = {one.regime: one.error_percent for one in errors if one.left_out == "gpu"}
    parts = [
        f"{unseen[regime]:.0f} % for {title[:1].lower()}{title[1:]}"
        for regime, title in evidence.REGIMES.items()
        if regime in unseen and regime in evidence.TARGETS
    ]
    judged = [one for one in found if one.ok]
    inside = dict(evidence.calibration(judged)).get(0.8, 0.0)
    return (
        f"On GPUs it had never seen, the median prediction was off by {', '.join(parts)}. "
        f"{100 * inside:.0f} % of {len(judged):,} measurements were inside their 80 % interval."
    )


def table(errors: list[evidence.Error], kind: str) -> pd.DataFrame:
    """One line a regime for what was left out, with the target where there was one."""
    lines = []
    order = list(evidence.REGIMES)
    for one in sorted((one for one in errors if one.left_out == kind), key=lambda one: order.index(one.regime)):
        target = evidence.TARGETS.get(one.regime) if kind == "gpu" else None
        met = "" if target is None else "met" if one.error_percent <= target else "missed"
        line = {
            "Regime": evidence.REGIMES.get(one.regime, one.regime),
            "Measurements": one.rows,
            "Median error": f"{one.error_percent:.1f} %",
            "Naive": "" if one.naive_percent is None else f"{one.naive_percent:.1f} %",
            "Inside the 80 % interval": "" if one.coverage80 is None else f"{100 * one.coverage80:.0f} %",
        }
        if kind == "gpu":
            line["Aimed at"] = "" if target is None else f"{target:g} %: {met}"
        lines.append(line)
    return pd.DataFrame(lines)
