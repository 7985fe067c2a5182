"""A run measured here, predicted on other devices: latency, memory, energy and dollars with 80 % intervals.

What is predicted is the same request (candidates, prompt lengths, precision) on the catalogue's devices; quality
belongs to the weights and stays as measured. Only recommenders that read a prompt with a language model are predicted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

from llmrec_core.costmodel import counts, model, own, planner, prices, query, work
from llmrec_core.costmodel.architecture import Architecture, find
from llmrec_core.costmodel.devices import Device
from llmrec_core.costmodel.query import Framework
from llmrec_core.costmodel.requests import READERS, mode_of, precision_of, runtime_of
from llmrec_core.errors import UnsupportedError
from llmrec_core.experiments import formats, views
from llmrec_core.experiments.front import Limits
from llmrec_core.experiments.views import AS_RECORDED, Pricing, Row
from llmrec_core.types import Measurement

BATCH = 8
"""Requests at a time behind throughput and price, as measured here."""


@dataclass(frozen=True)
class Span:
    """A prediction and its 80 % interval."""

    value: float
    low: float
    high: float

    def over(self, amount: float) -> Span:
        """`amount` ÷ this: a rate from a time."""
        return Span(amount / self.value, amount / self.high, amount / self.low)

    def times(self, factor: float) -> Span:
        return Span(self.value * factor, self.low * factor, self.high * factor)


@dataclass(frozen=True)
class Request:
    """One request of a run, as the cost model asks about it."""

    architecture: Architecture
    history_tokens: float
    candidate_tokens: float
    candidates: int
    """Candidates that the language model reads."""
    mode: str
    precision: str
    runtime: Framework = field(default_factory=lambda: runtime_of("eager"))

    def traffic(self, **asked: Any) -> planner.Traffic:
        """The traffic of such requests; the rest as the planner's defaults or as asked."""
        shape = {
            "candidates": self.candidates,
            "history_tokens": self.history_tokens,
            "candidate_tokens": self.candidate_tokens,
            "mode": self.mode,
        }
        return planner.Traffic(**{"requests_per_day": 1.0, **shape, **asked})


def request_of(row: Row) -> Request:
    """The request of a run's record.

    Raises:
        UnsupportedError: when no language model reads a prompt, or the record lacks what the formula needs.
    """
    chosen, notes = row.spec.recommender, row.documents.get("model") or {}
    if chosen.family not in READERS or not chosen.backbone:
        raise UnsupportedError(f"{row.name} reads no prompt with a language model, so other devices are not predicted")
    known = find(chosen.backbone)
    if known is None:
        raise UnsupportedError(f"the shape of {chosen.backbone} is not in the catalogue of architectures")
    if "history_tokens" not in notes:
        raise UnsupportedError(f"the record of {row.name} lacks the length of its prompt; run it again")
    layers = int(notes.get("layers") or chosen.depth or known.layers)
    offered = int(_offered(row))
    return Request(
        replace(known, layers=layers),
        float(notes["history_tokens"]),
        float(notes["candidate_tokens"]),
        min(chosen.rerank_k or offered, offered),
        mode_of(chosen.history_attention),
        precision_of(row.spec.precision),
        runtime_of(row.spec.runtime),
    )


def at(request: Request, precision: str) -> Request:
    """The request in another precision of the cost model."""
    return replace(request, precision=precision)


@dataclass(frozen=True)
class Elsewhere:
    """The figures of one request on one device."""

    device: Device
    latency_s: Span
    """One request at a time."""
    per_s: Span
    """Requests a second, `BATCH` at a time."""
    memory_gb: Span
    energy_j: Span | None
    """A request's, from rated power; None for a device without one."""
    usd_per_million: Span | None
    """None for a device that nobody in the price table rents out."""
    usd_per_hour: float | None
    price_source: str
    flops: float
    note: str


