"""Tables of predictions, plans and jobs: records in, tables out.

Figures stay numbers in base units, so that a table sorts and its CSV computes; intervals have
columns of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from llmrec_core.costmodel.plan import sentences
from llmrec_core.costmodel.plan.jobs import Cost
from llmrec_core.costmodel.plan.planner import Plan, Step
from llmrec_core.costmodel.predict.span import Span
from llmrec_core.language import marked, t
from llmrec_core.reading import number_format
from llmrec_core.reading.other_devices import Elsewhere, between
from llmrec_core.reading.pricing import Pricing, request_energy, usd_per_million
from llmrec_core.reading.row import Row, machine_of
from llmrec_core.reading.table import Cell, Column, Show, Table, make
from llmrec_core.types import Measurement

Line = dict[str, Cell | Measurement]

DEVICE = Column(marked("Device"), "device")
DEVICES = Column(marked("Devices"), "devices", number_format.whole)
MONTH = Column(marked("$ per month"), "usd_per_month", number_format.dollars)
MONTH_LOW = Column(marked("$ per month, low"), "usd_low80", number_format.dollars)
MONTH_HIGH = Column(marked("$ per month, high"), "usd_high80", number_format.dollars)
BUSY = Column(marked("Busy at peak"), "utilisation", number_format.share)
CARBON = Column(marked("tCO2e per month"), "t_co2e_per_month", number_format.significant)
PRICE_FROM = Column(marked("Price from"), "price_source")
WHY_NOT = Column(marked("Why not, or what to know"), "note")
PRECISION = Column(marked("Precision"), "precision")
MACHINE = Column(marked("Machine"), "machine")
HOW = Column(marked("How"), "how")
PER_HOUR = Column(marked("$ per hour"), "usd_per_hour", number_format.dollars)
NOTE = Column(marked("Note"), "note")
PLAN = (
    DEVICE,
    DEVICES,
    Column(marked("of them spare"), "spare", number_format.whole),
    MONTH,
    MONTH_LOW,
    MONTH_HIGH,
    Column(marked("$ per million"), "usd_per_million", number_format.dollars),
    Column("p95", "p95_s", number_format.duration),
    Column(marked("One request"), "request_s", number_format.duration),
    BUSY,
    Column(marked("Requests together"), "batch", number_format.significant),
    Column(marked("kWh per month"), "kwh_per_month", number_format.significant),
    CARBON,
    PRICE_FROM,
    WHY_NOT,
)
CURVE = (
    Column(marked("Users"), "users", number_format.whole),
    DEVICE,
    DEVICES,
    MONTH,
    MONTH_LOW,
    MONTH_HIGH,
    Column(marked("$ per thousand users"), "usd_per_thousand_users", number_format.dollars),
    BUSY,
    CARBON,
    Column(marked("In words"), "sentence"),
)


def summary(row: Row, predicted: Sequence[Elsewhere]) -> str:
    """The measured latency here, the fastest and the cheapest device predicted."""
    values = {
        "name": row.name,
        "here": number_format.figure(row.request_figure("latency_p50_s")),
        "machine": machine_of(row) or t("the machine of the run"),
    }
    if not predicted:
        return t(
            "{name} answers a request in {here} on {machine} (median, measured); no device chosen "
            "can be predicted.",
            **values,
        )
    values |= {
        "fastest": predicted[0].device.name,
        "latency": between(predicted[0].latency_s, number_format.duration),
    }
    priced = [
        (elsewhere, elsewhere.usd_per_million)
        for elsewhere in predicted
        if elsewhere.usd_per_million is not None
    ]
    if not priced:
        return t(
            "{name} answers a request in {here} on {machine} (median, measured); {fastest} is "
            "predicted to be the fastest, {latency}.",
            **values,
        )
    cheapest, dollars = min(priced, key=lambda pair: pair[1].value)
    return t(
        "{name} answers a request in {here} on {machine} (median, measured); {fastest} is "
        "predicted to be the fastest, {latency}, and {cheapest} the cheapest, {dollars} a million "
        "requests.",
        cheapest=cheapest.device.name,
        dollars=between(dollars, number_format.dollars),
        **values,
    )


def _three(title: str, name: str, show: Show) -> tuple[Column, Column, Column]:
    """A figure and the ends of its interval as three columns.

    Args:
        title: of the figure, in the reader's language.
        name: of the figure in an export, with its unit; `{}` stands where the end is named.
        show: how a value is read.
    """
    return (
        Column(title, name.format(""), show),
        Column(t("{title}, low", title=title), name.format("_low"), show),
        Column(t("{title}, high", title=title), name.format("_high"), show),
    )


def _span(columns: Sequence[Column], span: Span | None, factor: float = 1.0) -> Line:
    """A predicted figure in base units under the three columns it has."""
    if span is None:
        return {}
    ends = (span.value, span.low, span.high)
    return {column.title: factor * end for column, end in zip(columns, ends, strict=True)}


def _measured(columns: Sequence[Column], figure: Measurement) -> Line:
    """A measured figure under the same columns; no interval where none was recorded."""
    ends = (figure.value, figure.low, figure.high)
    return {column.title: end for column, end in zip(columns, ends, strict=True)}


GIGABYTE = 1e9
"""Bytes of the unit in which the cost model predicts memory."""


@dataclass(frozen=True)
class _Predicted:
    """The columns of the table of predictions, in the reader's language."""

    latency: tuple[Column, ...]
    rate: tuple[Column, ...]
    price: tuple[Column, ...]
    memory: tuple[Column, ...]
    energy: tuple[Column, ...]

    @classmethod
    def now(cls) -> _Predicted:
        return cls(
            _three(t("Latency"), "latency{}_s", number_format.duration),
            _three(t("Requests per s"), "requests{}_per_s", number_format.significant),
            _three(t("$ per million"), "usd_per_million{}", number_format.dollars),
            _three(t("Memory"), "memory{}_bytes", number_format.size),
            _three(t("Energy per request"), "energy_per_request{}_j", number_format.energy),
        )

    def all(self) -> tuple[Column, ...]:
        return (
            MACHINE,
            HOW,
            *self.latency,
            *self.rate,
            *self.price,
            *self.memory,
            *self.energy,
            PER_HOUR,
            PRICE_FROM,
            NOTE,
        )


