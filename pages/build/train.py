"""Train: choose data, backbone, method, precision and budget, and queue one run or a grid."""

import pandas as pd
import streamlit as st

from llmrec_core.errors import UsageError
from llmrec_core.experiments import formats, grid
from pages.shared import frame, records, training, widgets

study = frame.study()
widgets.heading(
    "Train",
    "Queue one run or a grid. Each trains, then measures quality and cost of the same weights; a worker takes turns.",
)
queued = st.session_state.pop("_train_queued", None)
if queued:
    st.success(formats.plain(queued), icon=":material/check:")
    widgets.link("build/runs.py", "Watch them on Runs")

left, right = st.columns(2)
with left, st.container(border=True, height="stretch"):
    st.subheader("What")
    base, family = training.recommender()
with right, st.container(border=True, height="stretch"):
    st.subheader("How long, and in which variants")
    dials = training.dials(family)
    base["training"] = training.budget(family)
with st.expander("Protocol and optimiser", icon=":material/tune:"):
    base["protocol"] = training.protocol()
    base["training"] |= training.optimiser(family)

try:
    runs = grid.grid(base, **dials)
except UsageError as error:
    st.error(formats.plain(error))
    st.stop()

rows = records.rows(study) if study else []
minutes = [grid.expected_minutes(run, rows) for run in runs]
st.subheader("One run" if len(runs) == 1 else f"A grid of {len(runs)} runs")
widgets.table(
    pd.DataFrame(
        {
            "Run": [run.name for run in runs],
            "Precision": [run.precision for run in runs],
            "Weights": [run.weights_from or "its own" for run in runs],
            "Steps": [str(run.training.steps) if run.recommender.adaptation != "none" else "" for run in runs],
            "Expected training": ["no run alike yet" if one is None else formats.duration(one * 60) for one in minutes],
        }
    ),
    "train_plan",
    "grid.csv",
)
name_column, button_column = st.columns([3, 1], vertical_alignment="bottom")
default = study.name if study and not study.recorded else "mine"
name = name_column.text_input(
    "Study to put them in",
    value=default,
    max_chars=60,
    key="train_study",
    help="A new name makes a new study. Runs already finished in it are kept.",
)
if button_column.button(
    f"Queue {len(runs)} run{'s' if len(runs) > 1 else ''}",
    key="train_queue",
    type="primary",
    icon=":material/play_arrow:",
    disabled=not name.strip(),
):
    training.queue(name.strip(), runs)
    st.session_state["_train_queued"] = f"{len(runs)} queued in study {name.strip()}."
    st.rerun()
if not frame.live_workers():
    st.caption("No worker is running, so queued runs wait. Start one: `python -m llmrec_core up`")
