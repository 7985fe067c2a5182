"""The parts of the Plan page below its question; every figure comes from the cost model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import streamlit as st

from llmrec_core.costmodel.plan import jobs, sentences
from llmrec_core.costmodel.plan.planner import Need, Plan, Step
from llmrec_core.costmodel.plan.traffic import Traffic
from llmrec_core.costmodel.predict import query
from llmrec_core.language import language, t, tn
from llmrec_core.reading import number_format, planned
from llmrec_core.reading.planned import Subject
from llmrec_core.reading.pricing import Pricing
from llmrec_core.reading.row import Row
from pages.answer.plan_question import number, optional, whole
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
                "#3088f6",
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


def what_if(subject: Subject, need: Need, before: Sequence[Plan]) -> None:
    """Another need beside the plan above; an empty field keeps what stands there.

    Args:
        subject: what is planned for.
        need: as above.
        before: the plans above, the cheapest first.
    """
    st.caption(t("Fill in what changes: the plan above stays, the change is shown beside it."))
    changed_subject, changed = _changed(subject, need)
    if (changed_subject, changed) == (subject, need):
        st.write(t("Nothing is changed yet, so the plan is the one above."))
        return
    after = planned.best_two(changed_subject, hardware.catalogue().values(), changed)
    widgets.say(sentences.cheapest(after, changed.traffic))
    base = before[0] if before and before[0].usd_per_month is not None else None
    if after and base is not None:
        cells = st.columns(4)
        for cell, change in zip(cells, _changes(base, after[0]), strict=True):
            cell.metric(
                change.title,
                change.text,
                change.share,
                delta_color="inverse",
                border=True,
                height="stretch",
            )
        widgets.caption(t("Against the plan above: {plan}.", plan=sentences.in_short(base)))
    st.caption(
        t(
            "Fewer items read or another precision change the quality as well: Decide shows by how "
            "much where measured."
        )
    )


def _changed(subject: Subject, need: Need) -> tuple[Subject, Need]:
    """The subject and the need with what was typed in place of what stands above."""
    above, limit = need.traffic, need.traffic.p95_s
    first, two, three = st.columns(3)
    daily = optional(
        first,
        t("Requests a day"),
        t("{daily:,.10g}, as above", daily=above.requests_per_day),
        "plan_if_daily",
    )
    p95 = optional(
        two,
        t("p95 limit, ms"),
        t("no limit") if limit is None else t("{limit:g}, as above", limit=1e3 * limit),
        "plan_if_p95",
    )
    peak = optional(
        three,
        t("Busiest hour over the mean"),
        t("{peak:g}, as above", peak=above.peak),
        "plan_if_peak",
    )
    four, five, six = st.columns(3)
    hits = optional(
        four,
        t("Answered from a cache, %"),
        t("{hits:g}, as above", hits=100 * above.hit_rate),
        "plan_if_hits",
    )
    traffic = replace(
        above,
        requests_per_day=above.requests_per_day if daily is None else daily,
        p95_s=limit if p95 is None else p95 / 1e3,
        peak=above.peak if peak is None else peak,
        hit_rate=above.hit_rate if hits is None else hits / 100,
    )
    return _changed_request(five, six, subject), replace(need, traffic=traffic)


def _changed_request(
    keep_place: st.delta_generator.DeltaGenerator,
    precision_place: st.delta_generator.DeltaGenerator,
    subject: Subject,
) -> Subject:
    """The subject with fewer items read or another precision, where it reads a prompt."""
    request = subject.request
    if request is None:
        return subject
    keep = optional(
        keep_place,
        t("Items the language model reads"),
        t("{count}, as above", count=request.candidates),
        "plan_if_keep",
    )
    as_above = t("as above ({precision})", precision=request.precision)
    precision = choose(
        precision_place.selectbox,
        t("Precision"),
        hardware.precisions(as_above),
        "plan_if_precision",
        default=hardware.AS_MEASURED,
    )
    if keep is not None:
        request = replace(request, candidates=whole("candidates", keep))
    if precision != hardware.AS_MEASURED:
        request = replace(request, precision=query.clean_precision(precision)[0])
    return subject.with_request(request)


@dataclass(frozen=True)
class Change:
    """A figure of the changed plan, and by how much it differs."""

    title: str
    text: str
    share: str | None
    """The change in percent; None where there is none, or nothing to compare with."""


def _changes(old: Plan, new: Plan) -> list[Change]:
    """The figures of a new plan beside an old one, both possible and priced."""
    assert old.bill and new.bill, "priced plans have bills"
    tonnes = new.bill.t_co2e_per_month
    return [
        _change(
            t("$ per month"),
            old.usd_per_month,
            new.usd_per_month,
            number_format.dollars(new.usd_per_month or 0.0),
        ),
        _change(t("Devices"), old.devices, new.devices, f"{new.devices:,}"),
        _change(
            "p95",
            old.bill.fleet.p95_s,
            new.bill.fleet.p95_s,
            number_format.duration(new.bill.fleet.p95_s),
        ),
        _change(
            t("tCO2e per month"),
            old.bill.t_co2e_per_month,
            tonnes,
            "–" if tonnes is None else number_format.significant(tonnes, 2),
        ),
    ]


def _change(title: str, old: float | None, new: float | None, text: str) -> Change:
    if not old or new is None or new == old:
        return Change(title, text, None)
    return Change(title, text, f"{100 * (new / old - 1):+.0f} %")


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
