"""Decide: quality against any cost, the front, and one sentence for the limits on the sliders."""

import streamlit as st

from llmrec_core.experiments import elsewhere, formats, front, tables, views
from pages.shared import charts, dearer, frame, hardware, records, widgets

HERE = "here"
study = frame.study()
widgets.heading(
    "Decide", "Every recommender by what it gives and what it costs; move the limits and read the choice.", study
)
if study is None:
    widgets.empty(
        "There is no study to decide on. Queue runs, or let `python -m llmrec_core demo` make the default study."
    )
rows, pricing = records.rows(study), frame.pricing()
if not any(row.protocols for row in rows):
    widgets.empty(
        "No run of this study has finished yet; points appear here one by one.",
        page="build/runs.py",
        label="Watch the runs",
    )

quality_column, axis_column, protocol_column, slice_column = st.columns(4)
metric = widgets.metric_picker(quality_column, "decide_metric")
axis = axis_column.selectbox(
    "Cost",
    list(views.AXES),
    format_func=lambda name: views.AXES[name].title,
    key="decide_cost",
    bind="query-params",
    help="\n\n".join(f"**{one.title}**: {one.help}" for one in views.AXES.values()),
)
with protocol_column:
    protocol = widgets.protocol_picker(rows, "decide_protocol")
slices = dict.fromkeys(found.slice for row in rows for found in row.figures if found.protocol == protocol)
part = slice_column.selectbox(
    "Users", list(slices), format_func=str.capitalize, key="decide_slice", bind="query-params"
)

measured = rows
known = hardware.catalogue()
where_column, only_column = st.columns([3, 1], vertical_alignment="bottom")
where = where_column.selectbox(
    "Machine of the language models",
    [HERE, *known],
    format_func=lambda name: "as measured" if name == HERE else f"{name}, predicted",
    key="decide_machine",
    bind="query-params",
    help="Predicted: the same requests on a device of the catalogue, with 80 % intervals and its median price on demand. "
    "Recommenders without a language model keep what was measured.",
)
refused = []
if where != HERE:
    rows, refused = elsewhere.on_device(rows, known[where], pricing)

latency_limits = widgets.scale([row.request_figure("latency_p95_s").value for row in rows])
price_limits = widgets.scale([views.usd_per_million(row, pricing).value for row in rows])
latency_column, price_column, switch_column = st.columns([2, 2, 1], vertical_alignment="bottom")
p95 = widgets.limit_slider(latency_column, "Slowest p95 latency", latency_limits, formats.duration, "decide_p95")
price = widgets.limit_slider(
    price_column, "Dearest price of a million requests", price_limits, formats.dollars, "decide_price"
)
language_only = only_column.toggle("Language models only", key="decide_language", bind="query-params")
if language_only:
    rows = [row for row in rows if row.uses_language_model]
dominated = switch_column.toggle("Dominated points", value=True, key="decide_dominated", bind="query-params")
logarithmic = switch_column.toggle("Log scale", value=True, key="decide_log", bind="query-params")

limits = front.Limits(p95, price)
users = records.per_user(study, rows, metric, protocol)
members = next((row.documents["slices"].get(part) for row in rows if row.documents.get("slices")), None)
if part != "all" and members is None:
    users = {}  # the users of this slice were not recorded, so rows cannot be compared user by user
choice = front.choose(rows, metric, protocol, limits, users, pricing, part, None if part == "all" else members)
with st.container(border=True):
    widgets.say(choice.sentence, size="large")
    if choice.why_not:
        widgets.say(choice.why_not)
    failing = front.failing(choice, rows, limits, pricing)
    if failing and where == HERE:
        widgets.say(elsewhere.way_out(failing, known.values(), limits, pricing))

chart = front.chart(rows, metric, protocol, axis, part, pricing)
st.badge(f"protocol {formats.plain(protocol)}", icon=":material/rule:", color="blue")
for warning in views.comparability(measured, protocol):
    widgets.caption(f"⚠ {warning}")
if chart.points:
    st.plotly_chart(
        charts.pareto(chart, dominated, logarithmic),
        key="decide_chart",
        config=charts.CONFIG,
        alt="Scatter of quality against cost with 95 % intervals and the Pareto front",
    )
else:
    st.info("No row has both figures, so there is nothing to draw; the reasons stand below.")
widgets.caption(
    "Colour: precision. Shape: model size. Bars: 95 % interval over users. Open: assumed or predicted, not measured. "
    + widgets.conditions(measured)
)
if where != HERE:
    widgets.caption(
        f"On {where}: open marks with their 80 % interval along the cost; p95 takes the spread over p50 that was measured "
        "here. Filled marks stay as measured, on another machine. Other hardware shows how good such predictions are."
    )
for name, reason in refused:
    widgets.caption(f"Not predicted: {name} – {reason}")
for name, reason in chart.left_out:
    widgets.caption(f"Not drawn: {name} – {reason}")
widgets.table(tables.study_table(rows, protocol, chart, pricing), "decide", "decide.csv")
dearer.section(measured, pricing)
widgets.method_card("quality", "latency", "price", "flops", "memory", "energy")
