"""The parts of the Plan page below its question; every figure comes from the cost model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import streamlit as st

from llmrec_core.costmodel.plan import jobs, sentences
from llmrec_core.costmodel.plan.planner import Need, Plan, Step
from llmrec_core.costmodel.plan.traffic import Traffic
from llmrec_core.language import language, t, tn
from llmrec_core.reading import number_format, planned
from llmrec_core.reading.chart_symbols import SERIES
from llmrec_core.reading.planned import Subject
from llmrec_core.reading.pricing import Pricing
from llmrec_core.reading.row import Row
from pages.answer.plan_fields import number, optional, whole
from pages.shared import hardware, hardware_charts, hardware_tables, tables, widgets
from pages.shared.address import choose, choose_several
from pages.shared.charts import CONFIG


@st.cache_data(max_entries=64, show_spinner=False)
def _plans(_subject: Subject, _need: Need, stamp: str) -> list[Plan]:
    return planned.plans(_subject, hardware.catalogue().values(), _need)


def plans(subject: Subject, need: Need) -> list[Plan]:
    """Every device's plan, remembered by the question."""
    with st.spinner(t("Planning every device")):
        return _plans(subject, need, _stamp(subject, need))


def _stamp(subject: Subject, need: Need) -> str:
    """All that a plan and its sentences depend on: of coefficients what own runs change."""
    coefficients = need.coefficients
    pulled = (coefficients.pulls, coefficients.own_widths) if coefficients else ()
    own = [device for device in hardware.catalogue().values() if device.own]
    row = subject.row.run_id if subject.row else ""
    question = (subject.name, row, subject.request, subject.pricing)
    return f"{question} {replace(need, coefficients=None)} {pulled} {own} {language()}"


def headline(best: Plan) -> None:
    """The cheapest plan in five figures, and where its terms come from."""
    bill = best.bill
    if bill is None or bill.usd_per_month is None:
        return
    tonnes = bill.t_co2e_per_month
    cells = st.columns(5)
    for cell, (title, text, help_text) in zip(
        cells,
        (
            (t("Devices"), f"{bill.devices:,}", sentences.devices(bill)),
            (t("Busy at peak"), number_format.share(round(bill.fleet.utilisation, 2)), None),
            ("p95", number_format.duration(bill.fleet.p95_s), None),
            (
                t("$ per month"),
                number_format.dollars(bill.usd_per_month),
                t("80 % interval: {money}", money=hardware_tables.money(best)),
            ),
            (
                t("tCO2e per month"),
                "–" if tonnes is None else number_format.significant(tonnes, 2),
                None if tonnes is not None else t("The power of the machine is not known."),
            ),
        ),
        strict=True,
    ):
        shown = number_format.plain(help_text) if help_text else None
        cell.metric(title, text, help=shown, border=True, height="stretch")
    widgets.caption(
        t(
            "$ per month {money}; tCO2e per month {carbon}; {million} per million requests. "
            "{device}: {origin}",
            money=hardware_tables.money(best),
            carbon=hardware_tables.carbon(best),
            million=number_format.dollars(bill.usd_per_million or 0.0),
            device=best.device,
            origin=sentences.origin(bill),
        )
    )


def mark(plan: Plan) -> hardware_charts.Mark:
    """A priced plan on the chart; an end that misses the limit is drawn at the prediction."""
    assert plan.bill and plan.bill.usd_per_month, "only priced plans are drawn"
    value = plan.bill.usd_per_month
    note = t("{devices:,} devices; {note}", devices=plan.devices, note=plan.note)
    return hardware_charts.Mark(
        plan.device, value, plan.bill.usd_low80 or value, plan.bill.usd_high80 or value, note
    )


def _asked(traffic: Traffic) -> str:
    """What the plans answer, in a phrase."""
    requests = number_format.count(traffic.requests_per_day)
    if traffic.p95_s is None:
        return t("{requests_per_day} requests a day", requests_per_day=requests)
    return t(
        "{requests_per_day} requests a day at p95 ≤ {p95:g} ms",
        requests_per_day=requests,
        p95=1e3 * traffic.p95_s,
    )


def every_device(title: str, traffic: Traffic, listed: Sequence[Plan]) -> None:
    """All plans: a chart of the priced ones, a table of all."""
    widgets.say(
        tn(
            "What {title} costs on {count} machine for {question}",
            "What {title} costs on each of {count} devices for {question}",
            len(listed),
            title=title,
            question=_asked(traffic),
        ),
        size="large",
    )
    priced = [plan for plan in listed if plan.usd_per_month is not None]
    if priced:
        st.plotly_chart(
            hardware_charts.beside(
                [mark(plan) for plan in priced],
                t("Cheapest plan on each device"),
                t("$ per month"),
                SERIES[0],
            ),
            key="plan_chart",
            config=CONFIG,
            alt=t("Dollars a month by device with 80 % intervals"),
        )
    unpriced = [plan.device for plan in listed if plan.possible and plan.usd_per_month is None]
    if unpriced:
        widgets.caption(
            t("Not drawn, as no price is known: {devices}.", devices=", ".join(unpriced))
        )
    unable = [plan.device for plan in listed if not plan.possible]
    if unable:
        widgets.caption(
            t(
                "Not drawn, as they cannot answer this (the table says why): {devices}.",
                devices=", ".join(unable),
            )
        )
    tables.table(hardware_tables.plans(listed), "plan", "plan.csv")
    st.caption(
        t(
            "Devices include the spares. Busy at peak: share of the busiest hour in which a needed "
            "device works. {curve}",
            curve=sentences.curve_of_power(),
        )
    )


