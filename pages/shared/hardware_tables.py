"""Tables of predictions, plans, jobs, prices and devices: records in, data frames with figures in words out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from llmrec_core.costmodel import prices, tables
from llmrec_core.costmodel.capacity import Step
from llmrec_core.costmodel.devices import Device
from llmrec_core.costmodel.jobs import Cost
from llmrec_core.costmodel.planner import Plan
from llmrec_core.experiments import elsewhere, formats, views
from llmrec_core.experiments.elsewhere import Elsewhere, between


def summary(row: views.Row, found: Sequence[Elsewhere]) -> str:
    """The measured latency here, the fastest and the cheapest device predicted."""
    here = row.request_figure("latency_p50_s")
    machine = views.machine(row) or "the machine of the run"
    start = f"{row.name} answers a request in {formats.figure(here)} on {machine} (median, measured)"
    if not found:
        return start + "; no device chosen can be predicted."
    fastest = found[0]
    text = (
        f"{start}; {fastest.device.name} is predicted to be the fastest, {between(fastest.latency_s, formats.duration)}"
    )
    priced = [one for one in found if one.usd_per_million is not None]
    if priced:
        cheapest = min(priced, key=lambda one: one.usd_per_million.value if one.usd_per_million else 0.0)
        assert cheapest.usd_per_million is not None, "only priced devices were kept"
        text += f", and {cheapest.device.name} the cheapest, {between(cheapest.usd_per_million, formats.dollars)} a million requests"
    return text + "."


def predictions(row: views.Row, found: Sequence[Elsewhere], pricing: views.Pricing) -> pd.DataFrame:
    """What was measured here in the first line, predictions with their 80 % intervals below."""
    lines = [
        {
            "Machine": views.machine(row) or "machine not recorded",
            "How": "measured",
            "Latency": formats.figure(row.request_figure("latency_p50_s")),
            "Requests per s": formats.figure(row.request_figure("throughput_requests_per_s", batch=None)),
            "$ per million": formats.figure(views.usd_per_million(row, pricing)),
            "Memory": formats.figure(row.figure("peak_memory_bytes")),
            "Energy per request": formats.figure(views.energy(row, pricing).joules),
            "$ per hour": formats.dollars(pricing.hourly(row) or 0.0) if pricing.hourly(row) else "not recorded",
            "Price from": str(row.conditions.get("price_source") or ""),
            "Note": "",
        }
    ]
    for one in found:
        lines.append(
            {
                "Machine": one.device.name,
                "How": "predicted",
                "Latency": between(one.latency_s, formats.duration),
                "Requests per s": between(one.per_s, formats.significant),
                "$ per million": "no price"
                if one.usd_per_million is None
                else between(one.usd_per_million, formats.dollars),
                "Memory": between(one.memory_gb.times(1e9), formats.size),
                "Energy per request": "no rated power"
                if one.energy_j is None
                else between(one.energy_j, formats.energy),
                "$ per hour": "" if one.usd_per_hour is None else formats.dollars(one.usd_per_hour),
                "Price from": one.price_source,
                "Note": one.note
                + ("" if one.device.verified else ("; " if one.note else "") + "data sheet not verified"),
            }
        )
    return pd.DataFrame(lines)


def plans(found: Iterable[Plan]) -> pd.DataFrame:
    """Each device's plan; an impossible one says why."""
    lines = []
    for one in found:
        possible = one.devices > 0
        lines.append(
            {
                "Device": one.device,
                "Devices": f"{one.devices:,}" if possible else "–",
                "$ per month": money(one) if possible else "–",
                "p95": formats.duration(one.p95_s) if one.p95_s else "–",
                "One request": formats.duration(one.request_s) if one.request_s else "–",
                "Busy at peak": formats.share(round(one.utilisation, 3)) if one.utilisation else "–",
                "Requests together": f"{one.batch:.1f}" if one.batch else "–",
                "tCO2e per month": carbon(one) if possible else "–",
                "Price from": one.price_source,
                "Why not, or what to know": "; ".join(part for part in (one.reason, one.note) if part),
            }
        )
    return pd.DataFrame(lines)


def money(one: Plan) -> str:
    """Dollars a month with the interval."""
    if one.usd_per_month is None:
        return "no price"
    low = "?" if one.usd_low80 is None else formats.dollars(one.usd_low80)
    high = "misses the limit" if one.usd_high80 is None else formats.dollars(one.usd_high80)
    return f"{formats.dollars(one.usd_per_month)} ({low} to {high})"


