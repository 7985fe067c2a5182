"""A training job before it starts: minutes, memory and dollars on each device, or what fits."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from llmrec_core.costmodel.facts import bounds, prices
from llmrec_core.costmodel.facts.architecture import Architecture
from llmrec_core.costmodel.facts.devices import Device
from llmrec_core.costmodel.facts.prices import Market
from llmrec_core.costmodel.predict import predictor
from llmrec_core.costmodel.predict.memory import GIB
from llmrec_core.costmodel.predict.query import Framework, Query, framework
from llmrec_core.costmodel.predict.span import Span
from llmrec_core.errors import UnsupportedError, UsageError
from llmrec_core.language import marked, t

METHODS = {
    "full": marked("all weights"),
    "lora": marked("LoRA"),
    "qlora": marked("QLoRA (4-bit base)"),
}
AUTO = "auto"
"""Mixed precision in what the device has: bf16, else fp16, else fp32."""


@dataclass(frozen=True)
class Job:
    """What is trained."""

    steps: int = 200
    batch: float = 8.0
    """Sequences in one step."""
    tokens: float = 264.0
    """Tokens of one sequence, candidates included."""
    method: str = "full"
    precision: str = AUTO
    checkpointing: bool = False
    accumulate: int = 1
    """Micro-batches that make a step."""
    runtime: Framework = field(default_factory=lambda: framework("pytorch"))

    def __post_init__(self) -> None:
        bounds.check(
            steps=self.steps, batch=self.batch, tokens=self.tokens, accumulate=self.accumulate
        )
        if self.method not in METHODS:
            raise UsageError(
                t(
                    "method {method!r}; expected one of {methods}",
                    method=self.method,
                    methods=", ".join(METHODS),
                )
            )


@dataclass(frozen=True)
class Cost:
    """One device's answer; what is unknown is None."""

    device: str
    precision: str = ""
    minutes: Span | None = None
    memory_gb: Span | None = None
    usd: Span | None = None
    reason: str = ""
    """Why the job cannot run, and what would fit; empty where it can."""
    price_source: str = ""
    note: str = ""


def cost(
    architecture: Architecture, device: Device, job: Job, market: Market | None = None
) -> Cost:
    """What the job takes on one device; a job that does not fit says what would.

    Args:
        architecture: the model that is trained.
        device: where.
        job: how.
        market: which offers of the price list count; all on demand when not given.
    """
    precision = _precision(device, job.precision)
    try:
        memory_gb = _memory_gb(architecture, device, job, precision)
        if device.memory_gb and memory_gb.high > device.memory_gb:
            reason = t(
                "does not fit: needs up to {need:.1f} GB of {memory_gb:g} GB; {way_out}",
                need=memory_gb.high,
                memory_gb=device.memory_gb,
                way_out=_would_fit(architecture, device, job, precision),
            )
            return Cost(device.name, precision, memory_gb=memory_gb, reason=reason)
        rate = predictor.predict(_query(architecture, device, job, precision, "throughput_seq_s"))
    except UnsupportedError as error:
        return Cost(device.name, precision, reason=str(error))
    per_s = Span(rate.value, rate.low80, rate.high80)
    minutes = per_s.over(job.steps * job.batch / 60)
    price = prices.hourly(device, market)
    return Cost(
        device.name,
        precision,
        minutes,
        memory_gb,
        minutes.times(price.usd_per_hour / 60) if price else None,
        "",
        price.origin if price else "",
        rate.note,
    )


def costs(
    architecture: Architecture, devices: Iterable[Device], job: Job, market: Market | None = None
) -> list[Cost]:
    """Every device's answer: those it fits on by dollars, then unpriced by minutes, then the rest.

    Args:
        architecture: the model that is trained.
        devices: where.
        job: how.
        market: which offers of the price list count; all on demand when not given.
    """
    return sorted(
        (cost(architecture, device, job, market) for device in devices),
        key=lambda answer: (
            bool(answer.reason),
            answer.usd is None,
            answer.usd.value if answer.usd else 0.0,
            answer.minutes.value if answer.minutes else 0.0,
        ),
    )


