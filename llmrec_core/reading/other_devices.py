"""A run measured here, predicted on other devices: time, memory, energy and dollars.

What is predicted is the same request (candidates, prompt lengths, precision) on the catalogue's
devices, with 80 % intervals. Quality belongs to the weights and stays as measured. Only
recommenders that read a prompt with a language model are predicted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from llmrec_core.contract.families import reads_prompt
from llmrec_core.costmodel.facts import this_machine
from llmrec_core.costmodel.facts.devices import Device
from llmrec_core.costmodel.facts.model_catalogue import find
from llmrec_core.costmodel.facts.prices import Price, hourly
from llmrec_core.costmodel.plan.service import LARGEST_BATCH
from llmrec_core.costmodel.predict import predictor
from llmrec_core.costmodel.predict.predictor import Coefficients
from llmrec_core.costmodel.predict.request import (
    Request,
    mode_of,
    precision_of,
    runtime_of,
    sequences_read,
)
from llmrec_core.costmodel.predict.span import Span
from llmrec_core.errors import UnsupportedError
from llmrec_core.language import t
from llmrec_core.reading import number_format
from llmrec_core.reading.pricing import DEFAULT_UTILISATION
from llmrec_core.reading.row import Row, machine_of


def request_of(row: Row) -> Request:
    """The request of a run's record.

    Raises:
        UnsupportedError: when no language model reads a prompt, or the record lacks what the
            formula needs.
    """
    chosen, notes = row.spec.recommender, row.documents.get("model") or {}
    if row.is_hosted:
        raise UnsupportedError(not_predicted(row))
    if not reads_prompt(chosen.family) or not chosen.backbone:
        raise UnsupportedError(
            t(
                "{name} reads no prompt with a language model, so other devices are not predicted",
                name=row.name,
            )
        )
    if row.partly_read:
        raise UnsupportedError(
            t(
                "the gate of {name} lets only some requests through to the language model, so "
                "other devices are not predicted; predict the same cascade without a gate",
                name=row.name,
            )
        )
    backbone = find(chosen.backbone)
    if backbone is None:
        raise UnsupportedError(
            t(
                "the shape of {backbone} is not in the catalogue of architectures",
                backbone=chosen.backbone,
            )
        )
    if "history_tokens" not in notes:
        raise UnsupportedError(
            t("the record of {name} lacks the length of its prompt; run it again", name=row.name)
        )
    layers = int(notes.get("layers") or chosen.depth or backbone.layers)
    offered = int(offered_candidates(row))
    return Request(
        replace(backbone, layers=layers),
        float(notes["history_tokens"]),
        float(notes["candidate_tokens"]),
        sequences_read(notes, min(chosen.rerank_k or offered, offered)),
        mode_of(chosen.history_attention),
        precision_of(row.spec.precision),
        runtime_of(row.spec.runtime),
    )


def not_predicted(row: Row) -> str:
    """Why a hosted model is predicted on no other device."""
    return t(
        "{name} is a hosted model: it runs on its provider's machines, so other devices are not "
        "predicted",
        name=row.name,
    )


def offered_candidates(row: Row) -> str:
    """How many candidates a request of the run offers, as in the names of its figures."""
    return next(
        (
            figure.protocol.split("/")[1]
            for figure in row.figures
            if figure.protocol.startswith("request/")
        ),
        "100",
    )


@dataclass(frozen=True)
class Elsewhere:
    """The figures of one request on one device."""

    device: Device
    latency_s: Span
    """One request at a time."""
    per_s: Span
    """Requests a second, `LARGEST_BATCH` at a time."""
    memory_gb: Span
    energy_j: Span | None
    """A request's, from rated power; None for a device without one."""
    usd_per_million: Span | None
    """While the device is busy for the stated share of the time; None without a price."""
    price: Price | None
    flops: float
    note: str


