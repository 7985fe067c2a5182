"""Train: choose data, backbone, method, precision and budget, and queue one run or a grid."""

import streamlit as st

from llmrec_core.errors import UsageError
from llmrec_core.language import marked, t, tn
from llmrec_core.reading import number_format
from llmrec_core.reading.table import Column, make
from llmrec_core.running import grid
from llmrec_core.types import Measurement
from pages.build import hosted_inputs, source_inputs, train_inputs
from pages.shared import fields, frame, records, tables, widgets

GRID = (
    Column(marked("Run"), "run"),
    Column(marked("Precision"), "precision"),
    Column(marked("Weights"), "weights_from"),
    Column(marked("Steps"), "steps", number_format.whole),
    Column(marked("Expected training"), "expected_s", number_format.duration),
)

study = frame.study()
widgets.heading(
    t("Train"),
    t(
        "Queue one run or a grid. Each trains, then measures quality and cost of the "
        "same weights; a worker takes turns."
    ),
)
queued, queued_in = st.session_state.pop("_train_queued", ("", ""))
if queued:
    st.success(number_format.plain(queued), icon=":material/check:")
    widgets.link("build/runs.py", t("Watch them on Runs"), study=queued_in)

rows = records.rows(study) if study else []
left, right = st.columns(2)
with left, st.container(border=True, height="stretch"):
    st.header(t("What"))
    base, family = train_inputs.run_base(rows)
with right, st.container(border=True, height="stretch"):
    st.header(t("How long, and in which variants"))
    dials = train_inputs.dials(family, base)
    base["training"] = train_inputs.budget(family) | source_inputs.of_the_gate(base)
with st.expander(t("Protocol and optimiser"), icon=":material/tune:"):
    base["protocol"] = train_inputs.protocol(rows)
    base["training"] |= train_inputs.optimiser(family)

try:
    runs = grid.grid(base, **dials)
except UsageError as error:
    st.error(number_format.plain(error))
    st.stop()

minutes = [grid.expected_minutes(run, rows) for run in runs]
st.header(t("One run") if len(runs) == 1 else t("A grid of {count} runs", count=len(runs)))
tables.table(
    make(
        GRID,
        [
            {
                "Run": run.name,
                "Precision": run.precision,
                "Weights": run.weights_from or t("its own"),
                "Steps": run.training.steps if run.recommender.adaptation != "none" else None,
                "Expected training": Measurement(
                    "expected_s",
                    None if expected is None else 60 * expected,
                    "s",
                    reason=t("no run of this kind yet"),
                ),
            }
            for run, expected in zip(runs, minutes, strict=True)
        ],
    ),
    "train_plan",
    "grid.csv",
)
if family.group == "hosted":
    hosted_inputs.show_estimate(runs)
name_column, button_column = st.columns([3, 1], vertical_alignment="bottom")
default = study.name if study and not study.recorded else "mine"
name = name_column.text_input(
    t("Study to put them in"),
    value=default,
    max_chars=60,
    key="train_study",
    help=t("A new name makes a new study. Runs already finished in it are kept."),
)
if button_column.button(
    tn("Queue {count} run", "Queue {count} runs", len(runs)),
    key="train_queue",
    type="primary",
    icon=":material/play_arrow:",
    disabled=not name.strip() or fields.refused("train_"),
):
    try:
        train_inputs.queue(name.strip(), runs)
    except UsageError as error:
        st.error(number_format.plain(error))
        st.stop()
    said = t("{count} queued in study {study}.", count=len(runs), study=name.strip())
    st.session_state["_train_queued"] = (said, name.strip())
    st.rerun()
if not frame.live_workers():
    st.caption(
        t("No worker is running, so queued runs wait. Start one: `python -m llmrec_core up`")
    )
