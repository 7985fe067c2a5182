"""The tab Robustness: what noise costs each run, and the button that measures it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import streamlit as st

from llmrec_core.checks import expected_time
from llmrec_core.contract.requests import RobustnessRequest
from llmrec_core.language import t
from llmrec_core.reading import check_results
from llmrec_core.reading.row import Row
from llmrec_core.reading.table import Table
from llmrec_core.retelling import retold
from pages.measure import measured_runs
from pages.shared import charts, measuring, records, tables, widgets

KEY = "quality_noise"


def section(study: records.Study | None, rows: Sequence[Row]) -> None:
    """Draw what was measured, then the choice of runs to measure."""
    documents = records.fresh_documents(study, rows, "robustness") if study and rows else {}
    if documents and study:
        _results(study, rows, documents)
    else:
        st.info(
            t(
                "Not measured yet: how much of its quality a run keeps when titles are damaged, "
                "histories are shuffled or hold foreign items, and labels are flipped."
            )
        )
    measured_runs.section(
        KEY,
        study,
        rows,
        kind="robustness",
        documents=documents,
        question=lambda run_id, users: RobustnessRequest(run=run_id, users=users),
        expected=expected_time.of_robustness,
    )
    if study is not None and not study.recorded:
        words = ["python", "-m", "llmrec_core", "robustness", "--study", study.name]
        measuring.from_terminal(shlex.join(words))


def _results(study: records.Study, rows: Sequence[Row], documents: check_results.Documents) -> None:
    for row in rows:
        if row.run_id in documents:
            widgets.say(check_results.worst_sentence(row.name, documents[row.run_id]))
    table = check_results.robustness_table(rows, documents)
    st.plotly_chart(
        charts.heat(*check_results.grid(table, "Run", "Noise", "Kept"), t("share kept")),
        key=KEY,
        config=charts.CONFIG,
        alt=t("Share of NDCG@10 that each run keeps under each noise"),
    )
    _not_measured(rows, table)
    tables.table(table, "quality_robustness", "quality_robustness.csv", study=study)
    widgets.caption(retold(next(iter(documents.values()))["definition"]))


def _not_measured(rows: Sequence[Row], table: Table) -> None:
    """The rows of the study that a chart leaves out."""
    shown = set(table.ids)
    missing = [row.name for row in rows if row.run_id not in shown]
    if missing:
        widgets.caption(t("Not measured: {names}.", names=", ".join(missing)))
