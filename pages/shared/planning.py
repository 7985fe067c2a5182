"""The inputs of the Plan page and the parts of its tabs; every figure comes from llmrec_core.costmodel."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import streamlit as st

from llmrec_core.costmodel import architecture, capacity, jobs, prices, query
from llmrec_core.costmodel.capacity import Need
from llmrec_core.costmodel.planner import Plan, Traffic
from llmrec_core.errors import UsageError
from llmrec_core.experiments import elsewhere, formats, views
from llmrec_core.experiments.elsewhere import Request
from pages.shared import hardware, hardware_charts, hardware_tables, widgets
from pages.shared.charts import CONFIG

WAYS = ("Requests a day", "Requests a second", "Users")
MODELS = ("minilm-l6-h384", "bert-base", "smollm2-135m", "llama-3.2-1b", "llama-3.1-8b")


@dataclass(frozen=True)
class Shape:
    """What the first box asks for."""

    requests_per_day: float
    requests_per_user_day: float
    peak: float
    p95_s: float
    availability: float
    candidates: int
    history_tokens: float


@dataclass(frozen=True)
class Conditions:
    """What the folded box asks for."""

    price: str
    own: tuple[tuple[str, float], ...]
    g_per_kwh: float
    region: str
    keep: int
    hit_rate: float
    retrain_hours: float
    each_up: float
    most: int


def model(found: dict[str, tuple[views.Row, Request]]) -> tuple[Request, str, str]:
    """The request of the chosen run or catalogue model, its name, and what there is to say about it."""
    model_column, precision_column = st.columns([3, 1])
    names = {run_id: row.name for run_id, (row, _) in found.items()}
    catalogue = [name for name in MODELS if architecture.find(name) is not None]
    chosen = model_column.selectbox(
        "Model",
        [*found, *catalogue],
        index=hardware.best_cross_encoder(found),
        format_func=lambda key: names.get(key, f"{key} (catalogue)"),
        key="plan_model",
        bind="query-params",
        accept_new_options=True,
        help="A run of the study, a model of the catalogue, or the name or folder of any other.",
    )
    own = f"as measured ({found[chosen][0].spec.precision})" if chosen in found else "fp16, not stated"
    precision = precision_column.selectbox(
        "Precision",
        hardware.PRECISIONS,
        format_func=lambda name: own if name == hardware.AS_MEASURED else name,
        key="plan_precision",
        bind="query-params",
        help="Quality was measured at the run's own precision only.",
    )
    if chosen in found:
        row, request = found[chosen]
        note = f"Prompt lengths and candidates are those of the run measured on {views.machine(row) or 'its machine'}."
    else:
        request = Request(architecture.load(str(chosen)), 160.0, 12.0, 100, "shared", "fp16")
        note = "A model of the catalogue: 160 tokens of history and 12 a candidate unless typed otherwise."
    if precision != hardware.AS_MEASURED:
        request = elsewhere.at(request, query.clean_precision(precision)[0])
    return request, names.get(chosen, str(chosen)), note


def traffic(request: Request) -> Shape:
    """Traffic, limit and request; what is left empty is the run's."""
    way = st.segmented_control("Traffic as", WAYS, default=WAYS[0], required=True, key="plan_way", bind="query-params")
    first, second, third, fourth = st.columns(4)
    each = 1.0
    if way == "Users":
        users = _number(first, "Users", 1e6, "plan_users", "How many people the service has.")
        each = _number(second, "Requests of a user in a day", 1.0, "plan_each")
        daily = users * each
    elif way == "Requests a second":
        daily = 86400 * _number(first, "Requests a second, mean of the day", 100.0, "plan_rate")
    else:
        daily = _number(first, "Requests a day", 1e7, "plan_daily", "One request is one user's list of ten.")
    place = third if way == "Users" else second
    peak = _number(place, "Busiest hour over the mean", 2.5, "plan_peak", "1: the same all day.")
    limit = _number(fourth if way == "Users" else third, "p95 limit, ms", 50.0, "plan_p95")
    left, middle, right, _ = st.columns(4)
    candidates = _optional(left, "Candidates", 10, f"{request.candidates}, as in the run", "plan_candidates")
    history = _optional(
        middle, "History, tokens", 10.0, f"{request.history_tokens:g}, as in the run", "plan_history",
        "A film's title is about eight tokens.",
    )  # fmt: skip
    availability = _number(
        right,
        "Availability, %",
        99.9,
        "plan_availability",
        "Share of the time in which the busiest hour can be served.",
    )
    return Shape(
        daily,
        each,
        peak,
        limit / 1e3,
        availability / 100,
        request.candidates if candidates is None else int(candidates),
        request.history_tokens if history is None else float(history),
    )


