"""What a run costs: the record's throughput and energy under the price, use and power in force.

A reader may change the price, the utilisation, the grid and the power; nothing else of a record
can be changed afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llmrec_core.language import marked, t
from llmrec_core.reading import number_format
from llmrec_core.reading.row import Row
from llmrec_core.types import Measurement

DEFAULT_UTILISATION = 0.5


@dataclass(frozen=True)
class Pricing:
    """What a reader may set in place of the record's conditions; `None` keeps the record's."""

    usd_per_hour: float | None = None
    utilisation: float | None = None
    """Share of the hour in which the device answers requests, 0 … 1."""
    grid_g_per_kwh: float | None = None
    watts: float | None = None
    """Typed-in power of the device under load; its energy is "assumed", never measured."""

    def hourly(self, row: Row) -> float | None:
        """Dollars of an hour of the run's machine."""
        if self.usd_per_hour is not None:
            return self.usd_per_hour
        return row.figure("usd_per_hour").value or _number(row.conditions, "usd_per_hour", "price")

    def used(self, row: Row) -> float:
        """Share of the hour in which the run's machine answers requests."""
        if self.utilisation is not None:
            return self.utilisation
        recorded = row.figure("utilisation").value or _number(row.conditions, "utilisation")
        return recorded or DEFAULT_UTILISATION

    def grid(self, row: Row) -> float | None:
        """Grams of CO2e of a kilowatt-hour where the run's machine stands."""
        return (
            self.grid_g_per_kwh
            if self.grid_g_per_kwh is not None
            else _number(row.conditions, "grid_g_per_kwh")
        )


AS_RECORDED = Pricing()


def origin(row: Row, pricing: Pricing = AS_RECORDED) -> str:
    """Where the price and the power in force come from, in words; empty without a price."""
    if row.is_hosted:
        return _token_price(row)
    price = pricing.hourly(row)
    if price is None:
        return ""
    recorded = [row.conditions.get(name) for name in ("price_source", "price_date")]
    source = ", ".join(str(part) for part in recorded if part) or t("source not recorded")
    words = t(
        "{price} per hour ({source}), {used} utilisation{typed}",
        price=number_format.dollars(price),
        source=t("typed in") if pricing.usd_per_hour is not None else source,
        used=number_format.share(pricing.used(row)),
        typed=t(" (typed in)") if pricing.utilisation is not None else "",
    )
    if request_energy(row, pricing).assumed:
        return t("{words}, {watts:g} W assumed", words=words, watts=pricing.watts)
    return words


def _token_price(row: Row) -> str:
    """What a hosted model's tokens cost, and when that was read."""
    endpoint = row.spec.recommender.endpoint
    return t(
        "{tokens_in} and {tokens_out} a million tokens in and out ({host}, {date})",
        tokens_in=number_format.small_dollars(endpoint.usd_per_million_in or 0.0),
        tokens_out=number_format.small_dollars(endpoint.usd_per_million_out or 0.0),
        host=endpoint.host,
        date=endpoint.priced_on,
    )


def _number(body: Mapping[str, Any], *names: str) -> float | None:
    for name in names:
        value = body.get(name)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return float(value)
    return None


def usd_per_million(row: Row, pricing: Pricing = AS_RECORDED) -> Measurement:
    """Dollars per million requests: price ÷ (requests per hour × utilisation) × 10⁶.

    Recomputed from the recorded throughput (largest batch measured), its interval turned round.
    A hosted model costs what its provider charged for the tokens, as recorded.
    """
    if row.is_hosted:
        return row.request_figure("usd_per_million")
    rate = row.request_figure("throughput_requests_per_s", batch=None)
    price = pricing.hourly(row)
    if rate.value is None or rate.value <= 0:
        return Measurement(
            "usd_per_million", None, "usd", reason=rate.reason or t("the recorded throughput is 0")
        )
    if price is None:
        return Measurement(
            "usd_per_million", None, "usd", reason=t("no price per hour is recorded; type one in")
        )

    def dollars(requests_per_s: float | None) -> float | None:
        return (
            None
            if not requests_per_s
            else price / (requests_per_s * 3600 * pricing.used(row)) * 1e6
        )

    return Measurement(
        "usd_per_million",
        dollars(rate.value),
        "usd",
        dollars(rate.high),
        dollars(rate.low),
        rate.n,
        "all",
        rate.protocol,
    )


