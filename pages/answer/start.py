"""Start: does the language model pay? One sentence, three offers, the price of an extra hit, what is running."""

import streamlit as st

from llmrec_core.experiments import formats, verdict
from pages.shared import frame, progress, records, widgets

study = frame.study()
widgets.heading("Does the language model pay?", "One sentence for your traffic and budget, and what to do next.", study)
if study is None:
    widgets.empty(
        "Nothing has been measured on this machine yet. `python -m llmrec_core demo` measures the default study in "
        "about 20 minutes; or queue a single run."
    )

rows = records.rows(study)
protocol = widgets.protocol_picker(rows, "start_protocol", hidden=True)
if protocol is None:
    progress.running(study)
    widgets.empty(
        "No run of this study has finished yet. The verdict appears with the first one.",
        page="build/runs.py",
        label="Watch the runs",
    )

with st.container(border=True):
    traffic_column, budget_column, latency_column, worth_column = st.columns(4)
    millions = traffic_column.number_input(
        "Million requests a month",
        min_value=0.001,
        max_value=1e6,
        value=10.0,
        step=1.0,
        format="%.6g",
        key="start_requests",
        bind="query-params",
        help="One request is one user's list of ten.",
    )
    budget = budget_column.number_input(
        "Budget, $ per month",
        min_value=0.01,
        value=100.0,
        step=10.0,
        format="%.6g",
        key="start_budget",
        bind="query-params",
    )
    p95_ms = latency_column.number_input(
        "Slowest p95, ms", min_value=0.1, value=1_000.0, step=50.0, format="%.6g", key="start_p95", bind="query-params"
    )
    worth = worth_column.number_input(
        "A hit is worth, $",
        min_value=0.0,
        value=0.001,
        step=0.0005,
        format="%.6g",
        key="start_worth",
        bind="query-params",
        help="What it brings when the item a user wants stands in the list.",
    )

traffic = verdict.Traffic(millions * 1e6, budget, p95_ms / 1000, worth)
finding = verdict.judge(
    rows,
    "ndcg@10",
    protocol,
    records.per_user(study, rows, "ndcg@10", protocol),
    records.per_user(study, rows, "recall@10", protocol),
    traffic,
    frame.pricing(),
)

with st.container(border=True):
    widgets.say(finding.sentence, size="large")
    if finding.silent:
        widgets.caption(finding.silent)

ITEM = verdict.noun(rows[0].spec.data.name)
for column, card in zip(st.columns(len(finding.cards) or 1), finding.cards, strict=False):
    with column, st.container(border=True, height="stretch"):
        st.caption(card.title)
        widgets.say(card.row.name, size="large")
        hits = card.hits
        among = "all candidates" if card.candidates == "full" else f"{card.candidates} candidates"
        st.metric(
            "Hits",
            formats.figure(hits) if hits.value is None else f"{hits.value:.0f} of 100 users",
            help=None if hits.low is None else f"95 % interval {hits.low:.0f} to {hits.high:.0f}, {hits.n} users",
        )
        st.caption(f"have their withheld {ITEM} in the top ten of {among}")
        latency, price = st.columns(2)
        latency.metric("p95 latency", formats.figure(card.p95) if card.p95.value is not None else "–")
        price.metric("$ per month", formats.figure(card.usd_per_month) if card.usd_per_month.value is not None else "–")
        if card.p95.value is None:
            widgets.caption(f"p95 {formats.figure(card.p95)}")
        widgets.caption(card.note)

hit_column, turn_column = st.columns(2)
with hit_column, st.container(border=True, height="stretch"):
    st.subheader("What an extra hit costs")
    widgets.say(finding.extra_hit or "Unknown until a language model and a classical recommender have finished.")
    if finding.break_even:
        widgets.say(finding.break_even)
with turn_column, st.container(border=True, height="stretch"):
    st.subheader("Where the picture turns")
    for sentence in finding.turns:
        widgets.say(sentence)
    if not finding.turns:
        st.write("No slices have been measured yet.")
widgets.caption(f"Protocol {protocol} · {widgets.conditions(rows)}")
widgets.method_card("quality", "latency", "price")

running, following = st.columns(2)
with running:
    st.subheader("What is running")
    progress.running(study)
with following:
    st.subheader("What next")
    widgets.link("answer/decide.py", "Set limits and see every trade-off")
    widgets.link("answer/plan.py", "Turn your traffic into devices and dollars a month")
    widgets.link("recommendations/side_by_side.py", "Look at the lists side by side")
    widgets.link("build/train.py", "Measure a model of your own")
    widgets.link("answer/report.py", "Send the report to somebody")