def _number(place: Any, label: str, value: float, key: str, help: str = "") -> float:
    """A number without bounds of its own: what makes no sense is answered by the cost model's sentence."""
    found = place.number_input(label, value=value, format="%.8g", key=key, bind="query-params", help=help or None)
    if found is None:
        raise UsageError(f"{label} is empty; expected a number above 0")
    return float(found)


def _optional(place: Any, label: str, step: float, usual: str, key: str, help: str = "") -> float | None:
    """A number that may stay empty, which means `usual`."""
    return place.number_input(
        label, value=None, step=step, format="%d" if isinstance(step, int) else "%.6g", placeholder=usual, key=key,
        bind="query-params", help=help or None,
    )  # fmt: skip


def conditions() -> Conditions:
    """Prices, place, cascade, cache, retraining, spares."""
    one, two, three, four = st.columns(4)
    price = one.selectbox(
        "Price", list(hardware.PRICES), format_func=hardware.PRICES.get, key="plan_price", bind="query-params"
    )
    region = two.selectbox(
        "Electricity of", hardware_tables.regions(), format_func=str.capitalize, key="plan_region", bind="query-params"
    )
    keep = _number(three, "Cascade: items the model reads, 0 = all", 0.0, "plan_keep")
    hits = _number(four, "Requests answered from a cache, %", 0.0, "plan_hits")
    five, six, seven, _ = st.columns(4)
    hours = _number(five, "Retraining, device hours a month", 0.0, "plan_retrain")
    each = _number(six, "One device is up, % of the time", 99.0, "plan_up", "Assumed; decides the spares.")
    most = _number(seven, "Requests together at most", 16.0, "plan_most", "Largest batch a device takes.")
    own: list[tuple[str, float]] = []
    st.caption("A device you own: its price an hour is purchase spread over its life, plus electricity.")
    eight, nine, ten, eleven = st.columns(4)
    mine = eight.selectbox(
        "Own device",
        ["", *hardware.catalogue()],
        format_func=lambda name: name or "none",
        key="plan_own",
        bind="query-params",
    )
    purchase = _number(nine, "Purchase, $", 2000.0, "plan_purchase")
    years = _number(ten, "Years of use", 3.0, "plan_years")
    kwh = _number(eleven, "$ per kWh", 0.15, "plan_kwh")
    if mine:
        watts = hardware.catalogue()[mine].tdp_w or 300.0
        hour = prices.owned(purchase, years, watts, kwh).usd_per_hour
        own.append((mine, hour))
        widgets.caption(f"An hour of {mine}: {formats.dollars(hour)} at {watts:.0f} W.")
    return Conditions(
        price, tuple(own), prices.intensity(region), region, int(keep), hits / 100, hours, each / 100, int(most)
    )


def need(request: Request, shape: Shape, chosen: Conditions) -> Need:
    """Both boxes as one question to the planner.

    Raises:
        UsageError: for a number that makes no sense, in a sentence.
    """
    if not shape.candidates > 0:
        raise UsageError(f"candidates is {shape.candidates}; expected a whole number above 0")
    request = dataclasses.replace(request, candidates=shape.candidates, history_tokens=shape.history_tokens)
    asked = request.traffic(
        requests_per_day=shape.requests_per_day,
        peak=shape.peak,
        p95_s=shape.p95_s,
        keep=chosen.keep,
        hit_rate=chosen.hit_rate,
        most=chosen.most,
    )
    return Need(
        asked,
        shape.availability,
        chosen.each_up,
        chosen.retrain_hours,
        request.precision,
        request.runtime,
        chosen.price,
        dict(chosen.own),
        chosen.g_per_kwh,
        hardware.coefficients(),
    )


@st.cache_data(max_entries=64, show_spinner="Planning every device")
def _plans(_request: Request, _need: Need, stamp: str) -> list[Plan]:
    return capacity.plans(_request.architecture, hardware.catalogue(), _need)


