"""Decide: quality against any cost, the front, and one sentence for the limits typed."""

from dataclasses import dataclass

import streamlit as st

from llmrec_core.costmodel.facts.devices import Device
from llmrec_core.language import t
from llmrec_core.reading import (
    number_format,
    pareto,
    predicted_rows,
    slices,
    stability,
    study_tables,
)
from llmrec_core.reading.bills import monthly
from llmrec_core.reading.choice import Choice, choose, failing
from llmrec_core.reading.comparison import comparability
from llmrec_core.reading.limits import Limits
from llmrec_core.reading.pricing import AXES, usd_per_million
from llmrec_core.reading.question import Question
from llmrec_core.reading.row import Row
from llmrec_core.reading.several_runs import FEWEST, MOST
from llmrec_core.reading.turns import members_of, slice_sizes
from llmrec_core.reading.verdict import sure_words
from pages.answer import price_difference
from pages.shared import (
    address,
    data_doubts,
    frame,
    hardware,
    needs,
    pareto_chart,
    records,
    tables,
    widgets,
)
from pages.shared.navigation import page_path

HERE = "here"
SELECTING = {"displaylogo": False, "modeBarButtonsToRemove": ["lasso2d", "autoScale2d"]}


@dataclass(frozen=True)
class Picked:
    """What the reader has picked above the chart."""

    metric: str
    axis: str
    protocol: str
    part: str
    where: str
    language_only: bool
    dominated: bool
    logarithmic: bool


def picked(rows: list[Row], devices: dict[str, Device]) -> Picked:
    """The pickers above the chart."""
    quality_column, axis_column, protocol_column, slice_column = st.columns(4)
    metric = widgets.metric_picker(quality_column, "decide_metric")
    axis = address.choose(
        axis_column.selectbox,
        t("Cost"),
        {name: t(axis.title) for name, axis in AXES.items()},
        "decide_cost",
        default=next(iter(AXES)),
        help="\n\n".join(f"**{t(axis.title)}**: {t(axis.help)}" for axis in AXES.values()),
    )
    with protocol_column:
        protocol = widgets.protocol_picker(rows, "decide_protocol") or ""
    sizes = slice_sizes(rows, metric, protocol)
    parts = [name for name, people in sizes.items() if people]
    part = address.choose(
        slice_column.selectbox,
        t("Users"),
        {name: slices.title(name) for name in dict.fromkeys(["all", *parts])},
        "decide_slice",
        default="all",
    )
    where_column, language_column, dominated_column, log_column = st.columns(
        [2, 1, 1, 1], vertical_alignment="bottom"
    )
    where = address.choose(
        where_column.selectbox,
        t("Machine of the language models"),
        {HERE: t("as measured")}
        | {name: t("{device}, predicted", device=name) for name in devices},
        "decide_machine",
        default=HERE,
        help=t(
            "Predicted: the same requests on a device of the catalogue, with 80 % intervals and "
            "its median price on demand. Recommenders without a language model keep what was "
            "measured."
        ),
    )
    return Picked(
        metric,
        axis,
        protocol,
        part,
        where,
        language_column.toggle(
            t("Language models only"),
            key="decide_language",
            bind="query-params",
            help=t("Rows in whose order a language model has a say, as on Start."),
        ),
        dominated_column.toggle(
            t("Dominated points"), value=True, key="decide_dominated", bind="query-params"
        ),
        log_column.toggle(t("Log scale"), value=True, key="decide_log", bind="query-params"),
    )


def say_choice(
    choice: Choice, rows: list[Row], limits: Limits, question: Question, here: bool
) -> None:
    """The choice in words: what, why not the next, how sure, and what a month of it costs."""
    with st.container(border=True):
        widgets.say(choice.sentence, size="large")
        if choice.why_not:
            widgets.say(choice.why_not)
        sure = sure_words(choice, rows, limits, question)
        if sure:
            widgets.caption(sure)
        if choice.row is not None:
            bill = monthly(choice.row, limits.requests_per_month, question.pricing, limits.p95_s)
            widgets.caption(
                t(
                    "{millions:g} million requests a month, in whole machines with a spare: "
                    "{bill}.",
                    millions=limits.requests_per_month / needs.MILLION,
                    bill=number_format.figure(bill),
                )
            )
        unable = failing(choice, rows, limits, question)
        if unable and here:
            devices = hardware.catalogue().values()
            widgets.say(predicted_rows.way_out(unable, devices, limits, question.pricing))


def settle(choice: Choice, question: Question) -> None:
    """What would settle an undecided question between the choice and the next best."""
    if choice.row is None or choice.next_best is None:
        return
    gap = question.difference(choice.row, choice.next_best)
    if gap is None or gap.distinguishable:
        return
    people = (question.users[row.run_id] for row in (choice.row, choice.next_best))
    more = stability.what_would_settle(*people)
    if more is not None:
        widgets.caption(
            t(
                "Between {choice} and {other}: {settle}.",
                choice=choice.row.name,
                other=choice.next_best.name,
                settle=stability.settle_words(more, gap.n),
            )
        )


