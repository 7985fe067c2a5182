"""Quality: who is really better, where each model is weak, what noise does, what labels buy."""

import streamlit as st

from llmrec_core.language import t
from llmrec_core.reading import (
    check_results,
    clear_order,
    ladder,
    list_figures,
    pareto,
    protocols,
    slices,
    ties,
)
from llmrec_core.reading.comparison import best_first
from llmrec_core.reading.people import MIN_PEOPLE
from llmrec_core.reading.row import Row, document_of
from llmrec_core.retelling import retold
from pages.measure import checks, labels, noise, policies, published, sizes
from pages.shared import address, charts, data_doubts, frame, records, tables, widgets


def who_is_better(
    study: records.Study, order: list[Row], metric: str, protocol: str, untied: bool
) -> None:
    """The rows in order, which of them are tied, and whether another protocol agrees."""
    users = records.per_user(study, order, metric, protocol, untied=untied)
    compared = ties.pairs(order, users)
    title = pareto.METRICS[metric]
    widgets.say(ties.verdict(order, metric, protocol, compared, title), size="large")
    for other in other_protocols(order, protocol):
        agreement = protocols.agreement(
            order,
            metric,
            protocol,
            other,
            {
                protocol: users,
                other: records.per_user(study, order, metric, other, untied=untied),
            },
        )
        if agreement is not None:
            widgets.say(protocols.agreement_sentence(agreement, title))
    tables.table(
        ties.quality_table(order, metric, protocol, users, compared, data_doubts.flags(order)),
        "quality",
        "quality.csv",
        study=study,
    )
    st.caption(
        t(
            "Best: better than every other row. Tied: not told apart from the first row. "
            "Paired over the same people (at least {fewest}) and over seeds where there are "
            "several, p adjusted by Holm for all pairs of the study, level 0.05.",
            fewest=MIN_PEOPLE,
        )
    )
    with st.expander(t("All {count} pairs", count=len(compared))):
        tables.table(ties.pair_table(compared), "quality_pairs", "quality_pairs.csv")


def other_protocols(order: list[Row], protocol: str) -> list[str]:
    """The other protocols that these rows were measured under."""
    names = dict.fromkeys(name for row in order for name in row.protocols)
    return [name for name in names if name != protocol]


def by_slice(
    study: records.Study, order: list[Row], metric: str, protocol: str, untied: bool
) -> None:
    """Each row by groups of people."""
    documents = (
        records.document(study, row.run_id, document_of("facets", protocol, row)) for row in order
    )
    document = next(filter(None, documents), None)
    facets = slices.facet_names(document)
    if document is not None and facets:
        facet = address.choose(
            st.selectbox,
            t("Slice by"),
            {name: retold(name) for name in facets},
            "quality_facet",
            default=facets[0],
        )
        users = records.per_user(study, order, metric, protocol, untied=untied)
        table = slices.slice_table(order, users, slices.members(document, facet))
    else:
        st.caption(
            t("These records do not name the people of finer slices; runs made from now on do.")
        )
        table = slices.recorded_slices(order, metric, protocol)
    title = pareto.METRICS[metric]
    st.plotly_chart(
        charts.heat(*check_results.grid(table, "Run", "Group", "Value"), title),
        key="quality_slices",
        config=charts.CONFIG,
        alt=t("{title} of each run in each slice", title=title),
    )
    nobody = slices.empty_groups(order, metric, protocol)
    if nobody:
        widgets.caption(t("Nobody of this sample belongs to: {names}.", names=", ".join(nobody)))
    tables.table(table, "quality_slices", "quality_slices.csv", study=study)
    st.caption(
        t(
            "Weakest: lowest mean among the groups of at least {fewest} people. Intervals: 95 %.",
            fewest=MIN_PEOPLE,
        )
    )


def list_tab(study: records.Study, order: list[Row], protocol: str) -> None:
    """What the lists are like."""
    table = list_figures.list_table(order, protocol)
    if not table.lines:
        st.info(t("These records say nothing of their lists; runs made from now on do."))
        return
    tables.table(table, "quality_lists", "quality_lists.csv", study=study)
    for sentence in list_figures.missing_figures(order, protocol):
        widgets.caption(sentence)
    st.caption(t(list_figures.DEFINITION))


study = frame.study()
widgets.heading(
    t("Quality"),
    t("Who is really better, who is only lucky, and for whom a good mean hides a bad experience."),
    study,
)
rows = records.compared(study) if study else []
if not any(row.protocols for row in rows):
    nothing = t("No run of this study has finished yet, so there is no quality to read.")
    if not (records.label_curves() or records.dataset_names()):
        widgets.empty(nothing)
    st.info(nothing, icon=":material/info:")
    widgets.link("build/train.py", t("Queue a run"))

metric_column, protocol_column = st.columns(2)
metric = widgets.metric_picker(metric_column, "quality_metric")
with protocol_column:
    protocol = widgets.protocol_picker(rows, "quality_protocol") or ""
untied = data_doubts.switched_off_ties(rows, protocol, "quality_untied")
if untied:
    rows = clear_order.without_tied(rows)
if protocol:
    widgets.caption(t("Under this protocol {words}.", words=protocols.in_words(protocol)))
measured = [row for row in rows if protocol in row.protocols]
order = best_first(measured, metric, protocol) if protocol else []
titles = {
    "ties": t("Ties"),
    "sizes": t("Sizes"),
    "published": t("Published"),
    "slices": t("Slices"),
    "lists": t("Lists"),
    "robustness": t("Robustness"),
    "labels": t("Labels"),
    "policy": t("Policy"),
    "checks": t("Checks"),
}
if not order:  # what needs no run stays
    titles = {name: titles[name] for name in ("checks", "labels")}
ladders = [group for group in ladder.groups(order, metric, protocol) if ladder.has_steps(group)]
if not ladders:
    titles.pop("sizes", None)
tabs = dict(zip(titles, address.tabs(titles, "quality_tab"), strict=True))
opened = next((name for name, tab in tabs.items() if tab.open), next(iter(tabs)))
with tabs[opened]:
    match opened:
        case "ties" if study:
            who_is_better(study, order, metric, protocol, untied)
        case "sizes" if study:
            sizes.section(study, ladders, metric, protocol, untied)
        case "published" if study:
            published.section(study, order, metric, protocol)
        case "slices" if study:
            by_slice(study, order, metric, protocol, untied)
        case "lists" if study:
            list_tab(study, order, protocol)
        case "robustness":
            noise.section(study, order)
        case "labels":
            labels.section()
        case "policy":
            policies.section(study, order)
        case "checks":
            checks.section(study, order)
widgets.caption(widgets.conditions(measured))
widgets.method_card("quality")
