"""Three steps from an empty home to an answer of one's own; they go away once all are done."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from llmrec_core.language import marked, t
from llmrec_core.reading.row import Row
from pages.shared import frame, records, widgets

STEPS = (
    (
        marked("Bring your data"),
        marked(
            "A table of who took what and when; or go on with films, which the demo fetches: "
            "`python -m llmrec_core demo`"
        ),
        "build/data.py",
        marked("Import data"),
    ),
    (
        marked("Measure recommenders on it"),
        marked("Cheap ones take seconds, a fine-tuned language model minutes."),
        "build/train.py",
        marked("Queue runs"),
    ),
    (
        marked("Read the answer here"),
        marked("It stands on this page as soon as both kinds have finished."),
        "build/runs.py",
        marked("Watch the runs"),
    ),
)


def done() -> tuple[bool, bool, bool]:
    """Whether data is here, own runs are queued, and both kinds have finished in one study."""
    shown = frame.study()
    own = [study for study in records.studies() if not study.recorded]
    own.sort(key=lambda study: study != shown)  # its rows are read already
    answered = any(_both_kinds(records.rows(study)) for study in own)
    return bool(own or records.dataset_names()), bool(own), answered


def _both_kinds(rows: Sequence[Row]) -> bool:
    """Whether a language model that decides and a row without one have finished."""
    finished = [row for row in rows if row.state == "finished"]
    return any(row.language_model_decides for row in finished) and any(
        not row.uses_language_model for row in finished
    )


def draw() -> None:
    """Draw the steps, the next one with its link, unless all are done."""
    steps = done()
    if all(steps):
        return
    with st.container(border=True, key="first_steps"):
        st.header(t("Three steps to an answer on your data"))
        following = steps.index(False)
        columns = st.columns(len(STEPS))
        for place, (column, (title, words, page, label)) in enumerate(
            zip(columns, STEPS, strict=True)
        ):
            with column:
                icon = "check_circle" if steps[place] else f"counter_{place + 1}"
                st.markdown(f":material/{icon}: **{t(title)}**")
                st.caption(t(words))
                if place == following:
                    widgets.link(page, t(label))
    shown = frame.study()
    others = [study for study in records.studies() if study.recorded and study != shown]
    if others:
        st.caption(t("Or read a study that was recorded elsewhere:"))
        for study in others:
            widgets.link("answer/start.py", study.title, study=study.key)
