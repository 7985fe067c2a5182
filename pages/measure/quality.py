"""Quality: who is really better, where each model is weak, what noise does to it, and what labels buy."""

import streamlit as st

from llmrec_core.experiments import front, label_files, quality
from pages.shared import charts, frame, policies, records, widgets

study = frame.study()
widgets.heading(
    "Quality", "Who is really better, who is only lucky, and for whom a good mean hides a bad experience.", study
)
rows = records.rows(study) if study else []
curves = label_files.read_all(records.settings())
if not any(row.protocols for row in rows) and not curves:
    widgets.empty("No run of this study has finished yet, so there is no quality to read.")

metric_column, protocol_column = st.columns(2)
metric = widgets.metric_picker(metric_column, "quality_metric")
with protocol_column:
    protocol = widgets.protocol_picker(rows, "quality_protocol")
title = front.METRICS[metric]
table_tab, slice_tab, list_tab, noise_tab, label_tab, policy_tab, check_tab = st.tabs(
    ["Ties", "Slices", "Lists", "Robustness", "Labels", "Policy", "Checks"],
    key="quality_tab",
    on_change="rerun",
    bind="query-params",
)
measured = [row for row in rows if protocol in row.protocols]
order = quality.best_first(measured, metric, protocol) if protocol else []

if table_tab.open and order:
    with table_tab:
        users = records.per_user(study, order, metric, protocol)
        found = quality.pairs(order, users)
        widgets.say(quality.verdict(order, metric, protocol, found, title), size="large")
        widgets.table(quality.quality_table(order, metric, protocol, users, found), "quality", "quality.csv")
        st.caption(
            "Best: better than every other row. Tied: not told apart from the first row. Paired over the same people, "
            "p adjusted by Holm for all pairs of the study, level 0.05."
        )
        with st.expander(f"All {len(found)} pairs"):
            widgets.table(quality.pair_table(found), "quality_pairs", "quality_pairs.csv")

if slice_tab.open and order:
    with slice_tab:
        document = next(filter(None, (records.document(study, row.run_id, "facets") for row in order)), None)
        names = quality.facet_names(document)
        if names:
            facet = st.selectbox("Slice by", names, key="quality_facet", bind="query-params")
            users = records.per_user(study, order, metric, protocol)
            slices = quality.slice_table(order, users, quality.members(document, facet))
        else:
            st.caption("These records do not name the people of finer slices; runs made from now on do.")
            slices = quality.recorded_slices(order, metric, protocol)
        st.plotly_chart(
            charts.heat(*quality.grid(slices, "Group", "Value"), title),
            key="quality_slices",
            config=charts.CONFIG,
            alt=f"{title} of each run in each slice",
        )
        widgets.table(slices, "quality_slices", "quality_slices.csv")
        st.caption(f"Weakest: lowest mean among the groups of at least {quality.FEW} people. Intervals: 95 %.")

if list_tab.open and order:
    with list_tab:
        lists = quality.list_table(order, protocol)
        if len(lists):
            widgets.table(lists, "quality_lists", "quality_lists.csv")
            st.caption(quality.LIST_DEFINITION)
        else:
            st.info("These records say nothing of their lists; runs made from now on do.")

if noise_tab.open:
    with noise_tab:
        found_noise = records.fresh_documents(study, order, "robustness") if order else {}
        if found_noise:
            for run, body in found_noise.items():
                widgets.say(quality.worst_sentence(run, body))
            noise = quality.robustness_table(found_noise)
            st.plotly_chart(
                charts.heat(*quality.grid(noise, "Noise", "Kept"), "share kept"),
                key="quality_noise",
                config=charts.CONFIG,
                alt="Share of NDCG@10 that each run keeps under each noise",
            )
            widgets.table(noise, "quality_robustness", "quality_robustness.csv")
            widgets.caption(next(iter(found_noise.values()))["definition"])
        else:
            st.info("Not measured yet. Measure a finished run, or all runs of a study:")
            st.code("python -m llmrec_core robustness --study " + (study.name if study else "NAME"), language=None)

if label_tab.open:
    with label_tab:
        if curves:
            name = st.selectbox("Curve", list(curves), key="quality_curve", bind="query-params")
            body = curves[name]
            points = quality.curve_table(body)
            by_price = st.toggle("Against the price of training", key="quality_by_price", bind="query-params")
            st.plotly_chart(
                charts.label_curve(points, body["metric_title"], by_price),
                key="quality_labels",
                config=charts.CONFIG,
                alt=f"{body['metric_title']} against {'price' if by_price else 'labels'} by method",
            )
            widgets.table(points, "quality_labels", "quality_labels.csv")
            widgets.caption(body["conditions"])
        else:
            st.info("No label curve yet: how quality grows with the number of labels, for cheap and dear models.")
            st.code("python -m llmrec_core label-curve --data ml-100k", language=None)
if policy_tab.open:
    with policy_tab:
        policies.section(study, order)

if check_tab.open:
    with check_tab:
        checks = quality.check_table(records.fresh_documents(study, order, "checks") if order else {})
        if len(checks):
            widgets.say(quality.check_sentence(checks))
            widgets.table(checks, "quality_checks", "quality_checks.csv")
        else:
            st.info("These records hold no checks; runs made from now on do. For the data and the classical models:")
            st.code("python -m llmrec_core data check ml-100k", language=None)
widgets.caption(widgets.conditions(measured))
widgets.method_card("quality")
