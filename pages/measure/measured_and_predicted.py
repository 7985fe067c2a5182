"""A run's costs on its own machine beside predictions for devices of the catalogue."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import streamlit as st

from llmrec_core.costmodel.facts.devices import Device
from llmrec_core.costmodel.plan.service import LARGEST_BATCH
from llmrec_core.costmodel.predict import query
from llmrec_core.costmodel.predict.request import Request
from llmrec_core.costmodel.predict.span import Span
from llmrec_core.language import marked, t
from llmrec_core.reading import chart_symbols, number_format, other_devices
from llmrec_core.reading.other_devices import Elsewhere
from llmrec_core.reading.pricing import Pricing, axis_cost
from llmrec_core.reading.row import Row, machine_of
from pages.shared import hardware, hardware_charts, hardware_tables, tables, widgets
from pages.shared.address import choose
from pages.shared.charts import CONFIG

MIB = 2**20


@dataclass(frozen=True)
class Figure:
    """A figure a reader can choose."""

    title: str
    unit: str
    """As drawn."""
    name: str
    """In the run's record."""
    factor: float
    """From the record's unit to the drawn one."""
    predicted: Callable[[Elsewhere], Span | None]
    """In the record's unit; None where it is not known."""


FIGURES = {
    "latency": Figure(
        marked("Latency of one request"), "ms", "latency_p50_s", 1e3, lambda there: there.latency_s
    ),
    "price": Figure(
        marked("Price of a million requests"),
        "$",
        "usd_per_million",
        1.0,
        lambda there: there.usd_per_million,
    ),
    "memory": Figure(
        marked("Memory"),
        "MiB",
        "peak_memory_bytes",
        1 / MIB,
        lambda there: there.memory_gb.times(1e9),
    ),
    "energy": Figure(
        marked("Energy of a request"),
        "J",
        "energy_per_request_j",
        1.0,
        lambda there: there.energy_j,
    ),
}


def section(rows: Sequence[Row], pricing: Pricing) -> None:
    """The tab: choose a run, a figure and devices; read the sentence, the chart and the table.

    Args:
        rows: the study's runs.
        pricing: what the reader has typed in the side bar.
    """
    able = hardware.predictable(rows)
    for row in rows:
        if row.is_hosted:
            widgets.caption(other_devices.not_predicted(row))
    if not able:
        _empty()
        return
    row, request, figure = _chosen(rows, able)
    devices = _devices()
    used = pricing.used(row)
    predicted, refused = other_devices.everywhere(
        request, devices, utilisation=used, coefficients=hardware.coefficients()
    )
    widgets.say(hardware_tables.summary(row, predicted), size="large")
    _chart(row, predicted, figure, pricing)
    if request.precision == able[row.run_id][1].precision:
        checked = other_devices.check(row, request)
        if checked:
            widgets.caption(checked)
    _captions(row, request, used)
    table = hardware_tables.predictions(row, predicted, pricing)
    tables.table(table, "other_predictions", "other_hardware.csv")
    for name, reason in refused:
        widgets.caption(t("Not predicted: {device} – {reason}", device=name, reason=reason))
    st.caption(
        t(
            "A limit in mind? Decide puts one of these devices under all rows; Plan turns "
            "your traffic into devices and dollars a month."
        )
    )


def _empty() -> None:
    st.info(
        t(
            "Nothing to predict from yet: a finished cross-encoder, decoder or cascade is "
            "needed, since classical recommenders read no prompt. `python -m llmrec_core "
            "demo` makes the default study; Plan works without one."
        ),
        icon=":material/info:",
    )
    widgets.link("build/train.py", t("Queue a run"))
    widgets.link("answer/plan.py", t("Plan for a model of the catalogue"))


