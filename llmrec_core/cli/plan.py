"""`plan`: devices, dollars and tonnes a month for a traffic."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llmrec_core.cli.counted_model import counted_model
from llmrec_core.cli.output import Json, print_json, refuse_unread
from llmrec_core.errors import UsageError
from llmrec_core.language import t
from llmrec_core.money import dollars

if TYPE_CHECKING:
    from llmrec_core.costmodel.facts.devices import Device
    from llmrec_core.costmodel.plan.planner import Plan, Step
    from llmrec_core.costmodel.plan.traffic import Traffic
    from llmrec_core.reading.planned import Subject

DAY_S = 86_400


def register(app: typer.Typer) -> None:
    """Add the verb `plan`."""
    app.command()(plan)


def plan(
    context: typer.Context,
    model: Annotated[
        str, typer.Option(help="A name of the catalogue, a folder or config.json.")
    ] = "minilm-l6-h384",
    run: Annotated[
        str, typer.Option(help="A finished run instead of a model: its id, or its name.")
    ] = "",
    device: Annotated[
        str, typer.Option(help="Devices by comma; all of the catalogue when empty.")
    ] = "",
    users: Annotated[
        float | None, typer.Option(help="Users; with --requests-per-user-day.")
    ] = None,
    requests_per_user_day: Annotated[
        float | None, typer.Option(help="Requests of a user in a day [1].")
    ] = None,
    requests_per_s: Annotated[
        float | None, typer.Option(help="Mean requests per second, instead of users.")
    ] = None,
    requests_per_day: Annotated[
        float | None, typer.Option(help="Requests in a day, instead of users.")
    ] = None,
    peak: Annotated[float | None, typer.Option(help="Busiest hour over the mean [2].")] = None,
    p95_ms: Annotated[
        float | None, typer.Option(help="Latency that 95 % of requests meet [no limit].")
    ] = None,
    candidates: Annotated[int | None, typer.Option(help="Candidates per request [100].")] = None,
    history_tokens: Annotated[float | None, typer.Option(help="Tokens of a history [160].")] = None,
    candidate_tokens: Annotated[
        float | None, typer.Option(help="Tokens of a candidate [12].")
    ] = None,
    mode: Annotated[str, typer.Option(help="full, shared or per_item.")] = "shared",
    keep: Annotated[
        int, typer.Option(help="Cascade: candidates the model reads; 0 reads all.")
    ] = 0,
    hit_rate: Annotated[float, typer.Option(help="Share answered from a cache.")] = 0,
    availability: Annotated[
        float, typer.Option(help="Share of the time in which the busiest hour is carried.")
    ] = 0.999,
    each_up: Annotated[
        float, typer.Option(help="Share of the time in which one device is up (assumed).")
    ] = 0.99,
    spare: Annotated[
        int | None, typer.Option(help="Spare devices, instead of by availability.")
    ] = None,
    largest_batch: Annotated[int, typer.Option(help="Requests a device takes together.")] = 8,
    retrain_hours: Annotated[float, typer.Option(help="Device hours of retraining a month.")] = 0,
    precision: Annotated[
        str | None, typer.Option(help="fp32, fp16, int8, … [fp16; of a run: its own]")
    ] = None,
    runtime: Annotated[str | None, typer.Option(help="What runs it [pytorch].")] = None,
    price: Annotated[str, typer.Option(help="on-demand, spot or reserved.")] = "on-demand",
    provider: Annotated[str, typer.Option(help="Only offers of these, by comma.")] = "",
    price_region: Annotated[str, typer.Option(help="Only offers in these, by comma.")] = "",
    usd_per_hour: Annotated[
        float | None, typer.Option(help="Your own price of a device hour.")
    ] = None,
    region: Annotated[
        str, typer.Option(help="Grid: a country, US state or cloud region.")
    ] = "world",
    curve: Annotated[bool, typer.Option("--curve", help="From 10^3 to 10^9 users.")] = False,
    as_json: Json = False,
) -> None:
    """Devices, dollars and tonnes a month for your traffic, and why the runner-up loses."""
    from llmrec_core.costmodel.calibrate import own_runs
    from llmrec_core.costmodel.facts import devices as catalogue
    from llmrec_core.costmodel.facts import grids, prices
    from llmrec_core.costmodel.plan.planner import Need
    from llmrec_core.costmodel.plan.reserve import Reserve
    from llmrec_core.reading import planned
    from llmrec_core.settings import load_settings

    _refuse_unread(context)
    amounts = Amounts(users, requests_per_user_day, requests_per_s, requests_per_day)
    traffic = _traffic(amounts, peak, p95_ms, hit_rate, curve)
    _check_options(
        candidates=("--candidates", candidates),
        history_tokens=("--history-tokens", history_tokens),
        candidate_tokens=("--candidate-tokens", candidate_tokens),
        keep=("--keep", keep),
        availability=("--availability", availability),
        each_up=("--each-up", each_up),
        spare=("--spare", spare),
        largest_batch=("--largest-batch", largest_batch),
        retrain_hours=("--retrain-hours", retrain_hours),
        usd_per_hour=("--usd-per-hour", usd_per_hour),
    )
    home = load_settings().home
    chosen = _devices(device, catalogue.catalogue(home))
    own = {} if usd_per_hour is None else {item.name: prices.typed(usd_per_hour) for item in chosen}
    need = Need(
        traffic,
        Reserve(availability, each_up, spare),
        retrain_hours,
        largest_batch,
        market=prices.Market(price, _names(provider), _names(price_region)),
        own=own,
        place=grids.find(region),
        coefficients=own_runs.load(home),
    )
    stated = {
        "candidates": candidates,
        "history_tokens": history_tokens,
        "candidate_tokens": candidate_tokens,
        "precision": precision,
        "runtime": runtime,
    }
    subject = _subject(model, run, stated, mode, keep, usd_per_hour)
    taken = [*amounts.taken(), *_taken(traffic, peak, p95_ms), *_taken_of_request(subject, stated)]
    if curve:
        steps = planned.curve(subject, chosen, need, requests_per_user_day or 1.0)
        _print_curve(steps, taken, as_json)
    else:
        _print_plans(planned.plans(subject, chosen, need), need.traffic, taken, as_json)


def _refuse_unread(context: typer.Context) -> None:
    """Refuse options in whose place another one stands."""
    typed = context.params
    if typed["run"]:
        refuse_unread(context, ("model", "mode"), t("--run has its own"))
    if typed["curve"]:
        traffic = ("users", "requests_per_s", "requests_per_day")
        refuse_unread(context, traffic, t("--curve goes through its own numbers of users"))
    elif typed["users"] is None:
        refuse_unread(context, ("requests_per_user_day",), t("only --users and --curve read it"))
    if typed["spare"] is not None:
        refuse_unread(context, ("availability", "each_up"), t("--spare stands in its place"))
    if typed["usd_per_hour"] is not None:
        offers = ("price", "provider", "price_region")
        refuse_unread(context, offers, t("--usd-per-hour stands in its place"))


@dataclass(frozen=True)
class Amounts:
    """The traffic as it may be typed; None where it was not."""

    users: float | None
    requests_per_user_day: float | None
    requests_per_s: float | None
    requests_per_day: float | None

    def per_day(self) -> float:
        """Requests in a day.

        Raises:
            UsageError: when nothing or more than one thing states the traffic, or one is 0.
        """
        stated = {
            "--users": ("users", self.users),
            "--requests-per-s": ("requests_per_second", self.requests_per_s),
            "--requests-per-day": ("requests_per_day", self.requests_per_day),
        }
        typed = {
            option: (quantity, value)
            for option, (quantity, value) in stated.items()
            if value is not None
        }
        if not typed:
            raise UsageError(t("give the traffic: --users, --requests-per-s or --requests-per-day"))
        if len(typed) > 1:
            raise UsageError(
                t("{options} both state the traffic; give one", options=" and ".join(typed))
            )
        option, (quantity, value) = next(iter(typed.items()))
        _check_amount(option, quantity, value)
        _check_amount(
            "--requests-per-user-day", "requests_per_user_day", self.requests_per_user_day
        )
        factor = {"--users": self.requests_per_user_day or 1.0, "--requests-per-s": DAY_S}
        return value * factor.get(option, 1.0)

    def taken(self) -> list[str]:
        """What was taken in place of an amount that was not stated."""
        if self.users is None or self.requests_per_user_day is not None:
            return []
        return [t("1 request of a user in a day")]


def _check_amount(option: str, quantity: str, value: float | None) -> None:
    if value == 0:
        raise UsageError(
            t("{option} is 0: no request needs no device and costs nothing", option=option)
        )
    _check_options(**{quantity: (option, value)})


def _check_options(**options: tuple[str, float | None]) -> None:
    """Refuse numbers outside their range by the name of the option.

    Args:
        **options: quantity → (option, what was typed).
    """
    from llmrec_core.costmodel.facts.bounds import QUANTITIES

    for quantity, (option, value) in options.items():
        if value is not None:
            QUANTITIES[quantity].check(value, option)


def _traffic(
    amounts: Amounts, peak: float | None, p95_ms: float | None, hit_rate: float, curve: bool
) -> Traffic:
    from llmrec_core.costmodel.plan.traffic import DEFAULT_PEAK, Traffic

    _check_options(peak=("--peak", peak), hit_rate=("--hit-rate", hit_rate))
    limit_s = None if p95_ms is None else p95_ms / 1000
    _check_options(p95_s=("--p95-ms", limit_s))
    if curve:
        _check_amount(
            "--requests-per-user-day", "requests_per_user_day", amounts.requests_per_user_day
        )
    per_day = 1.0 if curve else amounts.per_day()
    return Traffic(per_day, DEFAULT_PEAK if peak is None else peak, limit_s, hit_rate)


def _taken(traffic: Traffic, peak: float | None, p95_ms: float | None) -> list[str]:
    """What was taken for the limits that were not stated."""
    taken = []
    if peak is None:
        taken.append(t("a busiest hour of {peak:g} times the mean", peak=traffic.peak))
    if p95_ms is None:
        taken.append(t("no limit on the latency"))
    return taken


def _taken_of_request(subject: Subject, stated: dict[str, Any]) -> list[str]:
    """What was taken for the parts of a request that were not stated; a run's are its own."""
    request = subject.request
    if request is None or subject.row is not None:
        return []
    sentences = {
        "candidates": t("{count} candidates", count=request.candidates),
        "history_tokens": t("{count:g} tokens of history", count=request.history_tokens),
        "candidate_tokens": t("{count:g} tokens a candidate", count=request.candidate_tokens),
        "precision": request.precision,
        "runtime": request.runtime.name,
    }
    return [sentence for name, sentence in sentences.items() if stated[name] is None]


