"""Plan: traffic and limits → devices, dollars and tonnes a month, and the runner-up."""

import streamlit as st

from llmrec_core.costmodel.plan import sentences
from llmrec_core.language import t
from pages.answer import (
    plan_conditions,
    plan_parts,
    plan_question,
    plan_start,
    plan_what_if,
)
from pages.shared import address, fact_tables, frame, needs, records, tables, widgets

study, pricing = frame.study(), frame.pricing()
asked = needs.carried()
widgets.heading(
    t("Plan"),
    t(
        "Your traffic and latency limit, turned into devices, dollars and CO2e a month "
        "– before you rent any."
    ),
    study,
)
rows = records.rows(study) if study else []
runs = plan_question.priced_runs(rows)
if not runs:
    st.info(
        t(
            "No run of yours has its costs measured yet, so the plan is for a model of the "
            "catalogue. `python -m llmrec_core demo` measures the default study."
        ),
        icon=":material/info:",
    )

with st.container(border=True):
    choice = plan_start.chosen(study, asked.limits, pricing) if study else None
    subject, note = plan_question.subject(runs, plan_start.row_of(choice), pricing)
    typed = plan_question.first_box(subject, asked, pricing)
    widgets.caption(plan_start.start_words(asked, choice))
with st.expander(t("Prices, place, spares and cache"), icon=":material/tune:"):
    conditions = plan_conditions.conditions(typed.availability, pricing)
if note is None:
    st.stop()

subject, need = plan_question.need(typed, conditions, rows)
plans = plan_parts.plans(subject, need)
with st.container(border=True):
    widgets.say(sentences.cheapest(plans, need.traffic), size="large")
    widgets.caption(
        t("Predictions with 80 % intervals in brackets; measured where said. {note}", note=note)
    )
if plans and plans[0].usd_per_month is not None:
    plan_parts.headline(plans[0])
    plan_start.against_budget(plans[0], asked.usd_per_month)

devices_tab, users_tab, if_tab, train_tab, prices_tab = address.tabs(
    {
        "devices": t("Every device"),
        "users": t("10³ to 10⁹ users"),
        "if": t("What if"),
        "training": t("A training job"),
        "prices": t("Prices and carbon"),
    },
    "plan_tab",
)

with devices_tab:
    if devices_tab.open:
        plan_parts.every_device(subject.name, need.traffic, plans)

with users_tab:
    if users_tab.open:
        others = plan_parts.compared(runs, subject, pricing)
        plan_parts.users(subject, need, typed.requests_per_user_day, others)

with if_tab:
    if if_tab.open:
        plan_what_if.what_if(subject, need, plans)

with train_tab:
    if train_tab.open:
        plan_parts.training(subject, need)

with prices_tab:
    if prices_tab.open:
        st.caption(
            t(
                "The median offer of a device counts. The lists are plain CSV files, "
                "`assets/costmodel/rents.csv` and `grids.csv`: edit a line, keep its date and "
                "source true, and start the app again. A processor is priced by its cores."
            )
        )
        tables.table(fact_tables.price_list(), "plan_prices", "prices.csv")
        st.header(t("Grid intensity"))
        tables.table(fact_tables.grid_list(), "plan_grids", "grids.csv")
