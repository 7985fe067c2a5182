"""Some runs beside each other: quality, costs, training, and how their specs differ."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from llmrec_core.language import t
from llmrec_core.reading import number_format, several_runs, study_tables
from llmrec_core.reading.comparison import best_first, comparability, exam_of, why_not_paired
from llmrec_core.reading.pareto import METRICS
from llmrec_core.reading.people import MIN_PEOPLE
from llmrec_core.reading.row import Row
from llmrec_core.reading.several_runs import FEWEST, MOST
from pages.build import run_charts
from pages.shared import address, charts, frame, records, tables, widgets


def section(study: records.Study, rows: Sequence[Row]) -> None:
    """Two to six runs to choose, and what differs between them."""
    by_id = {row.run_id: row for row in rows}
    names = {row.run_id: row.name for row in rows}
    chosen_column, base_column = st.columns([2, 1])
    chosen_ids = address.choose_several(
        chosen_column.multiselect,
        t("Runs, {fewest} to {most}", fewest=FEWEST, most=MOST),
        names,
        "runs_compared",
        default=[row.run_id for row in _best_two(rows)],
        moving=True,
        most=MOST,
    )
    chosen = [by_id[run_id] for run_id in chosen_ids]
    if len(chosen) < FEWEST:
        st.caption(t("Choose two runs or more."))
        return
    base_id = address.choose(
        base_column.selectbox,
        t("Compared with"),
        {run_id: names[run_id] for run_id in chosen_ids},
        "runs_base",
        default=chosen_ids[-1],
    )
    base = by_id[base_id]
    others = [row for row in chosen if row is not base]
    metric = _quality(study, base, others)
    _costs(chosen, base)
    _curves(study, chosen)
    _axes(rows, chosen, base, metric)
    st.header(t("What differs in the spec"))
    tables.table(study_tables.spec_differences(chosen), "runs_spec", "differences.csv")


def _best_two(rows: Sequence[Row]) -> list[Row]:
    """The best run and the next one by the usual metric; any two where nothing is measured."""
    metric = next(iter(METRICS))
    protocol = next((name for row in rows for name in row.protocols), "")
    speaking = [row for row in rows if not row.language_model_silent]  # not its retriever's twin
    ranked = best_first(speaking, metric, protocol)
    return [*ranked, *(row for row in rows if row not in ranked)][:FEWEST]


def _quality(study: records.Study, base: Row, others: Sequence[Row]) -> str:
    """The paired differences, or why there are none; returns the metric that is looked at."""
    st.header(t("Quality, person by person"))
    metric = widgets.metric_picker(st.container(), "runs_metric")
    reasons = {row.run_id: why_not_paired(row, base) for row in others}
    for reason in filter(None, reasons.values()):
        widgets.caption(reason)
    alike = [row for row in others if not reasons[row.run_id]]
    protocol = next(
        (name for name in base.protocols if all(name in row.protocols for row in alike)), None
    )
    if not alike:
        return metric
    if protocol is None:
        st.warning(t("These runs were measured under different protocols and are not compared."))
        return metric
    people = {name: records.per_user(study, [base, *alike], name, protocol) for name in METRICS}
    listed = several_runs.gaps(base, alike, people)
    if not listed:
        st.caption(
            t("They share fewer than {fewest} people and are not compared.", fewest=MIN_PEOPLE)
        )
        return metric
    drawn = [gap for gap in listed if gap.metric == metric]
    if drawn:
        st.plotly_chart(
            charts.intervals(
                [gap.row.name for gap in drawn],
                [gap.difference.mean for gap in drawn],
                [gap.difference.low for gap in drawn],
                [gap.difference.high for gap in drawn],
                t("{metric} minus that of the run compared with, 95 %", metric=METRICS[metric]),
            ),
            key="runs_intervals",
            config=charts.CONFIG,
            alt=t("Paired differences with intervals"),
        )
    tables.table(several_runs.gap_table(listed), "runs_gaps", "gaps.csv", study=study)
    widgets.caption(
        t(
            "{protocol}; every difference is the run's value less that of {base}, taken person by "
            "person, with its 95 % interval over people and seeds; not corrected for the number "
            "of runs.",
            protocol=protocol,
            base=base.name,
        )
    )
    return metric


def _costs(chosen: Sequence[Row], base: Row) -> None:
    """What memory and money consist of, and every cost in figures."""
    st.header(t("Costs"))
    alike = [row for row in chosen if exam_of(row) == exam_of(base)]
    for warning in comparability(alike, next(iter(base.protocols), "")):
        widgets.caption(t("⚠ {warning}", warning=warning))
    pricing = frame.pricing()
    names = [row.name for row in chosen]
    dollars = t("$ for training and a million requests")
    memory, money = st.columns(2)
    _parts(memory, names, several_runs.memory_parts(chosen), t("MiB while serving"), "memory")
    _parts(money, names, several_runs.money_parts(chosen, pricing), dollars, "money")
    tables.table(study_tables.cost_table(chosen, pricing), "runs_costs", "costs.csv")


def _parts(
    place: DeltaGenerator,
    names: Sequence[str],
    parts: dict[str, list[float | None]],
    unit: str,
    key: str,
) -> None:
    """A chart of parts, and which runs have none."""
    missing = [
        name
        for index, name in enumerate(names)
        if all(values[index] is None for values in parts.values())
    ]
    if len(missing) < len(names):
        place.plotly_chart(
            run_charts.stacked(names, parts, unit),
            key=f"runs_parts_{key}",
            config=charts.CONFIG,
            alt=unit,
        )
    if missing:
        place.caption(
            number_format.plain(
                t("Not measured for {names}: {what}.", names=", ".join(missing), what=unit)
            )
        )


def _curves(study: records.Study, chosen: Sequence[Row]) -> None:
    """Training curves over each other, and where each run validated best."""
    ledger = records.of(study)
    curves = {row.run_id: several_runs.of_training(ledger.curves(row.run_id)) for row in chosen}
    trained = {row.name: curves[row.run_id] for row in chosen if not curves[row.run_id].empty}
    if not trained:
        return
    st.header(t("Training"))
    run_charts.draw_curves(trained, "runs_curves")
    tables.table(several_runs.best_steps(chosen, curves), "runs_steps", "steps.csv", study=study)


def _axes(rows: Sequence[Row], chosen: Sequence[Row], base: Row, metric: str) -> None:
    """All finished runs of one exam across quality and costs, the chosen ones in colour."""
    alike = [row for row in rows if exam_of(row) == exam_of(base)]
    protocol = next(iter(base.protocols), "")
    axes = several_runs.axes(alike, metric, protocol, frame.pricing())
    places = several_runs.measured_on_all(axes)
    left_out = [row.name for place, row in enumerate(alike) if place not in places]
    if len(places) < FEWEST or len(axes) < 2:
        return
    st.header(t("All runs across quality and costs"))
    drawn = [alike[place] for place in places]
    ids = [row.run_id for row in chosen]
    st.plotly_chart(
        run_charts.parallel(
            [row.name for row in drawn],
            [ids.index(row.run_id) if row.run_id in ids else None for row in drawn],
            [several_runs.at_places(axis, places) for axis in axes],
        ),
        key="runs_axes",
        config=charts.CONFIG,
        alt=t("A line a run across quality and costs"),
    )
    st.caption(
        t(
            "Drag along an axis to keep only the runs of that range, click beside the mark to "
            "release it. The chosen runs are coloured, all others grey."
        )
    )
    if left_out:
        widgets.caption(t("Not drawn, a figure is missing: {names}.", names=", ".join(left_out)))