def _names(text: str) -> frozenset[str]:
    return frozenset(name.strip() for name in text.split(",") if name.strip())


def _devices(text: str, listed: dict[str, Device]) -> list[Device]:
    from llmrec_core.costmodel.facts import devices as catalogue

    if not text:
        return list(listed.values())
    return [catalogue.named(name, listed) for name in text.split(",")]


def _subject(
    model: str,
    run: str,
    stated: dict[str, Any],
    mode: str,
    keep: int,
    usd_per_hour: float | None,
) -> Subject:
    """What the plan is for, with what was typed in place of the model's or the run's own."""
    from llmrec_core.cli.output import find_run, open_ledger
    from llmrec_core.costmodel.predict import query
    from llmrec_core.reading import planned
    from llmrec_core.reading.listing import rows_of
    from llmrec_core.reading.pricing import Pricing

    if run:
        _, ledger = open_ledger()
        row = rows_of(ledger, [find_run(ledger, run)])[0]
        subject = planned.of_run(row, Pricing(usd_per_hour=usd_per_hour))
    else:
        subject = planned.of_model(model, counted_model(model))
    typed = {name: value for name, value in stated.items() if value is not None}
    if subject.request is None:
        if typed or keep:
            raise UsageError(
                t(
                    "{name} reads no prompt: its candidates, lengths and precision are those it "
                    "was measured with",
                    name=subject.name,
                )
            )
        return subject
    if "precision" in typed:
        typed["precision"] = query.clean_precision(typed["precision"])[0]
    if "runtime" in typed:
        typed["runtime"] = query.framework(typed["runtime"])
    if subject.row is None:
        typed["mode"] = mode
    return subject.with_request(replace(subject.request, **typed).kept(keep))