def sentence(listed: Sequence[Cost]) -> str:
    """The cheapest and the fastest device for the job."""
    able = [(answer, answer.minutes) for answer in listed if answer.minutes is not None]
    if not able:
        return t(
            "No device in the catalogue can run this job: {reason}.",
            reason=listed[0].reason if listed else t("none was offered"),
        )
    fastest, minutes = min(able, key=lambda pair: pair[1].value)
    priced = next(((answer, answer.usd) for answer, _ in able if answer.usd is not None), None)
    if priced is None:
        return t(
            "{device} is predicted to be the fastest, {time}; no device that can run it has a "
            "price.",
            device=fastest.device,
            time=_time(minutes),
        )
    cheapest, usd = priced
    assert cheapest.minutes, "able to run"
    values = {"device": cheapest.device, "usd": _dollars(usd), "time": _time(cheapest.minutes)}
    if cheapest.device == fastest.device:
        text = t(
            "{device} is predicted to be the cheapest: {usd} and {time}, and the fastest as well.",
            **values,
        )
    else:
        text = t(
            "{device} is predicted to be the cheapest: {usd} and {time}; {fastest} is predicted to "
            "be the fastest, {least}.",
            fastest=fastest.device,
            least=_time(minutes),
            **values,
        )
    unable = len(listed) - len(able)
    if not unable:
        return text
    return text + t(" {unable} of {count} devices cannot run it.", unable=unable, count=len(listed))


def _time(minutes: Span) -> str:
    """The time in the unit a person would take."""
    if minutes.value < 2:
        span, text = minutes.times(60), marked("{value:,.3g} seconds ({low:,.3g} to {high:,.3g})")
    elif minutes.value < 120:
        span, text = minutes, marked("{value:,.3g} minutes ({low:,.3g} to {high:,.3g})")
    else:
        span, text = minutes.times(1 / 60), marked("{value:,.3g} hours ({low:,.3g} to {high:,.3g})")
    return t(text, value=span.value, low=span.low, high=span.high)


def _dollars(usd: Span) -> str:
    """`$1.20 (0.80 to 1.90)`; fractions of a cent without an exponent."""
    digits = 2
    if usd.low < 0.1:
        digits = min(8, max(2, 2 - math.floor(math.log10(usd.low))))
    texts = (f"{value:,.{digits}f}" for value in (usd.value, usd.low, usd.high))
    return t(
        "${value} ({low} to {high})", **dict(zip(("value", "low", "high"), texts, strict=True))
    )


def _precision(device: Device, wanted: str) -> str:
    if wanted != AUTO:
        return wanted
    if device.bf16_tflops:
        return "bf16-amp"
    return "fp16-amp" if device.fp16_tflops and device.kind == "gpu" else "fp32"


def _query(
    architecture: Architecture, device: Device, job: Job, precision: str, metric: str
) -> Query:
    return Query(
        model=architecture,
        device=device,
        task="training",
        metric=metric,
        precision=precision,
        batch=max(1.0, job.batch / job.accumulate),
        input_tokens=job.tokens,
        runtime=job.runtime,
        method=job.method,
        accumulate=job.accumulate,
        checkpointing=job.checkpointing,
    )


def _memory_gb(architecture: Architecture, device: Device, job: Job, precision: str) -> Span:
    """Gigabytes on the device, with the 80 % interval."""
    answer = predictor.predict(_query(architecture, device, job, precision, "memory_gb"))
    unit = GIB if job.runtime.gib else 1.0
    return Span(answer.value, answer.low80, answer.high80).times(unit)


def _would_fit(architecture: Architecture, device: Device, job: Job, precision: str) -> str:
    """The first gentler variant that fits, or how much memory is needed."""
    needs = [
        (name, _memory_gb(architecture, device, variant, precision).high)
        for name, variant in _gentler(architecture, job)
    ]
    for name, need_gb in needs:
        if need_gb <= (device.memory_gb or 0.0):
            return t("fits with {name}", name=t(name))
    return t(
        "not even the smallest variant fits, it needs up to {least:.1f} GB",
        least=min(need_gb for _, need_gb in needs),
    )


def _gentler(architecture: Architecture, job: Job) -> list[tuple[str, Job]]:
    """Variants of a job that need less memory, the closest to the job first."""
    small = replace(job, accumulate=max(1, math.ceil(job.batch)))
    saving = replace(small, checkpointing=True)
    variants = [
        (marked("micro-batches of one sequence"), small),
        (marked("micro-batches of one sequence and activation checkpointing"), saving),
    ]
    if job.method == "full":
        variants.append((marked("LoRA"), replace(job, method="lora")))
        variants.append(
            (marked("LoRA and micro-batches of one sequence"), replace(small, method="lora"))
        )
    if job.method != "qlora" and architecture.kind == "decoder":
        variants.append(
            (marked("QLoRA and micro-batches of one sequence"), replace(saving, method="qlora"))
        )
    return variants
