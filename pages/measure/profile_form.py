"""Starting a cost measurement from the page, and reading the worker's answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from llmrec_core.language import marked, t
from llmrec_core.reading import number_format
from llmrec_core.reading.record_fields import title_of
from llmrec_core.reading.row import Row, batch_of
from llmrec_core.reading.table import Column, Table, make
from llmrec_core.types import Measurement
from pages.shared import charts, fields, tables, widgets

MODELS = ("minilm-l6", "smollm2-135m", "gemma3-270m")
PRECISIONS = ("fp32", "int8-dynamic", "int8", "int4", "bf16", "fp16", "tf32")
KEY = "profile_request"


def form(rows: Sequence[Row]) -> None:
    """Inputs and the button that sends the request."""
    names = widgets.run_names(rows)
    with st.form("profile_form"):
        subject, precision, device = st.columns([2, 1, 1])
        ids = [row.run_id for row in rows]
        chosen = subject.selectbox(
            t("Model or finished run"),
            [*MODELS, *ids],
            format_func=names,
            key="profile_subject",
            accept_new_options=True,
            help=t(
                "A backbone, a Hugging Face id, a local folder of safetensors, or a run of "
                "this study."
            ),
        )
        bits = precision.selectbox(t("Precision"), PRECISIONS, key="profile_bits")
        where = device.selectbox(t("Device"), ("auto", "cpu", "cuda"), key="profile_device")
        batch, candidates, history = st.columns(3)
        size = fields.whole_field(
            batch, t("Requests at a time"), "profile_batch", default=1, low=1, high=256
        )
        many = fields.whole_field(
            candidates, t("Candidates"), "profile_candidates", default=100, low=2, high=10_000
        )
        items = fields.whole_field(
            history, t("History items"), "profile_history", default=10, low=0, high=200
        )
        grid = st.toggle(
            t("Per layer, and a grid of sizes"),
            key="profile_grid_asked",
            help=t(
                "A backbone only: batches 1 and 8, histories of 50 and 200 tokens, 10, 100 and "
                "500 candidates. About three minutes for MiniLM-L6 on two cores; the sizes "
                "above are not used."
            ),
        )
        sent = st.form_submit_button(t("Measure"), type="primary", icon=":material/timer:")
    if sent and chosen in ids and grid:
        st.error(
            t(
                "A grid of sizes is measured of a model, not of a finished run. Choose a model "
                "above, or switch the grid off."
            )
        )
    elif sent and chosen and not fields.refused("profile_"):
        subject_key = "run" if chosen in ids else "model"
        payload = {
            subject_key: chosen,
            "precision": bits,
            "device": where,
            "batch": size,
            "candidates": many,
            "history": items,
        }
        if grid:
            payload = {"model": chosen, "precision": bits, "device": where, "grid": True}
        widgets.ask(KEY, "profile", payload)


def answer() -> dict[str, Any] | None:
    """The worker's answer, once it is there."""
    return widgets.answer(KEY, "profile")


def show(body: Mapping[str, Any]) -> None:
    """The worker's answer: a sentence, a chart where there are two sizes or more, the figures."""
    measured = figures(body)
    widgets.say(sentence(body, measured))
    if body.get("seconds"):
        widgets.caption(time_account(body["seconds"]))
    cells = median_latencies(measured)
    if len(cells) > 1:
        st.plotly_chart(
            heat_map(cells),
            key="profile_heat",
            config=charts.CONFIG,
            alt=t("Latency by batch and candidates"),
        )
    widgets.caption(
        ", ".join(
            t("{name} {value}", name=name, value=value)
            for name, value in (body.get("conditions") or {}).items()
        )
    )
    if body.get("command"):
        st.code(body["command"], language=None)
    layers = layer_table(body)
    if layers.lines:
        widgets.caption(roofline(body))
        tables.table(layers, "profile_layers", "profile_layers.csv")
    tables.table(answer_table(measured), "profile_answer", "profile_answer.csv")


def figures(body: Mapping[str, Any]) -> list[Measurement]:
    """The measurements of an answer."""
    fields = Measurement.__dataclass_fields__
    return [
        Measurement(**{name: value for name, value in row.items() if name in fields})
        for row in body["rows"]
    ]


def sentence(body: Mapping[str, Any], measured: Sequence[Measurement]) -> str:
    """What one request takes, in one line."""
    latency = next((figure for figure in measured if figure.name == "latency_p50_s"), None)
    name = str(body.get("name") or t("The model"))
    if latency is None or latency.value is None:
        return t("{name} was measured; its figures stand below.", name=name)
    return t(
        "{name} answers a request in {latency} (median, {size}).",
        name=name,
        latency=number_format.duration(latency.value),
        size=size_words(latency.protocol),
    )


