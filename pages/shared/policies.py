"""What a policy does to the runs of a study, and the items that wait for a person's decision."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from llmrec_core.experiments import policy_effect, quality
from llmrec_core.experiments.policy import ReviewQueue
from llmrec_core.experiments.views import Row
from pages.shared import records, widgets


def section(study: records.Study | None, rows: Sequence[Row]) -> None:
    """Effects as measured by `policy measure`, then the review queue of the study's data sets."""
    found = records.fresh_documents(study, list(rows), policy_effect.DOCUMENT) if study and rows else {}
    if found:
        for run, body in found.items():
            widgets.say(policy_effect.sentence(run, body))
        widgets.table(quality.policy_table(found), "quality_policy", "policy.csv")
        with st.expander("Share of shown places by group of items"):
            widgets.table(quality.exposure_table(found), "quality_exposure", "exposure.csv")
    else:
        st.info(
            "No policy has been measured on these runs: block lists, penalties for popular items or genres, and flagged items "
            "that wait for a person. What it costs in quality and time is shown here after:"
        )
        st.code("python -m llmrec_core policy measure assets/policies/example.toml --run NAME", language=None)
    for name in dict.fromkeys(row.spec.data.name for row in rows):
        _queue(name)


def _queue(name: str) -> None:
    """The flagged items of a data set with their state, and two buttons for one of them."""
    queue = ReviewQueue.of(name, records.settings())
    if not queue.states:
        return
    st.subheader("Flagged items")
    widgets.caption(f"Items of {name} whose text is damaged or reads like an instruction; not shown until approved.")
    widgets.table(queue.table(), f"quality_review_{name}", "review.csv")
    item = st.selectbox("Item", list(queue.states), key=f"quality_review_item_{name}")
    approve, reject = st.columns(2)
    for place, label, state in ((approve, "Approve", "approved"), (reject, "Reject", "rejected")):
        if place.button(label, key=f"quality_review_{state}_{name}"):
            queue.decide(item, state)
            st.rerun()
