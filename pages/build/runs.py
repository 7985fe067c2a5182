"""Runs: what waits, runs, has finished or failed; one run in full; some runs compared."""

from __future__ import annotations

import streamlit as st

from llmrec_core.language import t
from llmrec_core.reading import run_list
from pages.build import run_comparison, run_detail
from pages.shared import address, frame, progress, records, tables, widgets

study = frame.study()
widgets.heading(
    t("Runs"),
    t("Progress of every run, its curves and log; stop or resume it; what differs between some."),
    study,
)
if study is None:
    widgets.empty(t("There is no study yet."))
runs = records.runs(study)
if not runs:
    widgets.empty(t("This study holds no runs yet."))

progress.running(study, links=False)
if not study.recorded:
    progress.queue_buttons(study, runs)
rows = {row.run_id: row for row in records.rows(study)}
wanted = address.choose_several(
    st.pills,
    t("State"),
    {run.state: run_list.state_title(run.state) for run in runs},
    "runs_state",
    selection_mode="multi",
)
shown = [run for run in runs if not wanted or run.state in wanted]
tables.table(run_list.run_table(shown, rows), "runs", "runs.csv", study=study)

one_tab, compare_tab = address.tabs(
    {"one": t("One run"), "compared": t("Runs compared")}, "runs_tab"
)
if one_tab.open:
    with one_tab:
        order = sorted(runs, key=lambda run: progress.ORDER.get(run.state, 9))
        names = widgets.run_names(list(rows.values()))
        chosen = address.choose(
            st.selectbox,
            t("Run"),
            {run.id: names(run.id) for run in order},
            "runs_id",
            default=order[0].id,
            moving=True,
        )
        run_detail.section(study, chosen)
if compare_tab.open:
    with compare_tab:
        finished = [row for row in rows.values() if row.state == "finished"]
        if len(finished) < 2:
            st.info(t("Two finished runs are needed for a comparison."))
        else:
            run_comparison.section(study, finished)
if any(run.state == "failed" for run in runs):
    widgets.caption(
        t(
            "Failed runs are tried again twice at most when the cause may pass; a wrong spec "
            "or wrong data is not tried again."
        )
    )
widgets.caption(widgets.conditions(list(rows.values())))
