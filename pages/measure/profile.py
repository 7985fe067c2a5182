"""Profile: work, memory, latency and energy of each model size and precision, read and started."""

from collections.abc import Sequence

import streamlit as st

from llmrec_core.language import marked, t
from llmrec_core.reading import chart_symbols, study_tables
from llmrec_core.reading.pricing import AXES, axis_cost
from llmrec_core.reading.row import Row
from pages.measure import profile_form
from pages.shared import charts, frame, records, tables, widgets
from pages.shared.address import choose

FIGURES = (
    "latency_p95_s",
    "latency_p50_s",
    "flops_per_request",
    "peak_memory_bytes",
    "weight_bytes",
    "energy_per_request_j",
    "usd_per_million",
)
SHAPES = {"runs": marked("Each run"), "sizes": marked("Size by precision")}


def picked(rows: Sequence[Row]) -> tuple[str, list[Row]]:
    """The figure to draw and the rows to draw it of."""
    figure_column, precision_column, family_column = st.columns(
        [2, 1, 1], vertical_alignment="bottom"
    )
    name = choose(
        figure_column.selectbox,
        t("Figure"),
        {name: t(AXES[name].title) for name in FIGURES},
        "profile_figure",
        default=FIGURES[0],
    )
    wanted = precision_column.multiselect(
        t("Precision"),
        sorted({row.spec.precision for row in rows}),
        key="profile_precision",
        placeholder=t("all"),
        bind="query-params",
    )
    only_language = family_column.toggle(
        t("Language models only"), key="profile_language", bind="query-params"
    )
    kept = [
        row
        for row in rows
        if (not wanted or row.spec.precision in wanted)
        and (not only_language or row.language_model_decides)
    ]
    return name, kept


def draw(name: str, rows: Sequence[Row]) -> None:
    """A figure of each row as a bar, or by size and precision; and the rows that have none."""
    pricing, axis = frame.pricing(), AXES[name]
    costs = [(row, *axis_cost(row, name, pricing)) for row in rows]
    drawn = [
        (row, figure.value, assumed) for row, figure, assumed in costs if figure.value is not None
    ]
    shape = choose(
        st.segmented_control,
        t("Drawn as"),
        {name: t(words) for name, words in SHAPES.items()},
        "profile_shape",
        default="runs",
        required=True,
    )
    if drawn and shape == "sizes":
        cells = study_tables.size_by_precision(rows, name, pricing)
        scaled = [
            [None if value is None else value * axis.factor for value in line]
            for line in cells.values
        ]
        st.plotly_chart(
            charts.heat(cells.sizes, cells.precisions, scaled, axis.unit),
            key="profile_grid",
            config=charts.CONFIG,
            alt=t("{title} by model size and precision", title=t(axis.title)),
        )
        st.caption(
            t("Median of the rows that share size and precision; empty cells were not measured.")
        )
    elif drawn:
        st.plotly_chart(
            charts.bars(
                [row.name for row, _, _ in drawn],
                [value * axis.factor for _, value, _ in drawn],
                [chart_symbols.colour(row.spec.recommender) for row, _, _ in drawn],
                axis.unit,
                [assumed for _, _, assumed in drawn],
            ),
            key="profile_bars",
            config=charts.CONFIG,
            alt=t("{title} of each run", title=t(axis.title)),
        )
    for reason in sorted({figure.reason or "" for _, figure, _ in costs if figure.value is None}):
        names = [row.name for row, figure, _ in costs if figure.reason == reason]
        who = t("all rows") if len(names) == len(costs) else ", ".join(names)
        widgets.caption(t("Not measured for {who}: {reason}", who=who, reason=reason))


study = frame.study()
widgets.heading(
    t("Profile"),
    t("What one request costs by model size and precision: work, memory, time, energy."),
    study,
)
rows = [row for row in records.rows(study) if row.state == "finished"] if study else []
if rows:
    name, kept = picked(rows)
    draw(name, kept)
    widgets.caption(
        t(
            "{help} Colour: kind of recommender. Open bars: assumed from typed-in watts. "
            "{conditions}",
            help=t(AXES[name].help),
            conditions=widgets.conditions(kept),
        )
    )
    tables.table(
        study_tables.cost_table(kept, frame.pricing()), "profile", "profile.csv", study=study
    )
    widgets.method_card("latency", "flops", "memory", "energy", "price")
else:
    st.info(
        t(
            "No finished run to read yet. Costs come with every run; a single "
            "configuration can be measured below."
        )
    )

st.header(t("Measure a configuration"))
st.caption(
    t(
        "Costs only, no quality: the worker loads the model, warms it up and times it. "
        "Train measures both together."
    )
)
if study is not None and study.recorded:
    st.caption(t("The recorded study's models are not on this machine; choose a model below."))
profile_form.form(rows if study is not None and not study.recorded else [])
answer = profile_form.answer()
if answer:
    profile_form.show(answer)
