"""Starting a cost measurement from the page, and reading the worker's answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from llmrec_core.experiments import views
from llmrec_core.types import Measurement
from pages.shared import charts, widgets

MODELS = ("minilm-l6", "smollm2-135m")
PRECISIONS = ("fp32", "int8-dynamic", "bf16", "fp16")
KEY = "profile_request"


def form(rows: Sequence[views.Row]) -> None:
    """Inputs and the button that sends the request."""
    names = widgets.run_names(rows)
    with st.form("profile_form"):
        subject, precision, device = st.columns([2, 1, 1])
        ids = [row.run_id for row in rows]
        chosen = subject.selectbox(
            "Model or finished run",
            [*MODELS, *ids],
            format_func=names,
            key="profile_subject",
            accept_new_options=True,
            help="A backbone, a Hugging Face id, a local folder of safetensors, or a run of this study.",
        )
        bits = precision.selectbox("Precision", PRECISIONS, key="profile_bits")
        where = device.selectbox("Device", ("auto", "cpu", "cuda"), key="profile_device")
        batch, candidates, history = st.columns(3)
        size = batch.number_input("Requests at a time", 1, 256, 1, key="profile_batch")
        many = candidates.number_input("Candidates", 2, 10_000, 100, key="profile_candidates")
        items = history.number_input("History items", 0, 200, 10, key="profile_history")
        sent = st.form_submit_button("Measure", type="primary", icon=":material/timer:")
    if sent and chosen:
        subject_key = "run" if chosen in ids else "model"
        payload = {
            subject_key: chosen,
            "precision": bits,
            "device": where,
            "batch": int(size),
            "candidates": int(many),
            "history": int(items),
        }
        widgets.ask(KEY, "profile", payload)


def answer() -> dict[str, Any] | None:
    return widgets.answer(KEY, "profile")


def figures(body: dict[str, Any]) -> list[Measurement]:
    """The measurements of an answer."""
    known = Measurement.__dataclass_fields__
    return [Measurement(**{name: value for name, value in row.items() if name in known}) for row in body["rows"]]


def heat_map(found: Sequence[Measurement]) -> go.Figure:
    """Milliseconds p50 by candidates and batch."""
    cells: dict[tuple[str, int], float] = {}
    for one in found:
        if one.name == "latency_p50_s" and one.value is not None:
            part = one.protocol.split("/")
            cells[part[1] if len(part) > 1 else "?", views.batch_of(one.protocol)] = one.value * 1e3
    rows = sorted({row for row, _ in cells}, key=lambda row: (len(row), row))
    columns = sorted({column for _, column in cells})
    values = [[cells.get((row, column)) for column in columns] for row in rows]
    figure = charts.heat(
        [f"{row} candidates" for row in rows], [f"batch {column}" for column in columns], values, "ms, p50"
    )
    return figure
