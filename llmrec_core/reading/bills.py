"""A run's bill: what a month of traffic costs with it, on the machine its costs are known for.

Every family has one: the service time is the run's measured latency and throughput, or what was
predicted for the device it was moved to (`predicted_rows.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from llmrec_core.costmodel.facts import grids, power, prices
from llmrec_core.costmodel.facts.grids import Place
from llmrec_core.costmodel.facts.power import Power
from llmrec_core.costmodel.facts.prices import Price
from llmrec_core.costmodel.plan import bill as bills
from llmrec_core.costmodel.plan import service as services
from llmrec_core.costmodel.plan.bill import Bill, Terms
from llmrec_core.costmodel.plan.reserve import Reserve
from llmrec_core.costmodel.plan.service import Service
from llmrec_core.costmodel.plan.traffic import Traffic
from llmrec_core.costmodel.predict.span import Span
from llmrec_core.errors import UnsupportedError
from llmrec_core.language import t
from llmrec_core.reading import number_format
from llmrec_core.reading.predicted_rows import tail
from llmrec_core.reading.pricing import AS_RECORDED, Pricing, usd_per_million
from llmrec_core.reading.row import Row, batch_of
from llmrec_core.types import Measurement


def of_month(
    row: Row,
    requests_per_month: float,
    pricing: Pricing = AS_RECORDED,
    p95_s: float | None = None,
    reserve: Reserve | None = None,
) -> Bill:
    """What a month costs with a run.

    Args:
        row: the run.
        requests_per_month: requests of a twelfth of a year.
        pricing: what the reader has typed in place of the record; its utilisation is the share of
            the time in which a machine works, so the busiest hour has 1 / utilisation times the
            mean.
        p95_s: latency that 95 % of requests meet; None for no limit.
        reserve: the rule for spare machines; the product's when not given.

    Raises:
        UnsupportedError: when the run has no cost figures, or misses the limit, with the reason.
    """
    traffic = Traffic.of_month(requests_per_month, pricing.used(row), p95_s=p95_s)
    return bills.make(service_of(row), traffic, terms_of(row, pricing, reserve))


def monthly(
    row: Row, requests_per_month: float, pricing: Pricing, p95_s: float | None = None
) -> Measurement:
    """Dollars a month of whole machines with the reserve, with the 80 % interval, or why unknown.

    A hosted model has no machines here: a month is its price per million requests.

    Args:
        row: the run.
        requests_per_month: requests of a twelfth of a year.
        pricing: what the reader has typed.
        p95_s: latency that 95 % of requests meet; `None` for no limit.
    """
    if row.is_hosted:
        return _monthly_by_tokens(row, requests_per_month, p95_s)
    try:
        bill = of_month(row, requests_per_month, pricing, p95_s)
    except UnsupportedError as error:
        return Measurement("usd_per_month", None, "usd", reason=str(error))
    if bill.usd_per_month is None:
        reason = t("no price per hour is recorded; type one in")
        return Measurement("usd_per_month", None, "usd", reason=reason)
    return Measurement("usd_per_month", bill.usd_per_month, "usd", bill.usd_low80, bill.usd_high80)


def _monthly_by_tokens(row: Row, requests_per_month: float, p95_s: float | None) -> Measurement:
    """What a hosted model's tokens cost in a month, unless it is slower than the limit."""
    price, seen = usd_per_million(row), row.request_figure("latency_p95_s")
    if price.value is None:
        return Measurement("usd_per_month", None, "usd", reason=price.reason)
    if p95_s is not None and seen.value is not None and seen.value > p95_s:
        reason = t(
            "{name} was seen to answer with a p95 of {seen}, over the limit of {limit}",
            name=row.name,
            seen=number_format.duration(seen.value),
            limit=number_format.duration(p95_s),
        )
        return Measurement("usd_per_month", None, "usd", reason=reason)
    return Measurement("usd_per_month", price.value * requests_per_month / 1e6, "usd")


def service_of(row: Row) -> Service:
    """How long the run's machine takes for requests.

    Raises:
        UnsupportedError: when latency or throughput are unknown, with the reason.
    """
    if row.is_hosted:
        raise UnsupportedError(
            t(
                "{name} has no machines to plan: its model is paid by the token, so a month costs "
                "its price per million requests times the requests",
                name=row.name,
            )
        )
    one, p95 = row.request_time, row.request_figure("latency_p95_s")
    rate = row.request_figure("throughput_requests_per_s", batch=None)
    for figure in (one, rate):
        if not figure.value:
            raise UnsupportedError(
                t(
                    "{name} has no bill: {reason}",
                    name=row.name,
                    reason=figure.reason or t("the recorded figure is 0"),
                )
            )
    assert one.value and rate.value, "checked above"
    per_s = Span(rate.value, rate.low or rate.value, rate.high or rate.value)
    return services.measured(
        one.value,
        per_s,
        batch_of(rate.protocol),
        one_p95_s=p95.value,
        predicted=row.predicted,
        note=str((row.documents.get("predicted") or {}).get("note") or ""),
    )


def scatter_of(rows: Iterable[Row]) -> float:
    """Coefficient of variation of a request's time, from p95 over p50 of rows that read prompts."""
    return (tail(rows) - 1) / 1.645


def terms_of(row: Row, pricing: Pricing = AS_RECORDED, reserve: Reserve | None = None) -> Terms:
    """Price, power, grid and reserve of a run's machine: as typed, else as recorded.

    Args:
        row: the run.
        pricing: what the reader has typed.
        reserve: the rule for spare machines; the product's when not given.
    """
    return Terms(
        _price(row, pricing), _power(row, pricing), _place(row, pricing), reserve or Reserve()
    )


def _price(row: Row, pricing: Pricing) -> Price | None:
    if pricing.usd_per_hour is not None:
        return prices.typed(pricing.usd_per_hour)
    hour = pricing.hourly(row)
    if hour is None:
        return None
    source, date = _text(row.conditions, "price_source"), _text(row.conditions, "price_date")
    return Price(hour, date=date, source=source or t("as recorded"), kind="recorded")


def _power(row: Row, pricing: Pricing) -> Power | None:
    """Measured joules per request times the throughput, else the typed watts, else unknown."""
    rated_w = (row.documents.get("predicted") or {}).get("rated_w")
    if rated_w:
        return power.of_full_load(float(rated_w), t("rated power"))
    joules = row.request_figure("energy_per_request_j", batch=None)
    rate = row.request_figure("throughput_requests_per_s", batch=None)
    if joules.value and rate.value and joules.protocol == rate.protocol:
        counter = _text(row.device, "energy") or t("an energy counter")
        source = t("measured: {counter}", counter=counter)
        return power.of_full_load(joules.value * rate.value, source)
    if pricing.watts is not None:
        return power.of_full_load(pricing.watts, t("typed in, assumed"))
    return None


def _place(row: Row, pricing: Pricing) -> Place | None:
    if pricing.grid_g_per_kwh is not None:
        return grids.stated(pricing.grid_g_per_kwh, t("typed in"))
    grams = pricing.grid(row)
    if grams is None:
        return None
    source, date = _text(row.conditions, "grid_source"), _text(row.conditions, "grid_date")
    return grids.stated(grams, t("as recorded"), date, source)


def _text(body: Mapping[str, Any], name: str) -> str:
    return str(body.get(name) or "")