def carbon(one: Plan) -> str:
    """Tonnes a month; the interval follows the number of devices."""
    text = formats.significant(one.t_co2e_per_month, 2)
    if one.usd_per_month and one.usd_low80 and one.usd_high80:
        low, high = (one.t_co2e_per_month * end / one.usd_per_month for end in (one.usd_low80, one.usd_high80))
        text += f" ({formats.significant(low, 2)} to {formats.significant(high, 2)})"
    return text


def curve(steps: Iterable[Step]) -> pd.DataFrame:
    """The cheapest plan at each number of users."""
    return pd.DataFrame(
        [
            {
                "Users": f"{step.users:,.0f}",
                "Cheapest plan": f"{step.plan.devices:,} × {step.plan.device}" if step.plan else "–",
                "$ per month": money(step.plan) if step.plan else "–",
                "$ per thousand users": formats.dollars(1e3 * (step.plan.usd_per_month or 0.0) / step.users)
                if step.plan
                else "–",
                "Busy at peak": formats.share(round(step.plan.utilisation or 0.0, 2)) if step.plan else "–",
                "tCO2e per month": carbon(step.plan) if step.plan else "–",
                "In words": step.sentence,
            }
            for step in steps
        ]
    )


def jobs(found: Iterable[Cost]) -> pd.DataFrame:
    """Each device's training job; one that does not fit says what would."""
    lines = []
    for one in found:
        able = one.minutes is not None
        lines.append(
            {
                "Device": one.device,
                "Time": _times(one) if able else "–",
                "$": "–" if not able else "no price" if one.usd is None else _dollars(one),
                "Memory": "–"
                if one.memory_gb is None
                else f"{one.memory_gb:.2g} GB (up to {one.memory_high80_gb:.2g})",
                "Precision": one.precision,
                "Price from": one.price_source,
                "Why not, or what to know": one.reason or one.note,
            }
        )
    return pd.DataFrame(lines)


def _times(one: Cost) -> str:
    values = (one.minutes, one.minutes_low80, one.minutes_high80)
    return between(elsewhere.Span(*(60 * (value or 0.0) for value in values)), formats.duration)


def _dollars(one: Cost) -> str:
    values = (one.usd, one.usd_low80, one.usd_high80)
    return between(elsewhere.Span(*(value or 0.0 for value in values)), formats.dollars)


def price_list() -> pd.DataFrame:
    """The shipped prices with dates and sources, as they stand in `assets/costmodel/rents.csv`."""
    return pd.DataFrame(
        [
            {
                "Device": row["device"],
                "Provider": row["provider"],
                "Instance": row["instance_type"],
                "Devices in it": row["devices"],
                "On demand, $ per hour": row["usd_per_hour_on_demand"],
                "Spot, $ per hour": row["usd_per_hour_spot"],
                "Region": row["region"],
                "Date": row["date"],
                "Source": row["source"],
            }
            for row in tables.rows("rents")
        ]
    )


def grid_list() -> pd.DataFrame:
    """Grid intensities with year and source."""
    return pd.DataFrame(
        [
            {
                "Region": row["region"],
                "Country": row["country"],
                "Place": row["place"],
                "g CO2e per kWh": row["g_co2e_per_kwh"],
                "Year": row["year"],
                "Source": row["source"],
            }
            for row in tables.rows("grids")
        ]
    )


def regions() -> list[str]:
    """Countries, cloud regions and the world, by name; the world first."""
    return ["world", *sorted(name for name in prices.grids() if name and name != "world")]


def catalogue(found: Iterable[Device]) -> pd.DataFrame:
    """Data sheets."""

    def told(value: float | None) -> str:
        return "" if value is None else formats.significant(value)

    return pd.DataFrame(
        [
            {
                "Device": one.name,
                "Kind": "processor" if one.kind == "cpu" else "GPU",
                "Architecture": one.architecture,
                "Memory, GB": told(one.memory_gb),
                "Bandwidth, GB/s": told(one.bandwidth_gb_s),
                "fp32, TFLOP/s": told(one.fp32_tflops),
                "fp16, TFLOP/s": told(one.fp16_tflops),
                "bf16, TFLOP/s": told(one.bf16_tflops),
                "int8, TOP/s": told(one.int8_tops),
                "Power, W": told(one.tdp_w),
                "Verified": "yes" if one.verified else "no",
                "Source": one.source,
            }
            for one in found
        ]
    )