def draw(chart: pareto.Chart, choice: Choice, view: Picked, limits: Limits) -> list[str]:
    """The chart, and under it every row that it does not show.

    Returns:
        Ids of the runs that a click or a box has marked, best first.
    """
    marked_ids: list[str] = []
    if chart.points:
        limit = {"latency_p95_s": limits.p95_s, "usd_per_million": limits.usd_per_million}
        figure = pareto_chart.pareto(
            chart,
            view.dominated,
            view.logarithmic,
            choice=choice.row,
            limit=limit.get(chart.axis),
            marked=tables.clicked_run("decide"),
        )
        event = st.plotly_chart(
            figure.update_layout(dragmode="select"),
            key="decide_chart",
            config=SELECTING,
            alt=t("Scatter of quality against cost with 95 % intervals and the Pareto front"),
            on_select="rerun",
            selection_mode=("points", "box"),
        )
        points = sorted(event.selection.points, key=lambda point: -float(point["y"]))
        ids = [str(point.get("customdata", "")) for point in points]
        marked_ids = [run_id for run_id in dict.fromkeys(ids) if run_id]
    else:
        st.info(t("No row has both figures, so there is nothing to draw; the reasons stand below."))
    for sentence in pareto_chart.under_the_chart(chart, view.dominated, view.logarithmic):
        widgets.caption(sentence)
    return marked_ids


def offer_comparison(study: records.Study, marked_ids: list[str]) -> None:
    """What to do with the marks that a click or a box has picked."""
    if len(marked_ids) < FEWEST:
        st.caption(
            t(
                "Click a mark to have its line first in the table, a line to have its mark framed; "
                "draw a box to compare some runs."
            )
        )
        return
    compared = marked_ids[:MOST]
    if st.button(
        t("Compare these {count} runs", count=len(compared)),
        key="decide_compare",
        icon=":material/compare_arrows:",
    ):
        st.switch_page(
            page_path("build/runs.py"),
            query_params={
                "study": study.key,
                "runs_tab": "compared",
                "runs_compared": compared,
            },
        )
    if len(marked_ids) > MOST:
        st.caption(
            t(
                "{all} marks are in the box; at most {most} runs are compared, the best ones.",
                all=len(marked_ids),
                most=MOST,
            )
        )


@frame.redrawn_alone
def decide(study: records.Study) -> None:
    """The limits, and below them what they choose among."""
    measured = records.compared(study)
    seeds_alone = any(row.members for row in measured) and st.toggle(
        t("Every seed on its own"), key="decide_seeds", bind="query-params"
    )
    if seeds_alone:
        measured = records.rows(study)
    limits = needs.limits(
        [row.request_figure("latency_p95_s").value for row in measured],
        [usd_per_million(row, frame.pricing()).value for row in measured],
    )
    choose_and_draw(study, seeds_alone, limits)


@frame.redrawn_alone
def choose_and_draw(study: records.Study, seeds_alone: bool, limits: Limits) -> None:
    """What the pickers above the chart change: the choice, the chart and the table."""
    measured = records.rows(study) if seeds_alone else records.compared(study)
    pricing, devices = frame.pricing(), hardware.catalogue()
    rows = measured
    view = picked(rows, devices)
    nobody = slices.empty_groups(rows, view.metric, view.protocol)
    if nobody:
        widgets.caption(t("Nobody of this sample belongs to: {slices}.", slices=", ".join(nobody)))
    refused: list[tuple[str, str]] = []
    if view.where != HERE:
        rows, refused = predicted_rows.on_device(rows, devices[view.where], pricing)
    if view.language_only:
        rows = [row for row in rows if row.language_model_decides]
    users = records.per_user(study, rows, view.metric, view.protocol)
    members = None if view.part == "all" else members_of(rows, view.part, view.protocol)
    if view.part != "all" and members is None:
        users = {}  # the users of this slice were not recorded, so rows cannot be compared by user
    question = Question(view.metric, view.protocol, users, pricing, view.part, members)
    choice = choose(rows, limits, question)
    say_choice(choice, rows, limits, question, view.where == HERE)
    settle(choice, question)
    data_doubts.beside(measured)

    chart = pareto.chart(rows, view.metric, view.protocol, view.axis, view.part, pricing)
    st.badge(
        t("protocol {protocol}", protocol=number_format.plain(view.protocol)),
        icon=":material/rule:",
        color="blue",
    )
    for warning in comparability(measured, view.protocol):
        widgets.caption(t("⚠ {warning}", warning=warning))
    marked_ids = draw(chart, choice, view, limits)
    if chart.points:
        offer_comparison(study, marked_ids)
    widgets.caption(
        t(
            "Colour: kind of recommender. Shape: precision. Bars: 95 % interval over users, and "
            "over seeds where there are several. Open: assumed or predicted, not measured. "
            "{conditions}",
            conditions=widgets.conditions(measured),
        )
    )
    if view.where != HERE:
        widgets.caption(
            t(
                "On {where}: open marks with their 80 % interval along the cost; p95 takes the "
                "spread over p50 that was measured here. Filled marks stay as measured, on "
                "another machine. Other hardware shows how good such predictions are.",
                where=view.where,
            )
        )
    for name, reason in refused:
        widgets.caption(t("Not predicted: {name} – {reason}", name=name, reason=reason))
    table = study_tables.study_table(
        rows,
        view.protocol,
        chart,
        pricing,
        slice_name=view.part,
        choice=choice,
        limits=limits,
        flags=data_doubts.flags(rows),
    )
    tables.table(
        table.first(marked_ids[0]) if len(marked_ids) == 1 else table,
        "decide",
        "decide.csv",
        study=study,
        marks=True,
    )
    price_difference.section(measured, pricing)
    widgets.method_card("quality", "latency", "price", "flops", "memory", "energy")


study = frame.study()
widgets.heading(
    t("Decide"),
    t("Every recommender by what it gives and what it costs; type limits and read the choice."),
    study,
)
if study is None:
    widgets.empty(
        t(
            "There is no study to decide on. Queue runs, or let `python -m llmrec_core "
            "demo` make the default study."
        )
    )
if not any(row.protocols for row in records.compared(study)):
    widgets.empty(
        t("No run of this study has finished yet; points appear here one by one."),
        page="build/runs.py",
        label=t("Watch the runs"),
    )
decide(study)
