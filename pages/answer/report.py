"""Report: the study as one HTML file for somebody without this app."""

import re

import streamlit as st

from llmrec_core.experiments import formats, report, verdict
from pages.shared import charts, frame, records, widgets

study = frame.study()
widgets.heading(
    "Report",
    "One HTML file with verdict, chart, table, an explanation and the conditions; it opens without a network.",
    study,
)
if study is None:
    widgets.empty("There is no study to report on yet.")

left, right = st.columns([2, 1])
comment = left.text_area(
    "Your comment",
    key="report_comment",
    max_chars=4000,
    placeholder="What the reader should know; shown as plain text.",
    persist_state="session",
)
millions = right.number_input(
    "Traffic, million requests per month",
    min_value=0.001,
    max_value=1e6,
    value=10.0,
    step=1.0,
    format="%.6g",
    key="report_requests",
    bind="query-params",
)
badge = widgets.badge_text(study) if study.recorded else ""
content = report.gather(
    records.of(study),
    study.name,
    comment=comment or "",
    traffic=verdict.Traffic(millions * 1e6),
    pricing=frame.pricing(),
    badge=badge,
)
if not content.finding.cards:
    widgets.empty(
        "No run of this study has finished yet; a report needs at least one.",
        page="build/runs.py",
        label="Watch the runs",
    )
html = report.render(content)
file_name = re.sub(r"[^a-z0-9]+", "-", study.name.lower()).strip("-") or "study"
right.download_button(
    f"Download, {formats.size(len(html.encode()))}",
    html,
    f"{file_name}.html",
    "text/html",
    key="report_download",
    type="primary",
    icon=":material/download:",
    on_click="ignore",
)

st.subheader("Preview")
with st.container(border=True):
    widgets.say(content.title, size="title")
    widgets.say(content.finding.sentence)
    if content.comment.strip():
        st.text(content.comment)
    st.plotly_chart(
        charts.pareto(content.chart, height=440),
        key="report_chart",
        config=charts.CONFIG,
        alt="Quality against price of a million requests",
    )
    widgets.say(f"{content.choice.sentence} {content.choice.why_not}")
    if content.explanation:
        widgets.say(content.explanation.text)
    widgets.caption(widgets.conditions(content.rows))
    widgets.table(report.conditions_table(content.rows), "report_conditions", "conditions.csv")
st.caption(
    "The same file from a terminal: `python -m llmrec_core report --study NAME --out report.html`, NAME being "
    + formats.plain(study.name)
)
