"""What a policy does to the runs of a study, and the items that wait for a person's decision."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from llmrec_core.checks import expected_time
from llmrec_core.checks.policy import ReviewQueue
from llmrec_core.contract.requests import PolicyEffectRequest
from llmrec_core.language import t
from llmrec_core.reading import check_results
from llmrec_core.reading.row import Row
from pages.measure import measured_runs, policy_form
from pages.shared import measuring, records, tables, widgets


def section(study: records.Study | None, rows: Sequence[Row]) -> None:
    """Effects, then a policy to measure, then the review queue of the study's data sets."""
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
                "items or genres, and flagged items that wait for a person. Measure what one costs "
                "in quality and time:"
            )
        )
    _ask(study, rows, documents)
    for name in dict.fromkeys(row.spec.data.name for row in rows):
        _queue(name)


def _ask(
    study: records.Study | None, rows: Sequence[Row], documents: check_results.Documents
) -> None:
    """A policy's fields, and the button that measures it on runs."""
    st.header(t("A policy to measure"))
    policy = policy_form.draw(rows)
    measured_runs.section(
        "quality_policy",
        study,
        rows,
        kind="policy-effect",
        documents=documents,
        question=lambda run_id, users: PolicyEffectRequest(run=run_id, policy=policy, users=users),
        expected=expected_time.of_policy,
    )
    if study is not None and not study.recorded:
        measuring.from_terminal(
            "python -m llmrec_core policy measure assets/policies/example.toml --run NAME"
        )


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
