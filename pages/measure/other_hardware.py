"""Other hardware: a run measured here, predicted on devices one does not own; and how good such predictions are."""

import streamlit as st

from llmrec_core.costmodel import query
from llmrec_core.experiments import elsewhere, formats, marks, views
from pages.shared import evidence, frame, hardware, hardware_charts, hardware_tables, records, widgets
from pages.shared.charts import CONFIG

study = frame.study()
widgets.heading(
    "Other hardware",
    "What a request would cost on devices you do not own, beside what was measured here, and how far to trust that.",
    study,
)
beside_tab, trust_tab, devices_tab = st.tabs(
    ["Measured and predicted", "How good the predictions are", "The devices"],
    key="other_tab",
    on_change="rerun",
    bind="query-params",
)
known = hardware.catalogue()
pricing = frame.pricing()
rows = records.rows(study) if study else []
found = hardware.predictable(rows)

FIGURES = {
    "latency": ("Latency of one request", "ms", "latency_p50_s", 1e3),
    "price": ("Price of a million requests", "$", "usd_per_million", 1.0),
    "memory": ("Memory", "MiB", "peak_memory_bytes", 2**-20),
    "energy": ("Energy of a request", "J", "energy_per_request_j", 1.0),
}


def spans(one: elsewhere.Elsewhere) -> dict[str, elsewhere.Span | None]:
    """The figures a reader can choose, in the units of `FIGURES`."""
    return {
        "latency": one.latency_s.times(1e3),
        "price": one.usd_per_million,
        "memory": one.memory_gb.times(1e9 / 2**20),
        "energy": one.energy_j,
    }


with beside_tab:
    if not beside_tab.open:
        pass
    elif not found:
        st.info(
            "Nothing to predict from yet: a finished cross-encoder, decoder or cascade is needed, since classical "
            "recommenders read no prompt. `python -m llmrec_core demo` makes the default study; Plan works without one.",
            icon=":material/info:",
        )
        widgets.link("build/train.py", "Queue a run")
        widgets.link("answer/plan.py", "Plan for a model of the catalogue")
    else:
        run_column, figure_column, precision_column = st.columns([3, 2, 2])
        run_id = run_column.selectbox(
            "Run measured here",
            list(found),
            index=hardware.best_cross_encoder(found),
            format_func=widgets.run_names(rows),
            key="other_run",
            bind="query-params",
            help="Runs whose language model reads a prompt, best NDCG@10 first.",
        )
        row, request = found[run_id]
        figure_name = figure_column.selectbox(
            "Figure", list(FIGURES), format_func=lambda name: FIGURES[name][0], key="other_figure", bind="query-params"
        )
        precision = precision_column.selectbox(
            "Precision there",
            hardware.PRECISIONS,
            format_func=lambda name: f"as measured ({row.spec.precision})" if name == hardware.AS_MEASURED else name,
            key="other_precision",
            bind="query-params",
            help="Another precision changes the cost; its quality is not measured until a run has used it.",
        )
        names_column, all_column = st.columns([4, 1], vertical_alignment="bottom")
        every = all_column.toggle(f"All {len(known)} devices", key="other_all", bind="query-params")
        usual = [name for name in known if name in hardware.USUAL or name not in hardware.shipped()]
        chosen = names_column.multiselect(
            "Devices", list(known), default=usual, disabled=every, key="other_devices", placeholder="none chosen"
        )
        if precision != hardware.AS_MEASURED:
            request = elsewhere.at(request, query.clean_precision(precision)[0])
        kept = [known[name] for name in (known if every else chosen)]
        machine, used = views.machine(row) or "this machine", pricing.used(row)
        predicted, refused = elsewhere.everywhere(request, kept, utilisation=used, known=hardware.coefficients())
        widgets.say(hardware_tables.summary(row, predicted), size="large")
        title, unit, name, factor = FIGURES[figure_name]
        measured, _ = views.cost(row, name, pricing)
        drawn = []
        if measured.value is not None:
            drawn.append(hardware_charts.Mark(f"{machine}, measured", measured.value * factor, note=row.name))
        for one in predicted:
            span = spans(one)[figure_name]
            if span is not None:
                drawn.append(hardware_charts.Mark(one.device.name, span.value, span.low, span.high, one.note))
        drawn.sort(key=lambda one: one.value)
        if drawn:
            st.plotly_chart(
                hardware_charts.beside(drawn, title, unit, marks.colour(row.spec.precision)),
                key="other_chart",
                config=CONFIG,
                alt=f"{title} by machine: measured filled, predicted open with its 80 % interval",
            )
        else:
            st.info("No device chosen has this figure.")
        if figure_name == "memory":
            st.caption("Measured: the whole process, Python and libraries included. Predicted: on the device.")
        if measured.value is None:
            widgets.caption(f"Here {title.lower()} was {formats.figure(measured)}.")
        here = elsewhere.check(row, request) if precision == hardware.AS_MEASURED else None
        if here:
            widgets.caption(here)
        st.caption(
            "Your own runs pull the predictions for this-machine."
            if hardware.calibrated()
            else "`python -m llmrec_core estimate --calibrate` lets your own runs pull the predictions for this machine."
        )
        widgets.caption(
            f"{request.candidates} candidates, {request.history_tokens:g} tokens of history, {request.candidate_tokens:g} "
            f"tokens each; price and energy at {elsewhere.BATCH} requests at a time, {formats.share(used)} utilisation. "
            f"Energy: rated power × a fitted share × time. {widgets.conditions([row])}"
        )
        table = hardware_tables.predictions(row, predicted, pricing)
        widgets.table(table, "other_predictions", "other_hardware.csv")
        for device_name, reason in refused:
            widgets.caption(f"Not predicted: {device_name} – {reason}")
        st.caption(
            "A limit in mind? Decide puts one of these devices under all rows; Plan turns your traffic into devices and "
            "dollars a month."
        )

with trust_tab:
    if trust_tab.open:
        evidence.section()

with devices_tab:
    if devices_tab.open:
        st.caption(
            "Dense peaks, not with sparsity. Verified: the bandwidth was seen in the source named; other fields are data-sheet "
            "values from general knowledge. Your own device: `python -m llmrec_core profile`, or a line in "
            "`costmodel/devices.csv` under the home folder."
        )
        widgets.table(hardware_tables.catalogue(known.values()), "other_catalogue", "devices.csv")
