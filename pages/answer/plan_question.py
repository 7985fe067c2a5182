"""What the Plan page asks first: a run or a model, its traffic and its limits.

Every number is checked by the cost model, wherever it comes from: a field or the page's address.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from llmrec_core.costmodel.facts import bounds, counted_sizes, model_catalogue
from llmrec_core.costmodel.facts.architecture import Architecture
from llmrec_core.costmodel.facts.prices import DAYS_PER_MONTH
from llmrec_core.costmodel.plan.planner import Need
from llmrec_core.costmodel.plan.traffic import DEFAULT_PEAK, Traffic
from llmrec_core.costmodel.predict import query
from llmrec_core.errors import DataError, UnsupportedError, UsageError
from llmrec_core.language import marked, t
from llmrec_core.reading import bills, number_format, planned, verdict
from llmrec_core.reading.planned import Subject
from llmrec_core.reading.pricing import Pricing
from llmrec_core.reading.row import Row, machine_of
from pages.answer.plan_conditions import Conditions
from pages.answer.plan_fields import number, optional, readable, whole
from pages.shared import hardware, records, widgets
from pages.shared.address import choose, remember

WAYS = {
    "day": marked("Requests a day"),
    "second": marked("Requests a second"),
    "users": marked("Users"),
}
MODELS = ("minilm-l6-h384", "bert-base", "smollm2-135m", "llama-3.2-1b", "llama-3.1-8b")
DAY_S = 86_400
_RUN_ID = re.compile("[0-9a-f]{8}")


def priced_runs(rows: Sequence[Row]) -> dict[str, Row]:
    """Run id → finished run that has a bill, in the order of the study."""
    runs = {}
    for row in rows:
        try:
            bills.service_of(row)
        except (UnsupportedError, UsageError):
            continue
        runs[row.run_id] = row
    return runs


def subject(
    runs: dict[str, Row], taken: Row | None, pricing: Pricing
) -> tuple[Subject, str | None]:
    """What is planned for, and what there is to say about it.

    Args:
        runs: runs that have a bill, by id.
        taken: the row that the limits choose; None without one.
        pricing: what the reader has typed in the side bar.

    Returns:
        The subject and a sentence; `None` for the sentence where the typed name is unknown, and a
        subject that stands in, so that nothing typed is lost.
    """
    model_column, precision_column = st.columns([3, 1])
    options = {run_id: row.name for run_id, row in runs.items()} | {
        name: t("{model} (catalogue)", model=name)
        for name in MODELS
        if model_catalogue.find(name) is not None
    }
    in_address = st.query_params.get("plan_model", "")
    if _RUN_ID.fullmatch(in_address) and in_address not in runs:
        remember("plan_model", "")  # a run of the study that was chosen before
    has_bill = taken is not None and taken.run_ids[0] in runs
    default = taken.run_ids[0] if taken is not None and has_bill else next(iter(options))
    chosen = choose(
        model_column.selectbox,
        t("Recommender"),
        options,
        "plan_model",
        default=default,
        aliases={row.name: run_id for run_id, row in runs.items()},
        free=True,
        moving=True,
        accept_new_options=True,
        help=t("A run of the study, a model of the catalogue, or the name or folder of any other."),
    )
    if taken is not None and not has_bill and chosen == default:
        widgets.caption(_instead(taken, options[default]))
    planned_for = _served(chosen, runs, options, pricing)
    served = planned_for or _served(default, runs, options, pricing)
    assert served is not None, "the default is a run or a model of the catalogue"
    own = (
        t("fp16, not stated")
        if served.row is None
        else t("as measured ({precision})", precision=served.row.spec.precision)
    )
    precision = choose(
        precision_column.selectbox,
        t("Precision"),
        hardware.precisions(own),
        "plan_precision",
        default=hardware.AS_MEASURED,
        disabled=served.request is None,
        help=t("Quality was measured at the run's own precision only."),
    )
    if served.request is not None and precision != hardware.AS_MEASURED:
        cleaned = query.clean_precision(precision)[0]
        served = served.with_request(replace(served.request, precision=cleaned))
    return served, None if planned_for is None else _note(served)


def _served(
    chosen: str, runs: Mapping[str, Row], options: Mapping[str, str], pricing: Pricing
) -> Subject | None:
    """What is planned for; where the name is unknown, a sentence and near names to click.

    Args:
        chosen: id of a run, or a name or folder of a model as it was typed.
        runs: runs that have a bill, by id.
        options: what can be chosen, with the words that are shown.
        pricing: what the reader has typed in the side bar.
    """
    if chosen in runs:
        return planned.of_run(runs[chosen], pricing)
    try:
        return planned.of_model(chosen, _counted(chosen))
    except (UsageError, DataError) as error:
        st.error(number_format.plain(error), icon=":material/error:")
    names = {name: name for name in model_catalogue.catalogue()}
    names |= {words: name for name, words in options.items()}
    close = get_close_matches(chosen, names, n=4, cutoff=0.3)
    near = list(dict.fromkeys(names[words] for words in close))
    for place, name in zip(st.columns(len(near) or 1), near, strict=False):
        place.button(
            number_format.plain(options.get(name, name)),
            key=f"plan_near_{name}",
            on_click=remember,
            args=("plan_model", name),
            help=t("Plan for this one."),
        )
    return None


def _counted(model: str) -> Architecture:
    """The architecture of a model; a worker is asked to count a folder's weights.

    Until it has answered, the model is planned with our own reading of its config, which the note
    of every plan says.

    Args:
        model: a name of the catalogue, a folder or a `config.json`.
    """
    home = records.settings().home
    path = model_catalogue.config_path(model)
    if path is not None:
        payload = {"model": str(path.resolve())}
        if counted_sizes.kept(home, model_catalogue.read_config(path)) is None:
            widgets.ask("plan_count", "count-model", payload)
        answer = widgets.answer("plan_count", "count-model", payload)
        if answer and answer.get("reason"):
            widgets.caption(
                t("Its weights could not be counted: {reason}", reason=answer["reason"])
            )
    return model_catalogue.load(model, home)


def _instead(taken: Row, other: str) -> str:
    """Why the plan is for another run than the one that the limits choose.

    Args:
        taken: the row that the limits choose, which has no bill of machines.
        other: what is planned for, as the list of recommenders calls it.
    """
    values = {"name": taken.name, "other": other}
    if taken.is_hosted:
        return t("{name} is paid by the token, so the plan is for {other}.", **values)
    return t("{name} has no bill, so the plan is for {other}.", **values)


def _note(served: Subject) -> str:
    """Where the sizes of a request come from."""
    if served.row is None:
        assert served.request is not None, "a model of the catalogue has a request"
        return t(
            "A model of the catalogue: {history:g} tokens of history and {each:g} a candidate "
            "unless typed otherwise.",
            history=served.request.history_tokens,
            each=served.request.candidate_tokens,
        )
    machine = machine_of(served.row) or t("its machine")
    if served.request is None:
        return t(
            "{name} reads no prompt, so only the machine it was measured on is planned: {machine}.",
            name=served.name,
            machine=machine,
        )
    return t(
        "Prompt lengths and candidates are those of the run measured on {machine}.",
        machine=machine,
    )


@dataclass(frozen=True)
class Typed:
    """What the first box asks for."""

    traffic: Traffic
    requests_per_user_day: float
    availability: float
    subject: Subject


def first_box(served: Subject, asked: verdict.Traffic, pricing: Pricing) -> Typed:
    """Traffic, limit and request; what is left empty is the run's.

    Args:
        served: what is planned for.
        asked: traffic and limits as typed on other pages, from which the fields start.
        pricing: what the reader has typed in the side bar; its utilisation sets the busiest hour.

    Raises:
        UsageError: for a number that makes no sense, in a sentence.
    """
    way = choose(
        st.segmented_control,
        t("Traffic as"),
        {name: t(words) for name, words in WAYS.items()},
        "plan_way",
        default=next(iter(WAYS)),
        required=True,
    )
    columns = st.columns(4)
    usual_daily, each, used = readable(asked.requests_per_month / DAYS_PER_MONTH), 1.0, 1
    if way == "users":
        users = number(
            columns[0],
            t("Users"),
            usual_daily,
            "plan_users",
            t("How many people the service has."),
        )
        each = number(columns[1], t("Requests of a user in a day"), 1.0, "plan_each")
        bounds.check(users=users, requests_per_user_day=each)
        daily, used = users * each, 2
    elif way == "second":
        rate = number(
            columns[0],
            t("Requests a second, mean of the day"),
            readable(asked.requests_per_month / DAYS_PER_MONTH / DAY_S),
            "plan_rate",
        )
        bounds.check(requests_per_second=rate)
        daily = DAY_S * rate
    else:
        help_text = t("One request is one user's list of ten.")
        daily = number(columns[0], t("Requests a day"), usual_daily, "plan_daily", help_text)
    usual = DEFAULT_PEAK if pricing.utilisation is None else 1 / pricing.utilisation
    peak = optional(
        columns[used],
        t("Busiest hour over the mean"),
        f"{usual:.4g}",
        "plan_peak",
        t("1: the same all day. 2: a machine that is full then is busy half of the time."),
    )
    limit_ms = optional(
        columns[used + 1],
        t("p95 limit, ms"),
        t("no limit"),
        "plan_p95",
        value=None if asked.p95_s is None else 1e3 * asked.p95_s,
    )
    left, middle, right, _ = st.columns(4)
    availability = number(
        left,
        t("Availability, %"),
        99.9,
        "plan_availability",
        t("Share of the time in which the busiest hour can be served."),
    )
    served = _sizes(middle, right, served)
    seconds = None if limit_ms is None else limit_ms / 1e3
    traffic = Traffic(daily, usual if peak is None else peak, seconds)
    return Typed(traffic, each, availability / 100, served)


def _sizes(left: DeltaGenerator, middle: DeltaGenerator, served: Subject) -> Subject:
    """The subject with candidates and history as typed, where it reads a prompt."""
    request = served.request
    if request is None:
        return served
    usual = t("{candidates}, as in the run", candidates=request.candidates)
    candidates = optional(left, t("Candidates"), usual, "plan_candidates")
    history = optional(
        middle,
        t("History, tokens"),
        t("{history_tokens:g}, as in the run", history_tokens=request.history_tokens),
        "plan_history",
        t("A film's title is about eight tokens."),
    )
    if candidates is not None:
        request = replace(request, candidates=whole("candidates", candidates))
    if history is not None:
        request = replace(request, history_tokens=history)
    return served.with_request(request)


def need(typed: Typed, chosen: Conditions, rows: Sequence[Row]) -> tuple[Subject, Need]:
    """Both boxes as one question to the planner: what is served, and the need.

    Args:
        typed: the first box.
        chosen: the folded box.
        rows: the study's runs, whose scatter of times is taken for devices not measured.
    """
    served = typed.subject
    if served.request is not None:
        served = served.with_request(served.request.kept(chosen.keep))
    return served, Need(
        replace(typed.traffic, hit_rate=chosen.hit_rate),
        chosen.reserve,
        chosen.retrain_hours,
        chosen.largest_batch,
        scatter=bills.scatter_of(rows),
        market=chosen.market,
        own=dict(chosen.own),
        place=chosen.place,
        coefficients=hardware.coefficients(),
    )
