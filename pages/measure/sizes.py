"""The tab Sizes: one model at several numbers of layers, and the smallest that is enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from llmrec_core.language import t
from llmrec_core.reading import ladder_tables, ladder_words, pareto
from llmrec_core.reading.ladder import MARGIN, Ladder, ladder, why_not_one
from llmrec_core.reading.people import People
from llmrec_core.reading.row import Row
from llmrec_core.reading.table import Table
from pages.shared import address, charts, fields, frame, records, tables, widgets

KEY = "quality_sizes"


def section(
    study: records.Study,
    groups: Sequence[Sequence[Row]],
    metric: str,
    protocol: str,
    untied: bool,
) -> None:
    """Draw one ladder of the study: the sentence, the chart, and a line a size.

    Args:
        study: the rows' own.
        groups: rows that differ in their size alone, a group a ladder.
        metric: e.g. `ndcg@10`.
        protocol: e.g. `loo/100-uniform`.
        untied: whether people whose last items share one moment are left out.
    """
    rows, margin = _chosen(groups)
    users = records.per_user(study, rows, metric, protocol, untied=untied)
    reason = why_not_one(rows, metric, protocol, users)
    if reason:
        st.info(reason)
        return
    measured = ladder(rows, metric, protocol, users, margin=margin, pricing=frame.pricing())
    for model in measured.models:
        widgets.say(ladder_words.sentence(model, measured), size="large")
    table = ladder_tables.size_table(measured)
    title = pareto.METRICS[metric]
    st.plotly_chart(
        charts.by_layers(table, title),
        key=KEY,
        config=charts.CONFIG,
        alt=t("{title} by number of layers, a line a model", title=title),
    )
    for said in charts.left_out_of_layers(table):
        widgets.caption(said)
    _table(table, "sizes", study)
    st.caption(t(ladder_words.CAPTION))
    if len(measured.models) > 1:
        _models(study, measured, users)
    for note in ladder_words.notes(measured):
        widgets.caption(note)


def _chosen(groups: Sequence[Sequence[Row]]) -> tuple[Sequence[Row], float]:
    """The rows of the ladder that is looked at, and the margin."""
    ladder_column, margin_column = st.columns([3, 1])
    names = {group[0].run_id: t("{name} and its sizes", name=group[0].name) for group in groups}
    chosen = address.choose(
        ladder_column.selectbox,
        t("Sizes of"),
        names,
        f"{KEY}_of",
        default=next(iter(names)),
        moving=True,
    )
    margin = fields.number_field(
        margin_column,
        t("Margin"),
        f"{KEY}_margin",
        default=MARGIN,
        low=0.0,
        high=1.0,
        help=t("How much worse than the best size is still good enough, in the metric's unit."),
    )
    rows = next(group for group in groups if group[0].run_id == chosen)
    return rows, MARGIN if margin is None else margin


def _models(study: records.Study, measured: Ladder, users: Mapping[str, People]) -> None:
    """Several backbones beside each other, as models."""
    st.subheader(t("Models as models"))
    _table(ladder_tables.model_table(measured, users), "models", study)
    st.caption(t(ladder_words.AS_MODELS))


def _table(content: Table, name: str, study: records.Study) -> None:
    tables.table(content, f"quality_{name}", f"{name}.csv", study=study)