def _chosen(
    rows: Sequence[Row], able: Mapping[str, tuple[Row, Request]]
) -> tuple[Row, Request, Figure]:
    """The run, its request in the chosen precision, and the figure to draw."""
    run_column, figure_column, precision_column = st.columns([3, 2, 2])
    name_of = widgets.run_names(rows)
    run_id = choose(
        run_column.selectbox,
        t("Run measured here"),
        {run_id: name_of(run_id) for run_id in able},
        "other_run",
        default=list(able)[hardware.best_cross_encoder(able)],
        moving=True,
        help=t("Runs whose language model reads a prompt, best NDCG@10 first."),
    )
    row, request = able[run_id]
    name = choose(
        figure_column.selectbox,
        t("Figure"),
        {name: t(figure.title) for name, figure in FIGURES.items()},
        "other_figure",
        default=next(iter(FIGURES)),
    )
    own = t("as measured ({precision})", precision=row.spec.precision)
    precision = choose(
        precision_column.selectbox,
        t("Precision there"),
        hardware.precisions(own),
        "other_precision",
        default=hardware.AS_MEASURED,
        help=t(
            "Another precision changes the cost; its quality is not measured until a run "
            "has used it."
        ),
    )
    if precision != hardware.AS_MEASURED:
        request = replace(request, precision=query.clean_precision(precision)[0])
    return row, request, FIGURES[name]


def _devices() -> list[Device]:
    """The devices to predict on."""
    catalogue = hardware.catalogue()
    names_column, all_column = st.columns([4, 1], vertical_alignment="bottom")
    every = all_column.toggle(
        t("All {count} devices", count=len(catalogue)), key="other_all", bind="query-params"
    )
    shipped = hardware.shipped()
    usual = [name for name in catalogue if name in hardware.USUAL or name not in shipped]
    names = names_column.multiselect(
        t("Predicted devices"),
        list(catalogue),
        default=usual,
        disabled=every,
        key="other_devices",
        placeholder=t("none chosen"),
    )
    return [catalogue[name] for name in (catalogue if every else names)]


def _chart(row: Row, predicted: Sequence[Elsewhere], figure: Figure, pricing: Pricing) -> None:
    """The figure on the run's machine and on every device that has it; who has none is named."""
    title = t(figure.title)
    machine = machine_of(row) or t("this machine")
    measured, _ = axis_cost(row, figure.name, pricing)
    marks, missing = [], []
    if measured.value:
        name = t("{machine}, measured", machine=machine)
        marks.append(hardware_charts.Mark(name, measured.value * figure.factor, note=row.name))
    else:
        missing.append(
            t("{machine} ({reason})", machine=machine, reason=number_format.figure(measured))
        )
    for there in predicted:
        span = figure.predicted(there)
        if span is None:
            missing.append(there.device.name)
            continue
        span = span.times(figure.factor)
        marks.append(
            hardware_charts.Mark(there.device.name, span.value, span.low, span.high, there.note)
        )
    if marks:
        marks.sort(key=lambda mark: mark.value)
        colour = chart_symbols.colour(row.spec.recommender)
        st.plotly_chart(
            hardware_charts.beside(marks, title, figure.unit, colour),
            key="other_chart",
            config=CONFIG,
            alt=t(
                "{title} by machine: measured filled, predicted open with its 80 % interval",
                title=title,
            ),
        )
    if missing:
        widgets.caption(t("Not drawn, as it is not known: {names}.", names=", ".join(missing)))
    if figure.name == "peak_memory_bytes":
        st.caption(
            t(
                "Measured: the whole process, Python and libraries included. Predicted: on the "
                "device."
            )
        )


def _captions(row: Row, request: Request, used: float) -> None:
    st.caption(
        t("Your own runs pull the predictions for this-machine.")
        if hardware.calibrated()
        else t(
            "`python -m llmrec_core estimate --calibrate` lets your own runs pull the "
            "predictions for this machine."
        )
    )
    widgets.caption(
        t(
            "{candidates} candidates, {history_tokens:g} tokens of history, "
            "{candidate_tokens:g} tokens each; price and energy at {batch} requests at a "
            "time, {used} utilisation. Energy: rated power × a fitted share × time. "
            "{conditions}",
            candidates=request.candidates,
            history_tokens=request.history_tokens,
            candidate_tokens=request.candidate_tokens,
            batch=LARGEST_BATCH,
            used=number_format.share(used),
            conditions=widgets.conditions([row]),
        )
    )
