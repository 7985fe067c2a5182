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
PRECISIONS = ("fp32", "int8-dynamic", "int8", "int4", "bf16", "fp16", "tf32")
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
        grid = st.toggle(
            "Per layer, and a grid of sizes",
            key="profile_grid_asked",
            help="A backbone only: batches 1 and 8, histories of 50 and 200 tokens, 10, 100 and 500 candidates. About three "
            "minutes for MiniLM-L6 on two cores; the sizes above are not used.",
        )
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
        if grid and subject_key == "model":
            payload = {"model": chosen, "precision": bits, "device": where, "grid": True}
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
            history = f", {part[3].removeprefix('history-').replace('-', ' ')}" if len(part) > 3 else ""
            row = f"{part[1] if len(part) > 1 else '?'} candidates{history}"
            cells[row, views.batch_of(one.protocol)] = one.value * 1e3
    rows = sorted({row for row, _ in cells}, key=lambda row: (len(row), row))
    columns = sorted({column for _, column in cells})
    values = [[cells.get((row, column)) for column in columns] for row in rows]
    figure = charts.heat(rows, [f"batch {column}" for column in columns], values, "ms, p50")
    return figure


def layers(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows of a table: each layer's parts in ms, GFLOP and GFLOP/s; empty when the answer has none."""
    return [
        {
            "Layer": "outside" if row["layer"] is None else str(row["layer"] + 1),
            "Part": row["part"],
            "ms": row["seconds"] * 1e3,
            "GFLOP": row["flops"] / 1e9,
            "GFLOP/s": row["flops"] / row["seconds"] / 1e9 if row["seconds"] > 0 else None,
        }
        for row in body.get("layers") or []
    ]


def roofline(body: dict[str, Any]) -> str:
    """One sentence on what limits the model here; empty when the answer has no roofline."""
    found = body.get("roofline")
    if not found:
        return ""
    return (
        f"{found['intensity_flops_per_byte']:.0f} FLOPs a byte; this machine turns from memory to compute at "
        f"{found['ridge_flops_per_byte']:.0f}: bound by {found['bound']}. Reached {found['flops_per_s'] / 1e9:.0f} of "
        f"{found['roof_flops_per_s'] / 1e9:.0f} GFLOP/s."
    )
