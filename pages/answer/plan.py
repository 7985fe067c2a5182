"""Plan: traffic and a latency limit → devices, dollars and tonnes a month; the runner-up and why it loses."""

import streamlit as st

from llmrec_core.costmodel import capacity
from llmrec_core.experiments import formats
from pages.shared import frame, hardware, hardware_charts, hardware_tables, planning, records, widgets
from pages.shared.charts import CONFIG

study = frame.study()
widgets.heading(
    "Plan",
    "Your traffic and latency limit, turned into devices, dollars and CO2e a month – before you rent any.",
    study,
)
rows = records.rows(study) if study else []
found = hardware.predictable(rows)
if not found:
    st.info(
        "No run of yours can be predicted yet, so the plan is for a model of the catalogue. `python -m llmrec_core demo` "
        "measures the default study.",
        icon=":material/info:",
    )

with st.container(border=True):
    request, title, note = planning.model(found)
    shape = planning.traffic(request)
with st.expander("Prices, place, spares and cache", icon=":material/tune:"):
    options = planning.conditions()

need = planning.need(request, shape, options)
known = hardware.catalogue()
plans = planning.plans(request, need)
with st.container(border=True):
    widgets.say(capacity.sentence(plans, need.traffic), size="large")
    widgets.caption(f"Predicted, not measured; 80 % intervals in brackets. {note}")
if plans and plans[0].usd_per_month is not None:
    planning.headline(plans[0], need.traffic)

devices_tab, users_tab, if_tab, train_tab, prices_tab = st.tabs(
    ["Every device", "10³ to 10⁹ users", "What if", "A training job", "Prices and carbon"],
    key="plan_tab",
    on_change="rerun",
    bind="query-params",
)
asked = f"{formats.count(need.traffic.requests_per_day)} requests a day at p95 ≤ {1e3 * need.traffic.p95_s:g} ms"

with devices_tab:
    if devices_tab.open:
        widgets.say(f"What {title} costs on each of {len(known)} devices for {asked}", size="title")
        priced = [one for one in plans if one.usd_per_month is not None]
        if priced:
            st.plotly_chart(
                hardware_charts.beside(
                    [planning.mark(one) for one in priced], "Cheapest plan on each device", "$ per month", "#4a80ea"
                ),
                key="plan_chart",
                config=CONFIG,
                alt="Dollars a month by device with 80 % intervals",
            )
        widgets.table(hardware_tables.plans(plans), "plan", "plan.csv")
        st.caption(
            "Devices include the spares. Busy at peak: share of the busiest hour in which a device works, spares not counted. "
            "Power draw idle: a third of the rated power (assumed); the building and the host add 30 % (assumed)."
        )

with users_tab:
    if users_tab.open:
        planning.users(request, need, shape)

with if_tab:
    if if_tab.open:
        planning.what_if(request, need, plans)

with train_tab:
    if train_tab.open:
        planning.training(request, title, options)

with prices_tab:
    if prices_tab.open:
        st.caption(
            "The median offer of a device counts. The lists are plain CSV files, `assets/costmodel/rents.csv` and `grids.csv`: "
            "edit a line, keep its date and source true, and start the app again. A processor is priced by its cores."
        )
        widgets.table(hardware_tables.price_list(), "plan_prices", "prices.csv")
        st.subheader("Grid intensity")
        widgets.table(hardware_tables.grid_list(), "plan_grids", "grids.csv")