def predict(
    request: Request,
    device: Device,
    *,
    utilisation: float = views.DEFAULT_UTILISATION,
    price: str = "on-demand",
    usd_per_hour: float | None = None,
    known: model.Coefficients | None = None,
) -> Elsewhere:
    """The request on a device; `known` are coefficients pulled by own runs, the product's when not given.

    Raises:
        UnsupportedError: when the device lacks the arithmetic, or the model does not fit.
    """
    traffic = request.traffic(most=BATCH)

    def seconds(batch: int) -> tuple[Span, str]:
        value, low, high, note = planner.request_seconds(
            request.architecture, device, traffic, request.precision, request.runtime, float(batch), known
        )
        return Span(value, low, high), note

    one, note = seconds(1)
    many, _ = seconds(BATCH)
    memory = _memory(request, device)
    if device.memory_gb and memory.low > device.memory_gb:
        raise UnsupportedError(f"does not fit: needs about {memory.value:.1f} GB of {device.memory_gb:g} GB")
    offer = prices.hourly(device, price)
    hour = usd_per_hour if usd_per_hour is not None else offer.usd_per_hour if offer else None
    dollars = many.times(hour / BATCH / 3600 / utilisation * 1e6) if hour is not None else None
    watts = device.tdp_w * model.load().watts if device.tdp_w else None
    flops = counts.request_flops(
        request.architecture, request.mode, request.history_tokens, request.candidates, request.candidate_tokens
    )
    source = "typed" if usd_per_hour is not None else f"{offer.provider}, {offer.date}" if offer else ""
    energy = None if watts is None else many.times(watts / BATCH)
    return Elsewhere(device, one, many.over(BATCH), memory, energy, dollars, hour, source, flops, note)


def _memory(request: Request, device: Device) -> Span:
    tokens = request.history_tokens + request.candidates * request.candidate_tokens
    asked = query.Query(
        request.architecture,
        device,
        "inference",
        "memory_gb",
        request.precision,
        1.0,
        tokens,
        runtime=request.runtime,
    )
    found = model.predict(asked)
    return Span(found.value, found.low80, found.high80).times(work.GIB if request.runtime.gib else 1.0)


def everywhere(
    request: Request, devices: Iterable[Device], **options: Any
) -> tuple[list[Elsewhere], list[tuple[str, str]]]:
    """The request on every device, fastest first; and the devices that cannot serve it, with the reason."""
    found, refused = [], []
    for device in devices:
        try:
            found.append(predict(request, device, **options))
        except UnsupportedError as error:
            refused.append((device.name, str(error)))
    return sorted(found, key=lambda one: one.latency_s.value), refused


def here(row: Row) -> Device | None:
    """The machine a run was measured on, by its measured peaks; None where they were not recorded or a GPU worked."""
    peak, bandwidth = row.figure("gemm_peak_flops_per_s").value, row.figure("bandwidth_bytes_per_s").value
    if not peak or not bandwidth or row.device.get("gpus"):
        return None
    return replace(own.device_of(row.device, peak, bandwidth), name=views.machine(row) or "this machine")


def check(row: Row, request: Request) -> str:
    """The prediction for the very machine that measured, from its own peaks, beside the measurement; empty if unknown."""
    device, measured = here(row), row.request_figure("latency_p50_s").value
    if device is None or not measured:
        return ""
    try:
        found = predict(request, device).latency_s
    except UnsupportedError:
        return ""
    inside = "inside" if found.low <= measured <= found.high else "outside"
    off = 100 * (found.value / measured - 1)
    return (
        f"Check: from the peaks measured by the run, {device.name} is predicted to take {between(found, formats.duration)}; "
        f"it took {formats.duration(measured)}, so the prediction is off by {off:+.0f} % and the measurement {inside} the "
        "80 % interval."
    )


# ── rows as if they ran elsewhere ────────────────────────────────────────────────────────────────


def on_device(
    rows: Sequence[Row], device: Device, pricing: Pricing = AS_RECORDED
) -> tuple[list[Row], list[tuple[str, str]]]:
    """The rows with their language models on `device`; the other rows as measured.

    Returns the rows, and those with a language model that the device cannot serve, with the reason.
    """
    moved, refused = [], []
    spread = tail(rows)
    for row in rows:
        if row.state != "finished" or row.spec.recommender.family not in READERS:
            moved.append(row)
            continue
        try:
            moved.append(as_row(row, predict(request_of(row), device, utilisation=pricing.used(row)), spread))
        except UnsupportedError as error:
            refused.append((row.name, str(error)))
    return moved, refused