def _print_plans(plans: list[Plan], traffic: Traffic, taken: list[str], as_json: bool) -> None:
    from llmrec_core.costmodel.plan import sentences

    sentence = sentences.cheapest(plans, traffic)
    if as_json:
        print_json(
            {
                "sentence": sentence,
                "taken": taken,
                "requests_per_day": traffic.requests_per_day,
                "peak": traffic.peak,
                "p95_s": traffic.p95_s,
                "plans": [plan.document() for plan in plans],
            }
        )
        return
    print(sentence)
    _print_taken(taken)
    for plan in plans:
        print(_line(plan))
    if plans and plans[0].bill:
        print(
            t("{device}: {origin}", device=plans[0].device, origin=sentences.origin(plans[0].bill))
        )
        print(sentences.curve_of_power())


def _print_taken(taken: list[str]) -> None:
    if taken:
        print(t("Not stated, so taken: {taken}.", taken="; ".join(taken)))


def _line(plan: Plan) -> str:
    if plan.bill is None:
        return t("       – {device:<26} {reason}", device=plan.device, reason=plan.reason)
    month, tonnes = plan.usd_per_month, plan.bill.t_co2e_per_month
    return t(
        "  {devices:>6} × {device:<26} {dollars:>12}  p95 {p95:7.1f} ms  busy {busy:3.0f} %  "
        "{tonnes} tCO2e",
        devices=plan.devices,
        device=plan.device,
        dollars=t("no price") if month is None else dollars(month),
        p95=1000 * plan.bill.fleet.p95_s,
        busy=100 * plan.bill.fleet.utilisation,
        tonnes=t("unknown") if tonnes is None else f"{tonnes:.2f}",
    )


def _print_curve(steps: list[Step], taken: list[str], as_json: bool) -> None:
    from llmrec_core.costmodel.plan import sentences

    spoken = [(step, sentences.cheapest(step.best, step.traffic)) for step in steps]
    if as_json:
        points = [
            {
                "users": step.users,
                "plan": step.best[0].document() if step.best else None,
                "sentence": sentence,
            }
            for step, sentence in spoken
        ]
        print_json({"taken": taken, "curve": points})
        return
    _print_taken(taken)
    for step, sentence in spoken:
        print(t("{users:,} users: {sentence}", users=round(step.users), sentence=sentence))