def predict(
    request: Request,
    device: Device,
    *,
    utilisation: float = DEFAULT_UTILISATION,
    price: Price | None = None,
    coefficients: Coefficients | None = None,
) -> Elsewhere:
    """The request on a device.

    Args:
        request: what is scored.
        device: where.
        utilisation: share of the time in which the device works.
        price: of the device; the median offer of the price list when not given.
        coefficients: pulled by own runs; the product's when not given.

    Raises:
        UnsupportedError: when the device lacks the arithmetic, or the model does not fit.
    """
    single, note = request.seconds(device, 1.0, coefficients)
    many, _ = request.seconds(device, float(LARGEST_BATCH), coefficients)
    memory_gb = request.memory_gb(device)
    if device.memory_gb and memory_gb.low > device.memory_gb:
        raise UnsupportedError(
            t(
                "does not fit: needs about {value:.1f} GB of {memory_gb:g} GB",
                value=memory_gb.value,
                memory_gb=device.memory_gb,
            )
        )
    price = price or hourly(device)
    dollars = None
    if price is not None:
        dollars = many.times(price.usd_per_hour / LARGEST_BATCH / 3600 / utilisation * 1e6)
    energy_j = None
    if device.tdp_w:
        energy_j = many.times(device.tdp_w * predictor.load().watts / LARGEST_BATCH)
    return Elsewhere(
        device,
        single,
        many.over(LARGEST_BATCH),
        memory_gb,
        energy_j,
        dollars,
        price,
        request.counted_flops(),
        note,
    )


def everywhere(
    request: Request,
    devices: Iterable[Device],
    *,
    utilisation: float = DEFAULT_UTILISATION,
    coefficients: Coefficients | None = None,
) -> tuple[list[Elsewhere], list[tuple[str, str]]]:
    """The request on every device.

    Args:
        request: what is scored.
        devices: where.
        utilisation: share of the time in which a device works.
        coefficients: pulled by own runs; the product's when not given.

    Returns:
        The predictions, fastest first; and (device, reason) of those that cannot serve it.
    """
    able, refused = [], []
    for device in devices:
        try:
            able.append(
                predict(request, device, utilisation=utilisation, coefficients=coefficients)
            )
        except UnsupportedError as error:
            refused.append((device.name, str(error)))
    return sorted(able, key=lambda elsewhere: elsewhere.latency_s.value), refused


def here(row: Row) -> Device | None:
    """The machine a run was measured on, by its measured peaks.

    None where the peaks were not recorded or a GPU did the work.
    """
    peak = row.figure("gemm_peak_flops_per_s").value
    bandwidth = row.figure("bandwidth_bytes_per_s").value
    if not peak or not bandwidth or row.device.get("gpus"):
        return None
    return replace(
        this_machine.device_of(row.device, peak, bandwidth),
        name=machine_of(row) or t("this machine"),
    )


def check(row: Row, request: Request) -> str:
    """The prediction for the very machine that measured, beside the measurement.

    Args:
        row: the run.
        request: its request.

    Returns:
        A sentence; empty where the machine's peaks or the measurement are not recorded.
    """
    device, measured = here(row), row.request_figure("latency_p50_s").value
    if device is None or not measured:
        return ""
    try:
        latency_s = predict(request, device).latency_s
    except UnsupportedError:
        return ""
    values = {
        "name": device.name,
        "predicted": between(latency_s, number_format.duration),
        "measured": number_format.duration(measured),
        "off": 100 * (latency_s.value / measured - 1),
    }
    if latency_s.low <= measured <= latency_s.high:
        return t(
            "Check: from the peaks measured by the run, {name} is predicted to take {predicted}; "
            "it took {measured}, so the prediction is off by {off:+.0f} % and the measurement "
            "inside the 80 % interval.",
            **values,
        )
    return t(
        "Check: from the peaks measured by the run, {name} is predicted to take {predicted}; it "
        "took {measured}, so the prediction is off by {off:+.0f} % and the measurement outside "
        "the 80 % interval.",
        **values,
    )


def between(span: Span, words: Callable[[float], str]) -> str:
    """`7.20 ms (5.10 ms to 9.80 ms)`."""
    return t(
        "{value} ({low} to {high})",
        value=words(span.value),
        low=words(span.low),
        high=words(span.high),
    )