def predictions(row: Row, predicted: Sequence[Elsewhere], pricing: Pricing) -> Table:
    """What was measured here in the first line, predictions with their 80 % intervals below.

    Args:
        row: the run.
        predicted: its request on other devices.
        pricing: what the reader has typed.
    """
    columns = _Predicted.now()
    rate = row.request_figure("throughput_requests_per_s", batch=None)
    typed = pricing.usd_per_hour is not None
    here: Line = {
        MACHINE.title: machine_of(row) or t("machine not recorded"),
        HOW.title: t("measured"),
        **_measured(columns.latency, row.request_figure("latency_p50_s")),
        **_measured(columns.rate, rate),
        **_measured(columns.price, usd_per_million(row, pricing)),
        **_measured(columns.memory, row.figure("peak_memory_bytes")),
        **_measured(columns.energy, request_energy(row, pricing).joules),
        PER_HOUR.title: pricing.hourly(row),
        PRICE_FROM.title: t("typed in") if typed else str(row.conditions.get("price_source") or ""),
    }
    return make(columns.all(), [here, *(_prediction(there, columns) for there in predicted)])


def _prediction(elsewhere: Elsewhere, columns: _Predicted) -> Line:
    device, price = elsewhere.device, elsewhere.price
    notes = [
        elsewhere.note,
        t("no price") if price is None else "",
        t("no rated power") if elsewhere.energy_j is None else "",
        "" if device.verified else t("data sheet not verified"),
    ]
    return {
        MACHINE.title: device.name,
        HOW.title: t("predicted"),
        **_span(columns.latency, elsewhere.latency_s),
        **_span(columns.rate, elsewhere.per_s),
        **_span(columns.price, elsewhere.usd_per_million),
        **_span(columns.memory, elsewhere.memory_gb, GIGABYTE),
        **_span(columns.energy, elsewhere.energy_j),
        PER_HOUR.title: price.usd_per_hour if price else None,
        PRICE_FROM.title: price.origin if price else "",
        NOTE.title: "; ".join(note for note in notes if note),
    }