def plans(request: Request, asked: Need) -> list[Plan]:
    """Every device's plan, remembered by the question."""
    return _plans(request, asked, _stamp(request, asked))


def _stamp(request: Request, asked: Need) -> str:
    """Everything a plan depends on, for the cache: of coefficients and devices what the reader's own runs change."""
    pulled = (asked.known.pulls, asked.known.own_widths) if asked.known else ()
    own = [one for one in hardware.catalogue().values() if one.own]
    return f"{request.architecture} {dataclasses.replace(asked, known=None)} {pulled} {own}"


def headline(best: Plan, asked: Traffic) -> None:
    """The cheapest plan in five figures."""
    cells = st.columns(5)
    monthly = best.usd_per_month or 0.0
    million = monthly / (asked.requests_per_day * 365.25 / 12) * 1e6
    cells[0].metric("Devices", f"{best.devices:,}", border=True, height="stretch")
    cells[1].metric("Busy at peak", formats.share(round(best.utilisation or 0.0, 2)), border=True, height="stretch")
    cells[2].metric("p95", formats.duration(best.p95_s or 0.0), border=True, height="stretch")
    cells[3].metric("$ per month", formats.dollars(monthly), border=True, height="stretch", help=_interval(best))
    cells[4].metric("tCO2e per month", formats.significant(best.t_co2e_per_month, 2), border=True, height="stretch")
    widgets.caption(
        f"Spares included. $ per month {hardware_tables.money(best)}; tCO2e per month {hardware_tables.carbon(best)}; "
        f"{formats.dollars(million)} per million requests. Price of {best.device}: {best.price_source}."
    )


def _interval(one: Plan) -> str:
    return f"80 % interval: {formats.plain(hardware_tables.money(one))}"


def mark(one: Plan) -> hardware_charts.Mark:
    """A plan on the chart; an end that misses the limit is drawn at the prediction."""
    value = one.usd_per_month or 0.0
    note = f"{one.devices:,} devices" + (f"; {one.note}" if one.note else "")
    return hardware_charts.Mark(one.device, value, one.usd_low80 or value, one.usd_high80 or value, note)


def users(request: Request, asked: Need, shape: Shape) -> None:
    """The cheapest plan from 10³ to 10⁹ users."""
    each = shape.requests_per_user_day
    steps = _curve(request, asked, each, f"{_stamp(request, asked)} {each}")
    known = [(step, step.plan) for step in steps if step.plan is not None]
    if not known:
        widgets.say(steps[0].sentence)
        return
    marks = [dataclasses.replace(mark(one), name=f"{one.devices:,} × {one.device}") for _, one in known]
    marks = [
        dataclasses.replace(one, note=f"{step.users:,.0f} users: {one.name}, {formats.dollars(one.value)} a month")
        for (step, _), one in zip(known, marks, strict=True)
    ]
    st.plotly_chart(
        hardware_charts.curve([step.users for step, _ in known], marks),
        key="plan_curve",
        config=CONFIG,
        alt="Dollars a month of the cheapest plan from a thousand to a billion users",
    )
    widgets.table(hardware_tables.curve(steps), "plan_users", "users.csv")
    st.caption(
        f"Requests of a user in a day: {each:g}; the same limit, peak and prices at every size, no discount for many devices."
    )


@st.cache_data(max_entries=32, show_spinner="Planning from a thousand to a billion users")
def _curve(_request: Request, _need: Need, each: float, stamp: str) -> list[capacity.Step]:
    return capacity.curve(_request.architecture, hardware.catalogue(), _need, each)


