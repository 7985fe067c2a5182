"""How good the predictions are: errors on what was left out, coverage of the intervals, sources."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from llmrec_core.costmodel.calibrate import evidence
from llmrec_core.costmodel.calibrate.evidence import Error, Residual
from llmrec_core.language import marked, t
from llmrec_core.reading import number_format
from llmrec_core.reading.table import Cell, Column, Table, make
from llmrec_core.types import Measurement
from pages.shared import hardware_charts, tables, widgets
from pages.shared.address import choose
from pages.shared.charts import CONFIG

WORDS = {
    "gpu": marked("a GPU (as named in the source)"),
    "chip": marked("a chip with all its variants"),
    "model": marked("a model"),
    "framework": marked("a framework"),
}
ERRORS = (
    Column(marked("Regime"), "regime"),
    Column(marked("Measurements"), "rows", number_format.whole),
    Column(marked("Median error"), "error", number_format.share),
    Column(marked("Naive"), "naive_error", number_format.share),
    Column(marked("Inside the 80 % interval"), "coverage80", number_format.share),
    Column(marked("Aimed at"), "target", number_format.share),
    Column(marked("Met"), "met"),
)


def section() -> None:
    """The recorded validation, read from assets/costmodel."""
    errors, residuals = evidence.errors(), evidence.residuals()
    judged = [row for row in residuals if row.ok]
    widgets.say(sentence(errors, judged))
    kind = choose(
        st.segmented_control,
        t("Left out as a whole"),
        {name: t(words) for name, words in WORDS.items()},
        "other_left_out",
        default="gpu",
        required=True,
        help=t("Every measurement is predicted by coefficients that saw nothing of its group."),
    )
    tables.table(table(errors, kind), "other_errors", "prediction_errors.csv")
    st.caption(
        t(
            "Median absolute error over measurements by others that state all their "
            "conditions. Naive: FLOPs over peak or bytes over bandwidth at one fitted "
            "efficiency. Inside: share of measurements in their 80 % interval, whose width "
            "was set by the other groups."
        )
    )
    _coverage(judged)
    st.header(t("Where they are off"))
    st.plotly_chart(
        hardware_charts.residuals(judged),
        key="other_residuals",
        config=CONFIG,
        alt=t("Predicted over measured by GPU and regime"),
    )
    st.caption(
        t(
            "Box: middle half of the rows of a GPU that the prediction had not seen. 1: as "
            "measured; 2: twice too much."
        )
    )
    with st.expander(t("Sources of the measurements"), icon=":material/menu_book:"):
        counts = evidence.sources(residuals)
        listed = pd.DataFrame({t("Source"): list(counts), t("Measurements"): list(counts.values())})
        tables.table(listed, "other_sources", "sources.csv")
        st.caption(
            t(
                "Published by others; none was measured by this project. Coefficients: "
                "assets/costmodel/effects.csv."
            )
        )


def _coverage(judged: Sequence[Residual]) -> None:
    """Whether the intervals hold, over all regimes and for each with rows enough."""
    st.header(t("Do the intervals hold?"))
    lines = {t("all"): evidence.calibration(judged)}
    for regime, title in evidence.REGIMES.items():
        rows = [row for row in judged if row.regime == regime]
        if len(rows) >= evidence.ENOUGH:
            lines[t(title)] = evidence.calibration(rows)
    st.plotly_chart(
        hardware_charts.calibration(lines),
        key="other_calibration",
        config=CONFIG,
        alt=t("Share of measurements inside their interval against its nominal level"),
    )
    st.caption(
        t("GPU left out. Below the diagonal: intervals too narrow; above: wider than they need be.")
    )


def sentence(errors: Sequence[Error], judged: Sequence[Residual]) -> str:
    """The headline: how far off on a GPU never seen, and whether the intervals hold.

    Args:
        errors: the recorded errors.
        judged: the rows whose conditions are all stated.
    """
    unseen = {error.regime: error.error_percent for error in errors if error.left_out == "gpu"}
    parts = [
        t("{percent:.0f} % ({regime})", percent=unseen[regime], regime=t(title))
        for regime, title in evidence.REGIMES.items()
        if regime in unseen and regime in evidence.TARGETS
    ]
    inside = dict(evidence.calibration(judged)).get(0.8, 0.0)
    return t(
        "On GPUs it had never seen, the median prediction was off by {parts}. "
        "{inside:.0f} % of {count:,} measurements were inside their 80 % interval.",
        parts=", ".join(parts),
        inside=100 * inside,
        count=len(judged),
    )


def table(errors: Sequence[Error], kind: str) -> Table:
    """One line a regime for what was left out, with the target where there was one.

    Args:
        errors: the recorded errors.
        kind: what was left out, a key of `WORDS`.
    """
    order = list(evidence.REGIMES)
    kept = sorted(
        (error for error in errors if error.left_out == kind),
        key=lambda error: order.index(error.regime),
    )
    return make(ERRORS if kind == "gpu" else ERRORS[:-2], [_line(error, kind) for error in kept])


def _line(error: Error, kind: str) -> dict[str, Cell | Measurement]:
    naive = error.naive_percent
    line: dict[str, Cell | Measurement] = {
        "Regime": t(evidence.REGIMES[error.regime]),
        "Measurements": error.rows,
        "Median error": error.error_percent / 100,
        "Naive": None if naive is None else naive / 100,
        "Inside the 80 % interval": error.coverage80,
    }
    target = evidence.TARGETS.get(error.regime) if kind == "gpu" else None
    if target is not None:
        line["Aimed at"] = target / 100
        line["Met"] = t("met") if error.error_percent <= target else t("missed")
    return line
