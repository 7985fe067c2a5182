"""Figures that others have published on the study's data set, beside its own."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from llmrec_core.language import t
from llmrec_core.reading import pareto
from llmrec_core.reading.published import comparable, place_sentence, published, published_table
from llmrec_core.reading.row import Row
from pages.shared import records, tables, widgets


def section(study: records.Study, order: Sequence[Row], metric: str, protocol: str) -> None:
    """The table of both, or what is published where nothing is comparable.

    Args:
        study: the rows' own.
        order: rows measured under the protocol.
        metric: e.g. `ndcg@10`.
        protocol: e.g. `loo/full`.
    """
    name = order[0].spec.data.name
    figures = published(name)
    title = pareto.METRICS[metric]
    if not comparable(figures, metric, protocol):
        kinds = dict.fromkeys((figure.metric, figure.protocol) for figure in figures)
        others = ", ".join(f"{metric} {protocol}" for metric, protocol in kinds)
        st.info(
            t(
                "No published figure of {data} is {metric} under {protocol}. There are: {others}.",
                data=name,
                metric=title,
                protocol=protocol,
                others=others or t("none at all"),
            )
        )
        return
    rows = [row for row in order if row.spec.data.name == name]
    widgets.say(place_sentence(rows, figures, metric, protocol, title), size="large")
    tables.table(
        published_table(rows, figures, metric, protocol),
        "quality_published",
        "published.csv",
        study=study,
    )
    st.caption(
        t(
            "Published figures are their authors' own unless the line says otherwise, on data sets "
            "as near as the line says. Training on the validation items as well moves a cheap "
            "model's figure by 13 to 17 %, so a comparison has to say which; ours never do."
        )
    )