def what_if(request: Request, asked: Need, before: list[Plan]) -> None:
    """Sliders around the plan above; what they change."""
    st.caption("Move a slider: the plan above stays, the change is shown beside it.")
    one, two, three = st.columns(3)
    times = one.select_slider(
        "Traffic, times",
        (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 10.0, 100.0),
        value=1.0,
        format_func=lambda step: f"× {step:g}",
        key="plan_if_times",
        bind="query-params",
    )
    looser = two.select_slider(
        "p95 limit, times",
        (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 4.0),
        value=1.0,
        format_func=lambda step: f"× {step:g}",
        key="plan_if_limit",
        bind="query-params",
    )
    precision = three.select_slider(
        "Precision", ("as above", "fp32", "fp16", "int8-dynamic"), key="plan_if_precision", bind="query-params"
    )
    four, five, six = st.columns(3)
    offered = asked.traffic.candidates
    keep = four.slider(
        "Items the language model reads", 1, max(offered, 2), offered, key="plan_if_keep", bind="query-params"
    )
    hits = five.slider(
        "Answered from a cache, %", 0, 95, round(100 * asked.traffic.hit_rate), key="plan_if_hits", bind="query-params"
    )
    peak = six.slider("Busiest hour over the mean", 1.0, 10.0, float(min(asked.traffic.peak, 10.0)), 0.5, key="plan_if_peak", bind="query-params")  # fmt: skip
    changed = dataclasses.replace(
        asked,
        precision=asked.precision if precision == "as above" else precision,
        traffic=dataclasses.replace(
            asked.traffic,
            requests_per_day=asked.traffic.requests_per_day * times,
            p95_s=asked.traffic.p95_s * looser,
            keep=0 if keep == offered and not asked.traffic.keep else keep,
            hit_rate=hits / 100,
            peak=peak,
        ),
    )
    after = capacity.best_two(request.architecture, hardware.catalogue(), changed)
    widgets.say(capacity.sentence(after, changed.traffic))
    if after and before and before[0].usd_per_month is not None:
        cells = st.columns(4)
        for cell, (title, old, new, text) in zip(cells, _changes(before[0], after[0]), strict=True):
            share = f"{100 * (new / old - 1):+.0f} %" if old and new != old else None
            cell.metric(title, text, share, delta_color="inverse", border=True, height="stretch")
        widgets.caption(f"Against {capacity.told(before[0])}.")
    st.caption(
        "Fewer items read or another precision change the quality as well: Decide shows by how much where measured."
    )


def _changes(old: Plan, new: Plan) -> list[tuple[str, float, float, str]]:
    return [
        ("$ per month", old.usd_per_month or 0.0, new.usd_per_month or 0.0, formats.dollars(new.usd_per_month or 0.0)),
        ("Devices", float(old.devices), float(new.devices), f"{new.devices:,} × {new.device}"),
        ("p95", old.p95_s or 0.0, new.p95_s or 0.0, formats.duration(new.p95_s or 0.0)),
        (
            "tCO2e per month",
            old.t_co2e_per_month,
            new.t_co2e_per_month,
            formats.significant(new.t_co2e_per_month, 2),
        ),
    ]


def training(request: Request, title: str, chosen: Conditions) -> None:
    """A training job before it starts, on every device."""
    widgets.say(f"Fine-tuning {title}", size="title")
    one, two, three, four = st.columns(4)
    method = one.selectbox(
        "Method", list(jobs.METHODS), format_func=jobs.METHODS.get, key="plan_method", bind="query-params"
    )
    steps = _number(two, "Steps", 200.0, "plan_steps")
    batch = _number(three, "Histories in a step", 8.0, "plan_batch", "Each with its candidates in one packed sequence.")
    tokens = _tokens(four, request)
    five, six, seven, _ = st.columns(4, vertical_alignment="bottom")
    precision = five.selectbox(
        "Precision",
        (jobs.AUTO, "fp32", "tf32", "bf16-amp", "fp16-amp"),
        format_func=lambda name: "mixed, where the device can" if name == jobs.AUTO else name,
        key="plan_train_precision",
        bind="query-params",
    )
    accumulate = _number(six, "Micro-batches in a step", 1.0, "plan_accumulate")
    saving = seven.toggle("Activation checkpointing", key="plan_checkpointing", bind="query-params")
    job = jobs.Job(int(steps), batch, tokens, method, precision, saving, int(accumulate))
    found = jobs.costs(request.architecture, hardware.catalogue().values(), job, chosen.price)
    widgets.say(jobs.sentence(found))
    widgets.table(hardware_tables.jobs(found), "plan_jobs", "training.csv")
    st.caption(
        "Time of the steps alone: loading, validation and checkpoints come on top. Memory: upper end of the 80 % interval "
        "decides whether it fits; a processor's memory is the machine's and is not checked."
    )


def _tokens(place: Any, request: Request) -> float:
    """Tokens of a packed training sequence: the history, one positive and fifteen negatives."""
    packed = request.history_tokens + 16 * request.candidate_tokens
    typed = _optional(place, "Tokens of a sequence", 16.0, f"{packed:.0f}, with 16 candidates", "plan_tokens")
    return packed if typed is None else float(typed)