def plans(listed: Iterable[Plan]) -> Table:
    """Each device's plan, named in exports as in `plan --json`; an impossible one says why."""
    return make(PLAN, [_plan(plan) for plan in listed])


def _plan(plan: Plan) -> Line:
    line: Line = {DEVICE.title: plan.device, WHY_NOT.title: plan.reason or plan.note}
    bill = plan.bill
    if bill is None:
        return line
    figures = (
        bill.devices,
        bill.spare,
        bill.usd_per_month,
        bill.usd_low80,
        bill.usd_high80,
        bill.usd_per_million,
        bill.fleet.p95_s,
        bill.service.one_s.value,
        bill.fleet.utilisation,
        bill.fleet.batch,
        bill.kwh_per_month,
        bill.t_co2e_per_month,
        bill.terms.price.origin if bill.terms.price else "",
    )
    return line | {column.title: cell for column, cell in zip(PLAN[1:-1], figures, strict=True)}


def money(plan: Plan) -> str:
    """Dollars a month with the interval, for a sentence."""
    bill = plan.bill
    if bill is None or bill.usd_per_month is None:
        return t("no price")
    if bill.usd_low80 is None or bill.usd_low80 == bill.usd_high80:
        return number_format.dollars(bill.usd_per_month)
    return t(
        "{dollars} ({low} to {high})",
        dollars=number_format.dollars(bill.usd_per_month),
        low=number_format.dollars(bill.usd_low80),
        high=t("misses the limit")
        if bill.usd_high80 is None
        else number_format.dollars(bill.usd_high80),
    )


def carbon(plan: Plan) -> str:
    """Tonnes a month with the interval, for a sentence."""
    bill = plan.bill
    tonnes = bill.t_co2e_per_month if bill else None
    if bill is None or tonnes is None:
        return t("not known")
    low, high = bill.t_co2e_low80, bill.t_co2e_high80
    if low is None or high is None or low == high:
        return number_format.significant(tonnes, 2)
    return t(
        "{tonnes} ({low} to {high})",
        tonnes=number_format.significant(tonnes, 2),
        low=number_format.significant(low, 2),
        high=number_format.significant(high, 2),
    )


def curve(steps: Iterable[Step]) -> Table:
    """The cheapest plan at each number of users."""
    lines: list[Line] = []
    for step in steps:
        best = step.best[0] if step.best else None
        bill = best.bill if best else None
        month = bill.usd_per_month if bill else None
        line: Line = {
            "Users": step.users,
            DEVICE.title: best.device if best else "",
            "In words": sentences.cheapest(step.best, step.traffic),
        }
        if bill is not None:
            line |= {
                DEVICES.title: bill.devices,
                MONTH.title: month,
                MONTH_LOW.title: bill.usd_low80,
                MONTH_HIGH.title: bill.usd_high80,
                "$ per thousand users": None if month is None else 1e3 * month / step.users,
                BUSY.title: bill.fleet.utilisation,
                CARBON.title: bill.t_co2e_per_month,
            }
        lines.append(line)
    return make(CURVE, lines)


def jobs(listed: Iterable[Cost]) -> Table:
    """Each device's training job; one that does not fit says what would."""
    time = _three(t("Time"), "time{}_s", number_format.duration)
    price = _three("$", "usd{}", number_format.dollars)
    memory = _three(t("Memory"), "memory{}_bytes", number_format.size)
    columns = (DEVICE, *time, *price, *memory, PRECISION, PRICE_FROM, WHY_NOT)
    lines: list[Line] = [
        {
            DEVICE.title: answer.device,
            **_span(time, answer.minutes, 60.0),
            **_span(price, answer.usd),
            **_span(memory, answer.memory_gb, GIGABYTE),
            PRECISION.title: answer.precision,
            PRICE_FROM.title: answer.price_source,
            WHY_NOT.title: answer.reason or answer.note,
        }
        for answer in listed
    ]
    return make(columns, lines)
