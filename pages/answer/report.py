"""Report: the study as one HTML file for somebody without this app."""

import re
from datetime import UTC, datetime

import streamlit as st

from llmrec_core.language import t
from llmrec_core.reading import number_format, pdf, report, report_command
from pages.shared import (
    address,
    charts,
    data_doubts,
    frame,
    needs,
    pareto_chart,
    records,
    tables,
    widgets,
)

study = frame.study()
widgets.heading(
    t("Report"),
    t(
        "One HTML file with verdict, chart, table, an explanation and the conditions; "
        "it opens without a network."
    ),
    study,
)
if study is None:
    widgets.empty(t("There is no study to report on yet."))

comment = st.text_area(
    t("Your comment"),
    key="report_comment",
    max_chars=4000,
    placeholder=t("What the reader should know; shown as plain text."),
    persist_state="session",
)
traffic = needs.traffic()
compared = records.compared(study)
protocol = widgets.protocol_picker(compared, "report_protocol", hidden=True) or ""
untied = data_doubts.switched_off_ties(compared, protocol, "report_untied")
badge = widgets.badge_text(study) if study.recorded else ""
content = report.gather(
    records.of(study),
    study.name,
    comment=comment or "",
    traffic=traffic,
    pricing=frame.pricing(),
    badge=badge,
    untied=untied,
)
if not content.finding.cards:
    widgets.empty(
        t("No run of this study has finished yet; a report needs at least one."),
        page="build/runs.py",
        label=t("Watch the runs"),
    )
html = report.render(content)
words = re.sub(r"[^a-z0-9]+", "-", study.name.lower()).strip("-") or "study"
file_name = f"{words}-{datetime.now(UTC):%Y-%m-%d}"
as_html, as_pdf = st.columns([1, 3])
as_html.download_button(
    t("Download, {size}", size=number_format.size(len(html.encode()))),
    html,
    f"{file_name}.html",
    "text/html",
    key="report_download",
    type="primary",
    icon=":material/download:",
    on_click="ignore",
)
why_not = pdf.obstacle(html)
if why_not:
    widgets.caption(why_not)
else:
    as_pdf.download_button(
        t("Print as PDF"),
        lambda: pdf.printed(html),
        f"{file_name}.pdf",
        "application/pdf",
        key="report_pdf",
        icon=":material/picture_as_pdf:",
        on_click="ignore",
    )

st.header(t("Preview"))
with st.container(border=True):
    widgets.say(content.title, size="large")
    widgets.say(content.finding.headline, size="large")
    widgets.say(content.finding.sentence)
    widgets.say(f"{content.finding.ahead} {content.finding.tried}")
    if content.finding.exact:
        widgets.caption(content.finding.exact)
    widgets.caption(t("For: {needs}", needs=report.needs_words(content.traffic)))
    for sentence in content.doubts:
        st.warning(number_format.plain(sentence), icon=":material/warning:")
    if content.comment.strip():
        st.text(content.comment)
    st.plotly_chart(
        pareto_chart.pareto(content.chart, height=580, choice=content.choice.row),
        key="report_chart",
        config=charts.CONFIG,
        alt=t("Quality against price of a million requests"),
    )
    for sentence in pareto_chart.under_the_chart(content.chart, True, True):
        widgets.caption(sentence)
    widgets.say(f"{content.choice.sentence} {content.choice.why_not}")
    if content.plan:
        st.subheader(t("Plan for this traffic"))
        for sentence in content.plan:
            widgets.say(sentence)
    if content.explanation:
        st.subheader(t("Why this item"))
        widgets.say(content.explanation.sentence)
        for warning in content.explanation.warnings:
            widgets.say(f"⚠ {warning}")
        widgets.caption(t("Explained run: {run}", run=content.explanation.run))
    widgets.caption(widgets.conditions(content.rows))
    tables.table(
        report.conditions_table(content.rows, content.pricing),
        "report_conditions",
        "conditions.csv",
    )
st.caption(t("A link to this page with all that is typed here but the comment:"))
st.code(address.link(report_untied="true" if untied else ""), language=None, wrap_lines=True)
st.caption(
    t(
        "The same for a frame in a page of yours; `[web] embed` in `access.toml` has to name its "
        "origin:"
    )
)
st.code(
    address.link(report_untied="true" if untied else "", embed="true"),
    language=None,
    wrap_lines=True,
)
if study.recorded:
    st.caption(t("This study was recorded elsewhere, so no command of this home writes its file."))
else:
    st.caption(t("The same file from a terminal, in the terminal's language:"))
    st.code(
        report_command.command(
            study.name,
            f"{file_name}.html",
            traffic,
            frame.pricing(),
            comment=comment or "",
            untied=untied,
        ),
        language="bash",
        wrap_lines=True,
    )