PARTS = {
    "load": marked("loading the model"),
    "serve": marked("starting the process that serves"),
    "requests": marked("timing requests"),
    "layers": marked("timing layers"),
    "peaks": marked("the machine's own speed"),
    "counting": marked("counting work"),
    "waited": marked("waiting for the machine"),
    "other": marked("everything else"),
}
"""Where a profile's time goes, in words."""


def time_account(seconds: Mapping[str, float]) -> str:
    """Where the time of the whole profile went, in one sentence, largest part first.

    Args:
        seconds: by part, and `total`.
    """
    parts = sorted(
        ((name, value) for name, value in seconds.items() if name in PARTS and value >= 0.05),
        key=lambda part: -part[1],
    )
    return t(
        "The measurement took {total}: {parts}.",
        total=number_format.duration(seconds["total"]),
        parts=", ".join(
            t("{what} {time}", what=t(PARTS[name]), time=number_format.duration(value))
            for name, value in parts
        ),
    )


def size_words(protocol: str) -> str:
    """`request/100/batch-8/history-50-tokens` in words; a figure of the whole has no size."""
    parts = protocol.split("/")
    if parts[0] != "request":
        return t("the whole")
    words = [t("{count} candidates", count=parts[1])] if len(parts) > 1 else []
    if len(parts) > 3:
        tokens = parts[3].removeprefix("history-").partition("-")[0]
        words.append(t("{count} tokens", count=tokens))
    return ", ".join([*words, t("batch {batch}", batch=batch_of(protocol))])


def median_latencies(measured: Sequence[Measurement]) -> dict[tuple[str, int], float]:
    """Candidates with history, and batch → milliseconds, p50."""
    cells = {}
    for figure in measured:
        if figure.name == "latency_p50_s" and figure.value is not None:
            size = size_words(figure.protocol).rpartition(", ")[0]
            cells[size, batch_of(figure.protocol)] = figure.value * 1e3
    return cells


def heat_map(cells: Mapping[tuple[str, int], float]) -> go.Figure:
    """Milliseconds p50 by candidates and batch."""
    sizes = sorted({size for size, _ in cells}, key=lambda size: (len(size), size))
    batches = sorted({batch for _, batch in cells})
    values = [[cells.get((size, batch)) for batch in batches] for size in sizes]
    heads = [t("batch {batch}", batch=batch) for batch in batches]
    return charts.heat(sizes, heads, values, t("ms, p50"))


BOUNDS = {"compute": marked("compute"), "memory": marked("memory")}
LAYERS = (
    Column(marked("Layer"), "layer"),
    Column(marked("Part"), "part", stored=True),
    Column(marked("Time"), "seconds", number_format.duration),
    Column(marked("Work"), "flops", number_format.flops),
    Column(marked("Work per second"), "flops_per_s", lambda rate: number_format.flops(rate) + "/s"),
)
ANSWER = (
    Column(marked("Figure"), "figure"),
    Column(marked("As read"), "as_read", stored=True, order=("Unit", "Recorded")),
    Column(marked("Recorded"), "value", number_format.significant),
    Column(marked("Low"), "low", number_format.significant),
    Column(marked("High"), "high", number_format.significant),
    Column(marked("Unit"), "unit"),
    Column(marked("Size of a request"), "size"),
    Column(marked("Name in the record"), "name"),
    Column(marked("Protocol"), "protocol"),
)


def layer_table(body: Mapping[str, Any]) -> Table:
    """Each layer's parts in time and work; without lines when the answer has none."""
    return make(
        LAYERS,
        [
            {
                "Layer": t("outside") if row["layer"] is None else str(row["layer"] + 1),
                "Part": row["part"],
                "Time": row["seconds"],
                "Work": row["flops"],
                "Work per second": row["flops"] / row["seconds"] if row["seconds"] > 0 else None,
            }
            for row in body.get("layers") or []
        ],
    )


def answer_table(measured: Sequence[Measurement]) -> Table:
    """All figures of an answer, as recorded and in words."""
    return make(
        ANSWER,
        [
            {
                "Figure": title_of(figure.name),
                "As read": number_format.figure(figure),
                "Recorded": figure.value,
                "Low": figure.low,
                "High": figure.high,
                "Unit": figure.unit,
                "Size of a request": size_words(figure.protocol),
                "Name in the record": figure.name,
                "Protocol": figure.protocol,
            }
            for figure in measured
        ],
    )


def roofline(body: Mapping[str, Any]) -> str:
    """One sentence on what limits the model here; empty when the answer has no roofline."""
    roof = body.get("roofline")
    if not roof:
        return ""
    return t(
        "{intensity:.0f} FLOPs a byte; this machine turns from memory to compute at {ridge:.0f}: "
        "bound by {bound}. Reached {rate:.0f} of {peak:.0f} GFLOP/s.",
        intensity=roof["intensity_flops_per_byte"],
        ridge=roof["ridge_flops_per_byte"],
        bound=t(BOUNDS[roof["bound"]]),
        rate=roof["flops_per_s"] / 1e9,
        peak=roof["roof_flops_per_s"] / 1e9,
    )