def as_row(row: Row, found: Elsewhere, spread: float) -> Row:
    """The record of a run with its costs predicted elsewhere, p95 being `spread` × p50; quality stays as measured."""
    figures = [one for one in row.figures if not (one.protocol.startswith("request/") or one.protocol == "run")]
    kept = ("weight_bytes", "parameters", "trainable_parameters", "utilisation")
    figures += [one for one in row.figures if one.protocol == "run" and one.name in kept]
    once = f"request/{_offered(row)}/batch-1"
    many = f"request/{_offered(row)}/batch-{BATCH}"

    def span(name: str, found_span: Span | None, unit: str, protocol: str, reason: str) -> Measurement:
        if found_span is None:
            return Measurement(name, None, unit, protocol=protocol, reason=reason)
        return Measurement(name, found_span.value, unit, found_span.low, found_span.high, protocol=protocol)

    unpriced = "nobody in the price table rents it out; type a price in the side bar"
    figures += [
        span("latency_p50_s", found.latency_s, "s", once, ""),
        span("latency_p95_s", found.latency_s.times(spread), "s", once, ""),
        span("throughput_requests_per_s", found.per_s, "1/s", many, ""),
        span("energy_per_request_j", found.energy_j, "J", many, "the device has no rated power in the catalogue"),
        Measurement("flops_per_request", found.flops, "FLOP", protocol=once),
        span("peak_memory_bytes", found.memory_gb.times(1e9), "B", "run", ""),
        Measurement("usd_per_hour", found.usd_per_hour, "USD/h", protocol="run", reason=unpriced),
        Measurement("train_s", None, "s", protocol="run", reason="not predicted here; Plan has training jobs"),
    ]
    conditions = {
        **row.conditions,
        "usd_per_hour": found.usd_per_hour,
        "price_source": found.price_source,
        "price_date": "",
    }
    documents: Mapping[str, Any] = {
        **{name: body for name, body in row.documents.items() if name not in ("windows", "versions")},
        "device": {"name": found.device.name},
        "conditions": conditions,
        "predicted": {"device": found.device.name, "note": found.note},
    }
    return replace(row, figures=tuple(figures), documents=documents)


def _offered(row: Row) -> str:
    return next((one.protocol.split("/")[1] for one in row.figures if one.protocol.startswith("request/")), "100")


def tail(rows: Iterable[Row]) -> float:
    """p95 over p50 of the rows that read prompts, their median as measured here; 1 where it was not measured.

    The median, since one disturbed timing says nothing about another machine.
    """
    found = []
    for row in rows:
        p50, p95 = row.request_figure("latency_p50_s").value, row.request_figure("latency_p95_s").value
        if row.spec.recommender.family in READERS and p50 and p95:
            found.append(max(1.0, p95 / p50))
    return median(found) if found else 1.0


@dataclass(frozen=True)
class Way:
    """A row on a device that is predicted to keep the limits."""

    row: Row
    device: Device
    usd_per_million: Span
    p95_s: Span


def ways(rows: Iterable[Row], devices: Iterable[Device], limits: Limits, pricing: Pricing = AS_RECORDED) -> list[Way]:
    """Every (row, device) predicted to keep the limits, cheapest first; devices without a price are left out."""
    found = []
    rows, devices = list(rows), list(devices)
    spread = tail(rows)
    for row in rows:
        try:
            request = request_of(row)
        except UnsupportedError:
            continue
        for device in devices:
            try:
                one = predict(request, device, utilisation=pricing.used(row))
            except UnsupportedError:
                continue
            p95 = one.latency_s.times(spread)
            dollars = one.usd_per_million
            if dollars is None or (limits.p95_s is not None and p95.value > limits.p95_s):
                continue
            if limits.usd_per_million is None or dollars.value <= limits.usd_per_million:
                found.append(Way(row, device, dollars, p95))
    return sorted(found, key=lambda one: one.usd_per_million.value)


def way_out(rows: Sequence[Row], devices: Iterable[Device], limits: Limits, pricing: Pricing = AS_RECORDED) -> str:
    """Which device is the cheapest predicted to bring one of these rows within the limits, in a sentence."""
    able = [row for row in rows if row.uses_language_model]
    if not able:
        return ""
    found = ways(able, devices, limits, pricing)
    if not found:
        return "No priced device of the catalogue is predicted to keep these limits either."
    best = found[0]
    many = len({one.device.name for one in found})
    others = f", the cheapest of {many} devices predicted to" if many > 1 else ", the only priced device predicted to"
    what = f"{best.row.name} on {best.device.name}"
    return (
        f"Predicted, not measured: {what} keeps them{others}, with a p95 of {between(best.p95_s, formats.duration)} "
        f"for {between(best.usd_per_million, formats.dollars)} per million requests (80 % intervals)."
    )


def between(found: Span, words: Any) -> str:
    """`7.20 ms (5.10 ms to 9.80 ms)`."""
    return f"{words(found.value)} ({words(found.low)} to {words(found.high)})"
