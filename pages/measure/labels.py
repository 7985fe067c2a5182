"""The tab Labels: quality against labels and the price of learning, and the button for a curve."""

from __future__ import annotations

import streamlit as st

from llmrec_core.checks import expected_time
from llmrec_core.checks.label_methods import ALONE, LABELS, METHODS, title_of
from llmrec_core.contract.requests import LabelCurveRequest, kind_of
from llmrec_core.language import t
from llmrec_core.ledger.json_values import Json
from llmrec_core.reading import check_results, number_format
from llmrec_core.retelling import retold
from pages.shared import charts, fields, measuring, records, tables, widgets

KEY = "quality_label_curve"


def section() -> None:
    """Draw the stored curves, then the choice of what to measure."""
    stored = records.label_curves()
    if stored:
        name = st.selectbox(t("Curve"), list(stored), key="quality_curve", bind="query-params")
        _curve(stored[name])
    else:
        st.info(
            t(
                "No label curve yet: how quality grows with the number of labels, for cheap and "
                "expensive models."
            )
        )
    _ask(stored)


def _curve(body: Json) -> None:
    table = check_results.curve_table(body)
    by_price = st.toggle(
        t("Against the price of training"), key="quality_by_price", bind="query-params"
    )
    title = body["metric_title"]
    st.plotly_chart(
        charts.label_curve(table, title, by_price),
        key="quality_labels",
        config=charts.CONFIG,
        alt=t("{title} against the price of a training, by method", title=title)
        if by_price
        else t("{title} against labels, by method", title=title),
    )
    for sentence in charts.left_out_of_curve(table, by_price):
        widgets.caption(sentence)
    tables.table(table, "quality_labels", "quality_labels.csv")
    widgets.caption(retold(body["conditions"]))


def _ask(stored: dict[str, Json]) -> None:
    """The choice of data, methods and labels, and the button that queues a curve."""
    names = records.dataset_names()
    if not names:
        widgets.caption(t("No data set is on this machine yet, so there is nothing to learn from."))
        widgets.link("build/data.py", t("Get a data set"))
        return
    data_column, seeds_column, users_column = st.columns([2, 1, 1])
    data = data_column.selectbox(t("Data set"), names, key=f"{KEY}_data")
    seeds = fields.whole_field(
        seeds_column, t("Draws of the labels"), f"{KEY}_seeds", default=3, low=1, high=20
    )
    users = fields.whole_field(
        users_column, t("Users"), f"{KEY}_users", default=200, low=1, high=100_000
    )
    methods = st.multiselect(
        t("Methods"),
        list(METHODS),
        default=list(ALONE),
        format_func=title_of,
        key=f"{KEY}_methods",
        help=t("Fine-tuned language models train anew for each draw, which takes minutes."),
    )
    numbers = _numbers(data)
    labels = st.multiselect(
        t("Labels"),
        numbers,
        default=numbers,
        format_func=number_format.whole,
        key=f"{KEY}_labels_{data}",
        help=t("Training interactions; the largest number takes all of the data set."),
    )
    if not (methods and labels):
        widgets.caption(t("Choose at least one method and one number of labels."))
        return
    question = LabelCurveRequest(
        data=data,
        labels=tuple(sorted(labels)),
        methods=tuple(methods),
        seeds=seeds,
        users=users,
    )
    if measuring.button(
        f"{KEY}_ask",
        t("Measure a curve"),
        expected_time.of_label_curve(question, stored.values()),
        ready=not fields.refused(KEY),
    ):
        measuring.ask(KEY, question)
    answer = widgets.answer(KEY, kind_of(question))
    if answer is not None:
        widgets.caption(t("The curve is kept as {name}.", name=answer["curve"]))
    measuring.from_terminal(f"python -m llmrec_core label-curve --data {data}")


def _numbers(data: str) -> list[int]:
    """The usual numbers of labels that a data set has more than, and all that it has to learn from.

    Two interactions of each person are withheld for validation and test.
    """
    dataset = records.dataset(data)
    every = max(2, len(dataset.interactions) - 2 * dataset.n_users)
    return [*(number for number in LABELS if number < every), every]
