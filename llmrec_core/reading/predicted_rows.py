"""Rows of a study as if they ran on another device, and the device that would keep one's limits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from llmrec_core.contract.families import reads_prompt
from llmrec_core.costmodel.facts.devices import Device
from llmrec_core.costmodel.plan.service import LARGEST_BATCH
from llmrec_core.costmodel.predict.span import Span
from llmrec_core.errors import UnsupportedError
from llmrec_core.language import t
from llmrec_core.reading import number_format
from llmrec_core.reading.limits import Limits
from llmrec_core.reading.other_devices import (
    Elsewhere,
    between,
    offered_candidates,
    predict,
    request_of,
)
from llmrec_core.reading.pricing import AS_RECORDED, Pricing
from llmrec_core.reading.row import Row
from llmrec_core.types import Measurement

KEPT = ("weight_bytes", "parameters", "trainable_parameters", "utilisation")
"""Figures of the run itself that do not depend on the device."""


def on_device(
    rows: Sequence[Row], device: Device, pricing: Pricing = AS_RECORDED
) -> tuple[list[Row], list[tuple[str, str]]]:
    """The rows with their language models on `device`; the other rows as measured.

    Args:
        rows: runs as they were measured.
        device: where the language models run instead.
        pricing: what the reader has typed.

    Returns:
        The rows; and (name, reason) of those with a language model that the device cannot serve.
    """
    moved, refused = [], []
    spread = tail(rows)
    for row in rows:
        if row.state != "finished" or not reads_prompt(row.spec.recommender.family):
            moved.append(row)
            continue
        try:
            elsewhere = predict(request_of(row), device, utilisation=pricing.used(row))
            moved.append(as_row(row, elsewhere, spread))
        except UnsupportedError as error:
            refused.append((row.name, str(error)))
    return moved, refused


def as_row(row: Row, elsewhere: Elsewhere, spread: float) -> Row:
    """The record of a run with its costs predicted elsewhere; quality stays as measured.

    Args:
        row: the run as measured.
        elsewhere: its request on the other device.
        spread: p95 over p50 of a request's time.
    """
    once = f"request/{offered_candidates(row)}/batch-1"
    many = f"request/{offered_candidates(row)}/batch-{LARGEST_BATCH}"
    price, device = elsewhere.price, elsewhere.device
    figures = [
        figure
        for figure in row.figures
        if not figure.protocol.startswith("request/")
        and (figure.protocol != "run" or figure.name in KEPT)
    ]
    figures += [
        _figure("latency_p50_s", elsewhere.latency_s, "s", once),
        _figure("latency_p95_s", elsewhere.latency_s.times(spread), "s", once),
        _figure("throughput_requests_per_s", elsewhere.per_s, "1/s", many),
        _figure(
            "energy_per_request_j",
            elsewhere.energy_j,
            "J",
            many,
            t("the device has no rated power in the catalogue"),
        ),
        Measurement("flops_per_request", elsewhere.flops, "FLOP", protocol=once),
        _figure("peak_memory_bytes", elsewhere.memory_gb.times(1e9), "B", "run"),
        Measurement(
            "usd_per_hour",
            price.usd_per_hour if price else None,
            "USD/h",
            protocol="run",
            reason=t("nobody in the price list rents it out; type a price in the side bar"),
        ),
        Measurement(
            "train_s",
            None,
            "s",
            protocol="run",
            reason=t("not predicted here; Plan has training jobs"),
        ),
    ]
    documents: Mapping[str, Any] = {
        **{
            name: body
            for name, body in row.documents.items()
            if name not in ("windows", "versions")
        },
        "device": {"name": device.name},
        "conditions": {
            **row.conditions,
            "usd_per_hour": price.usd_per_hour if price else None,
            "price_source": price.origin if price else "",
            "price_date": "",
        },
        "predicted": {"device": device.name, "note": elsewhere.note, "rated_w": device.tdp_w},
    }
    return replace(row, figures=tuple(figures), documents=documents)


def _figure(
    name: str, span: Span | None, unit: str, protocol: str, reason: str = ""
) -> Measurement:
    if span is None:
        return Measurement(name, None, unit, protocol=protocol, reason=reason)
    return Measurement(name, span.value, unit, span.low, span.high, protocol=protocol)


def tail(rows: Iterable[Row]) -> float:
    """p95 over p50 of the rows that read prompts: their median, 1 where it was not measured.

    The median, since one disturbed timing says nothing about another machine. Rows of which a gate
    lets only some requests be read are left out: their p50 may be of a request that is not.
    """
    ratios = []
    for row in rows:
        p50 = row.request_figure("latency_p50_s").value
        p95 = row.request_figure("latency_p95_s").value
        always_reads = reads_prompt(row.spec.recommender.family) and not row.partly_read
        if always_reads and p50 and p95:
            ratios.append(max(1.0, p95 / p50))
    return median(ratios) if ratios else 1.0


@dataclass(frozen=True)
class Way:
    """A row on a device that is predicted to keep the limits."""

    row: Row
    device: Device
    usd_per_million: Span
    p95_s: Span


def ways(
    rows: Iterable[Row], devices: Iterable[Device], limits: Limits, pricing: Pricing = AS_RECORDED
) -> list[Way]:
    """Every (row, device) predicted to keep the limits, cheapest first.

    Args:
        rows: runs as they were measured.
        devices: devices to move them to; those without a price are left out.
        limits: what a row has to keep.
        pricing: what the reader has typed.
    """
    kept = []
    rows, devices = list(rows), list(devices)
    spread = tail(rows)
    for row in rows:
        for device in devices:
            try:
                elsewhere = predict(request_of(row), device, utilisation=pricing.used(row))
            except UnsupportedError:
                continue
            p95_s, dollars = elsewhere.latency_s.times(spread), elsewhere.usd_per_million
            if dollars is not None and _keeps(limits, p95_s, dollars):
                kept.append(Way(row, device, dollars, p95_s))
    return sorted(kept, key=lambda way: way.usd_per_million.value)


def _keeps(limits: Limits, p95_s: Span, dollars: Span) -> bool:
    return (limits.p95_s is None or p95_s.value <= limits.p95_s) and (
        limits.usd_per_million is None or dollars.value <= limits.usd_per_million
    )


def way_out(
    rows: Sequence[Row], devices: Iterable[Device], limits: Limits, pricing: Pricing = AS_RECORDED
) -> str:
    """Which device is the cheapest predicted to bring one of these rows within the limits.

    Args:
        rows: runs that break the limits here.
        devices: devices to move them to.
        limits: what a row has to keep.
        pricing: what the reader has typed.

    Returns:
        A sentence; empty where no row has a language model.
    """
    able = [row for row in rows if row.uses_language_model]
    if not able:
        return ""
    kept = ways(able, devices, limits, pricing)
    if not kept:
        return t("No priced device of the catalogue is predicted to keep these limits either.")
    best = kept[0]
    count = len({way.device.name for way in kept})
    values = {
        "name": best.row.name,
        "device": best.device.name,
        "count": count,
        "p95_s": between(best.p95_s, number_format.duration),
        "dollars": between(best.usd_per_million, number_format.dollars),
    }
    if count == 1:
        return t(
            "Predicted, not measured: {name} on {device} keeps them, the only priced device "
            "predicted to, with a p95 of {p95_s} for {dollars} per million requests (80 % "
            "intervals).",
            **values,
        )
    return t(
        "Predicted, not measured: {name} on {device} keeps them, the cheapest of {count} devices "
        "predicted to, with a p95 of {p95_s} for {dollars} per million requests (80 % intervals).",
        **values,
    )