def users(
    subject: Subject, need: Need, requests_per_user_day: float, others: Sequence[Subject]
) -> None:
    """The cheapest plan from 10³ to 10⁹ users, of the subject and of those it is compared with.

    Args:
        subject: what is planned for.
        need: how much, how surely and on which terms.
        requests_per_user_day: requests of a user in a day.
        others: what it is compared with.
    """
    lines = []
    for compared in (subject, *others):
        stamp = f"{_stamp(compared, need)} {requests_per_user_day}"
        with st.spinner(t("Planning from a thousand to a billion users")):
            steps = _curve(compared, need, requests_per_user_day, stamp)
        drawn = [(step, step.best[0]) for step in steps if step.best]
        if drawn:
            lines.append(
                hardware_charts.Line(
                    compared.name,
                    [step.users for step, _ in drawn],
                    [_mark_of_users(step, plan) for step, plan in drawn],
                )
            )
        else:
            widgets.say(
                t(
                    "{name} is not drawn: {reason}",
                    name=compared.name,
                    reason=sentences.cheapest(steps[0].best, steps[0].traffic),
                )
            )
    if lines:
        st.plotly_chart(
            hardware_charts.curve(lines),
            key="plan_curve",
            config=CONFIG,
            alt=t("Dollars a month of the cheapest plan from a thousand to a billion users"),
        )
    stamp = f"{_stamp(subject, need)} {requests_per_user_day}"
    steps = _curve(subject, need, requests_per_user_day, stamp)
    tables.table(hardware_tables.curve(steps), "plan_users", "users.csv")
    st.caption(
        t(
            "Requests of a user in a day: {each:g}; the same limit, peak and prices at every size, "
            "no discount for many devices.",
            each=requests_per_user_day,
        )
    )


def _mark_of_users(step: Step, plan: Plan) -> hardware_charts.Mark:
    named = f"{plan.devices:,} × {plan.device}"
    note = t("{users:,.0f} users: {plan}", users=step.users, plan=sentences.in_short(plan))
    return replace(mark(plan), name=named, note=note)


@st.cache_data(max_entries=64, show_spinner=False)
def _curve(_subject: Subject, _need: Need, each: float, stamp: str) -> list[Step]:
    return planned.curve(_subject, hardware.catalogue().values(), _need, each)


def training(subject: Subject, need: Need) -> None:
    """A training job before it starts, on every device.

    Args:
        subject: whose language model is trained.
        need: for its market of prices.
    """
    request = subject.request
    if request is None:
        st.info(
            t(
                "{name} reads no prompt with a language model, so its training is not predicted.",
                name=number_format.plain(subject.name),
            )
        )
        return
    widgets.say(t("Fine-tuning {name}", name=subject.name), size="large")
    first, two, three, four = st.columns(4)
    method = choose(
        first.selectbox,
        t("Method"),
        {name: t(words) for name, words in jobs.METHODS.items()},
        "plan_method",
        default=next(iter(jobs.METHODS)),
    )
    steps = number(two, t("Steps"), 200.0, "plan_steps")
    batch = number(
        three,
        t("Histories in a step"),
        8.0,
        "plan_batch",
        t("Each with its candidates in one packed sequence."),
    )
    packed = request.history_tokens + 16 * request.candidate_tokens
    usual = t("{packed:.0f}, with 16 candidates", packed=packed)
    tokens = optional(four, t("Tokens of a sequence"), usual, "plan_tokens")
    five, six, seven, _ = st.columns(4, vertical_alignment="bottom")
    precision = choose(
        five.selectbox,
        t("Precision"),
        {jobs.AUTO: t("mixed, where the device can")}
        | {name: name for name in ("fp32", "tf32", "bf16-amp", "fp16-amp")},
        "plan_train_precision",
        default=jobs.AUTO,
    )
    accumulate = number(six, t("Micro-batches in a step"), 1.0, "plan_accumulate")
    saving = seven.toggle(
        t("Activation checkpointing"), key="plan_checkpointing", bind="query-params"
    )
    job = jobs.Job(
        whole("steps", steps),
        batch,
        packed if tokens is None else tokens,
        method,
        precision,
        saving,
        whole("accumulate", accumulate),
    )
    answers = jobs.costs(request.architecture, hardware.catalogue().values(), job, need.market)
    widgets.say(jobs.sentence(answers))
    tables.table(hardware_tables.jobs(answers), "plan_jobs", "training.csv")
    st.caption(
        t(
            "Time of the steps alone: loading, validation and checkpoints come on top. Memory: "
            "upper end of the 80 % interval decides whether it fits; a processor's memory is the "
            "machine's and is not checked."
        )
    )


def compared(runs: dict[str, Row], subject: Subject, pricing: Pricing) -> list[Subject]:
    """Up to two other runs whose plans are drawn beside the subject's.

    Args:
        runs: runs that have a bill, by id.
        subject: what is planned for.
        pricing: what the reader has typed in the side bar.
    """
    own = subject.row.run_id if subject.row else ""
    chosen = choose_several(
        st.multiselect,
        t("Compare with"),
        {run_id: row.name for run_id, row in runs.items() if run_id != own},
        "plan_compared",
        max_selections=2,
        placeholder=t("up to two other runs"),
    )
    return [planned.of_run(runs[run_id], pricing) for run_id in chosen]
