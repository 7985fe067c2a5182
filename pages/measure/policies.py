"""What a policy does to the runs of a study, and the items that wait for a person's decision."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from llmrec_core.checks.policy import ReviewQueue
from llmrec_core.language import t
from llmrec_core.reading import check_results
from llmrec_core.reading.row import Row
from pages.shared import records, tables, widgets


def section(study: records.Study | None, rows: Sequence[Row]) -> None:
    """Effects as measured by `policy measure`, then the review queue of the study's data sets."""
    documents = (
        records.fresh_documents(study, rows, check_results.POLICY_DOCUMENT)
        if study and rows
        else {}
    )
    if documents:
        for row in rows:
            if row.run_id in documents:
                widgets.say(check_results.policy_sentence(row.name, documents[row.run_id]))
        tables.table(
            check_results.policy_table(rows, documents), "quality_policy", "policy.csv", study=study
        )
        with st.expander(t("Share of shown places by group of items")):
            tables.table(
                check_results.exposure_table(rows, documents), "quality_exposure", "exposure.csv"
            )
    else:
        st.info(
            t(
                "No policy has been measured on these runs: block lists, penalties for popular "
                "items or genres, and flagged items that wait for a person. What it costs in "
                "quality and time is shown here after:"
            )
        )
        st.code(
            "python -m llmrec_core policy measure assets/policies/example.toml --run NAME",
            language=None,
        )
    for name in dict.fromkeys(row.spec.data.name for row in rows):
        _queue(name)


def _queue(name: str) -> None:
    """The flagged items of a data set with their state, and two buttons for one of them."""
    queue = ReviewQueue.of(name, records.settings())
    if not queue.states:
        return
    st.header(t("Flagged items"))
    widgets.caption(
        t(
            "Items of {name} whose text is damaged or reads like an instruction; not shown "
            "until approved.",
            name=name,
        )
    )
    tables.table(queue.table(), f"quality_review_{name}", "review.csv")
    item = st.selectbox(t("Item"), list(queue.states), key=f"quality_review_item_{name}")
    approve, reject = st.columns(2)
    for place, label, state in (
        (approve, t("Approve"), "approved"),
        (reject, t("Reject"), "rejected"),
    ):
        if place.button(label, key=f"quality_review_{state}_{name}"):
            queue.decide(item, state)
            st.rerun()