def price_or_infinity(row: Row, pricing: Pricing = AS_RECORDED) -> float:
    """Dollars per million for ordering: an unknown price comes last."""
    price = usd_per_million(row, pricing).value
    return math.inf if price is None else price


@dataclass(frozen=True)
class Energy:
    """Joules and grams of CO2e of a request, and whether they were assumed from typed-in watts."""

    joules: Measurement
    grams_per_million: Measurement
    assumed: bool = False


def request_energy(row: Row, pricing: Pricing = AS_RECORDED) -> Energy:
    """Energy of one request: as recorded, or typed-in watts ÷ throughput, marked as assumed."""
    joules = row.request_figure("energy_per_request_j", batch=None)
    rate = row.request_figure("throughput_requests_per_s", batch=None)
    assumed = False
    if joules.value is None and pricing.watts is not None and rate.value:
        joules = Measurement(
            "energy_per_request_j", pricing.watts / rate.value, "J", protocol=rate.protocol
        )
        assumed = True
    grid = pricing.grid(row)
    if joules.value is None or grid is None:
        reason = joules.reason or t("no grid intensity is recorded; type one in")
        return Energy(joules, Measurement("gco2e_per_million", None, "g", reason=reason), assumed)
    grams = joules.value / 3.6e6 * grid * 1e6
    return Energy(
        joules, Measurement("gco2e_per_million", grams, "g", protocol=joules.protocol), assumed
    )


@dataclass(frozen=True)
class Axis:
    """A cost a reader can put on the horizontal axis."""

    name: str
    title: str
    unit: str
    """Unit as drawn; the record's value times `factor`."""
    factor: float
    help: str


AXES = {
    axis.name: axis
    for axis in (
        Axis(
            "usd_per_million",
            marked("Price of a million requests"),
            "$",
            1,
            marked("Hourly price ÷ (requests per hour × utilisation)."),
        ),
        Axis(
            "latency_p95_s",
            marked("Latency p95, one request at a time"),
            "ms",
            1e3,
            marked("95 of 100 requests are faster than this."),
        ),
        Axis(
            "latency_p50_s",
            marked("Latency p50, one request at a time"),
            "ms",
            1e3,
            marked("Half of the requests are faster than this."),
        ),
        Axis(
            "flops_per_request",
            marked("Work per request (formula)"),
            "GFLOP",
            1e-9,
            marked("Floating-point operations, 1 multiply-add = 2."),
        ),
        Axis(
            "peak_memory_bytes",
            marked("Peak memory of the process"),
            "MiB",
            2**-20,
            marked("Highest resident memory while serving."),
        ),
        Axis(
            "weight_bytes",
            marked("Weights as stored"),
            "MiB",
            2**-20,
            marked("Bytes of the model's parameters."),
        ),
        Axis(
            "energy_per_request_j",
            marked("Energy per request"),
            "J",
            1,
            marked("From a counter; or from typed-in watts, then assumed."),
        ),
        Axis(
            "gco2e_per_million",
            marked("CO2e of a million requests"),
            "g",
            1,
            marked("Energy × grid intensity."),
        ),
        Axis(
            "train_s",
            marked("Fitting and fine-tuning, once"),
            "s",
            1,
            marked("Wall-clock seconds before the first request."),
        ),
        Axis("parameters", marked("Parameters"), "M", 1e-6, marked("Numbers learnt by the model.")),
    )
}


def axis_cost(row: Row, name: str, pricing: Pricing = AS_RECORDED) -> tuple[Measurement, bool]:
    """The figure of a cost axis and whether it is assumed or predicted rather than measured."""
    if name == "usd_per_million":
        return usd_per_million(row, pricing), row.predicted
    if name in ("energy_per_request_j", "gco2e_per_million"):
        energy = request_energy(row, pricing)
        figure = energy.joules if name == "energy_per_request_j" else energy.grams_per_million
        return figure, energy.assumed or row.predicted
    if name in ("latency_p95_s", "latency_p50_s", "latency_p99_s"):
        return row.request_figure(name), row.predicted
    if name == "flops_per_request":
        return row.request_figure(name), False
    return row.figure(name), row.predicted and name == "peak_memory_bytes"
