"""Profile: work, memory, latency and energy of each model size and precision, read and started here."""

import pandas as pd
import streamlit as st

from llmrec_core.experiments import formats, marks, tables, views
from pages.shared import charts, frame, profiling, records, widgets

study = frame.study()
widgets.heading("Profile", "What one request costs by model size and precision: work, memory, time, energy.", study)
rows = [row for row in records.rows(study) if row.state == "finished"] if study else []

FIGURES = (
    "latency_p95_s",
    "latency_p50_s",
    "flops_per_request",
    "peak_memory_bytes",
    "weight_bytes",
    "energy_per_request_j",
    "usd_per_million",
)
SHAPES = ("Each run", "Size by precision")
if rows:
    figure_column, precision_column, family_column = st.columns([2, 1, 1], vertical_alignment="bottom")
    name = figure_column.selectbox(
        "Figure", FIGURES, format_func=lambda key: views.AXES[key].title, key="profile_figure", bind="query-params"
    )
    precisions = sorted({row.spec.precision for row in rows})
    wanted = precision_column.multiselect(
        "Precision", precisions, key="profile_precision", placeholder="all", bind="query-params"
    )
    only_language = family_column.toggle("Language models only", key="profile_language", bind="query-params")
    kept = [
        row
        for row in rows
        if (not wanted or row.spec.precision in wanted) and (not only_language or row.uses_language_model)
    ]
    pricing = frame.pricing()
    found = [(row, *views.cost(row, name, pricing)) for row in kept]
    drawn = [(row, figure, assumed) for row, figure, assumed in found if figure.value is not None]
    axis = views.AXES[name]
    shape = st.segmented_control(
        "Drawn as", SHAPES, default=SHAPES[0], required=True, key="profile_shape", bind="query-params"
    )
    if drawn and shape == SHAPES[1]:
        cells = tables.size_by_precision(kept, name, pricing)
        scaled = [[None if value is None else value * axis.factor for value in line] for line in cells.values]
        st.plotly_chart(
            charts.heat(cells.sizes, cells.precisions, scaled, axis.unit),
            key="profile_grid",
            config=charts.CONFIG,
            alt=f"{axis.title} by model size and precision",
        )
        st.caption("Median of the rows that share size and precision; empty cells were not measured.")
    elif drawn:
        st.plotly_chart(
            charts.bars(
                [row.name for row, _, _ in drawn],
                [figure.value * axis.factor for _, figure, _ in drawn],
                [marks.colour(row.spec.precision) for row, _, _ in drawn],
                axis.unit,
                [assumed for _, _, assumed in drawn],
            ),
            key="profile_bars",
            config=charts.CONFIG,
            alt=f"{axis.title} of each run",
        )
    reasons = {figure.reason for _, figure, _ in found if figure.value is None}
    for reason in sorted(reasons):
        names = [row.name for row, figure, _ in found if figure.reason == reason]
        who = "all rows" if len(names) == len(found) else ", ".join(names)
        widgets.caption(f"Not measured for {who}: {reason}")
    widgets.caption(
        f"{axis.help} Colour: precision. Open bars: assumed from typed-in watts. {widgets.conditions(kept)}"
    )
    widgets.table(tables.cost_table(kept, pricing), "profile", "profile.csv")
    widgets.method_card("latency", "flops", "memory", "energy", "price")
else:
    st.info("No finished run to read yet. Costs come with every run; a single configuration can be measured below.")

st.subheader("Measure a configuration")
st.caption(
    "Costs only, no quality: the worker loads the model, warms it up and times it. Train measures both together."
)
if study is not None and study.recorded:
    st.caption("The recorded study's models are not on this machine; choose a model below.")
profiling.form(rows if study is not None and not study.recorded else [])
answer = profiling.answer()
if answer:
    figures = profiling.figures(answer)
    st.plotly_chart(
        profiling.heat_map(figures), key="profile_heat", config=charts.CONFIG, alt="Latency by batch and candidates"
    )
    conditions = ", ".join(f"{name} {value}" for name, value in (answer.get("conditions") or {}).items())
    widgets.caption(f"{answer.get('name', '')} · {conditions}")
    if answer.get("command"):
        st.code(answer["command"], language=None)
    if profiling.layers(answer):
        widgets.caption(profiling.roofline(answer))
        widgets.table(pd.DataFrame(profiling.layers(answer)), "profile_layers", "profile_layers.csv")
    widgets.table(
        pd.DataFrame(
            [
                {
                    "Figure": one.name,
                    "Value": formats.figure(one, interval=True),
                    "Unit": one.unit,
                    "Protocol": one.protocol,
                }
                for one in figures
            ]
        ),
        "profile_answer",
        "profile_answer.csv",
    )
