"""Some runs beside each other: how their specs differ, and their paired quality differences."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from llmrec_core.language import t
from llmrec_core.reading import number_format, study_tables
from llmrec_core.reading.comparison import difference, exam_of, exam_words
from llmrec_core.reading.pareto import METRICS
from llmrec_core.reading.people import MIN_PEOPLE
from llmrec_core.reading.row import Row
from pages.shared import address, charts, records, tables, widgets


def section(study: records.Study, rows: Sequence[Row]) -> None:
    """Two runs to choose, and what differs between them."""
    names = {row.run_id: row.name for row in rows}
    left, right = st.columns(2)
    first_id = address.choose(
        left.selectbox, t("First"), names, "runs_a", default=rows[-1].run_id, moving=True
    )
    second_id = address.choose(
        right.selectbox, t("Second"), names, "runs_b", default=rows[0].run_id, moving=True
    )
    by_id = {row.run_id: row for row in rows}
    first, second = by_id[first_id], by_id[second_id]
    if first_id == second_id:
        st.caption(t("Choose two different runs."))
        return
    _quality(study, first, second)
    st.header(t("What differs in the spec"))
    tables.table(study_tables.spec_differences([first, second]), "runs_spec", "differences.csv")


def _quality(study: records.Study, first: Row, second: Row) -> None:
    """The paired differences, or why there are none."""
    if exam_of(first) != exam_of(second):
        widgets.caption(
            t(
                "Not compared: {first} was measured on {one}, {second} on {other}.",
                first=first.name,
                one=exam_words(first),
                second=second.name,
                other=exam_words(second),
            )
        )
        return
    shared = [name for name in first.protocols if name in second.protocols]
    if not shared:
        st.warning(t("The two were measured under different protocols and are not compared."))
        return
    lines = []
    for metric, title in METRICS.items():
        people = records.per_user(study, [first, second], metric, shared[0])
        gap = difference(people[first.run_id], people[second.run_id])
        if gap is not None:
            lines.append((title, gap))
    if not lines:
        st.caption(
            t("The two share fewer than {fewest} people and are not compared.", fewest=MIN_PEOPLE)
        )
        return
    st.plotly_chart(
        charts.intervals(
            [title for title, _ in lines],
            [gap.mean for _, gap in lines],
            [gap.low for _, gap in lines],
            [gap.high for _, gap in lines],
            t("first − second, paired over users, 95 % interval"),
        ),
        key="runs_intervals",
        config=charts.CONFIG,
        alt=t("Paired differences with intervals"),
    )
    for title, gap in lines:
        values = {
            "title": title,
            "mean": number_format.signed(gap.mean),
            "low": number_format.signed(gap.low),
            "high": number_format.signed(gap.high),
            "n": gap.n,
        }
        if gap.distinguishable:
            st.caption(t("{title}: {mean} ({low} to {high}), {n} users", **values))
        else:
            st.caption(
                t("{title}: {mean} ({low} to {high}), {n} users – not distinguishable", **values)
            )
