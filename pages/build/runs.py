"""Runs: what waits, runs, has finished or failed; one run in full; two runs compared."""

import pandas as pd
import streamlit as st

from llmrec_core.experiments import formats
from pages.shared import frame, progress, records, run_detail, widgets

study = frame.study()
widgets.heading("Runs", "Progress of every run, its curves and log; stop or retry it; what differs between two.", study)
if study is None:
    widgets.empty("There is no study yet.")
runs = records.runs(study)
if not runs:
    widgets.empty("This study holds no runs yet.")

progress.running(study, links=False)
rows = {row.run_id: row for row in records.rows(study)}
states = list(dict.fromkeys(run.state for run in runs))
wanted = st.pills("State", states, selection_mode="multi", key="runs_state", bind="query-params")
shown = [run for run in runs if not wanted or run.state in wanted]
table = pd.DataFrame(
    {
        "Run": [run.name for run in shown],
        "State": [run.state for run in shown],
        "NDCG@10": [run_detail.headline(rows[run.id], "ndcg@10") for run in shown],
        "p95": [run_detail.headline(rows[run.id], "latency_p95_s") for run in shown],
        "Took": [run_detail.took(run) for run in shown],
        "Attempt": [run.attempt for run in shown],
        "Error": [run.error or "" for run in shown],
        "Id": [run.id for run in shown],
    }
)
widgets.table(table, "runs", "runs.csv")

names = {run.id: run.name for run in runs}
one_tab, two_tab = st.tabs(["One run", "Two runs compared"], key="runs_tab", on_change="rerun", bind="query-params")
if one_tab.open:
    with one_tab:
        order = sorted(
            names, key=lambda run_id: progress.ORDER.get(next(run.state for run in runs if run.id == run_id), 9)
        )
        chosen = st.selectbox("Run", order, format_func=names.get, key="runs_id", bind="query-params")
        run_detail.one(study, chosen)
if two_tab.open:
    with two_tab:
        finished = [row for row in rows.values() if row.state == "finished"]
        if len(finished) < 2:
            st.info("Two finished runs are needed for a comparison.")
        else:
            run_detail.two(study, finished)
if any(run.state == "failed" for run in runs):
    widgets.caption(
        "Failed runs are retried twice at most when the cause may pass; a wrong spec or wrong data is not retried."
    )
widgets.caption(f"{formats.count(len(runs))} runs · {widgets.conditions(list(rows.values()))}")
