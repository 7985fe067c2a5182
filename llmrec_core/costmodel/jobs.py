"""A training job before it starts: minutes, memory and dollars on each device, and what would make it fit."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from llmrec_core.costmodel import counts, model, prices, work
from llmrec_core.costmodel.architecture import Architecture
from llmrec_core.costmodel.devices import Device
from llmrec_core.costmodel.query import Framework, Query, framework
from llmrec_core.errors import UnsupportedError, UsageError

METHODS = {"full": "all weights", "lora": "LoRA", "qlora": "QLoRA (4-bit base)"}
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
        counts.check_sizes(steps=self.steps, batch=self.batch, tokens=self.tokens, micro_batches=self.accumulate)
        if self.method not in METHODS:
            raise UsageError(f"method {self.method!r}; expected one of {', '.join(METHODS)}")


@dataclass(frozen=True)
class Cost:
    """One device's answer; what is unknown is None."""

    device: str
    precision: str = ""
    minutes: float | None = None
    minutes_low80: float | None = None
    minutes_high80: float | None = None
    memory_gb: float | None = None
    memory_high80_gb: float | None = None
    usd: float | None = None
    usd_low80: float | None = None
    usd_high80: float | None = None
    reason: str = ""
    """Why the job cannot run, and what would fit; empty when it can."""
    price_source: str = ""
    note: str = ""


def cost(architecture: Architecture, device: Device, job: Job, price: str = "on-demand") -> Cost:
    """What the job takes on one device; a job that does not fit says what would."""
    precision = _precision(device, job.precision)
    try:
        memory, high = _memory(architecture, device, job, precision)
        if device.memory_gb and high > device.memory_gb:
            return Cost(
                device.name,
                precision,
                memory_gb=memory,
                memory_high80_gb=high,
                reason=f"does not fit: needs up to {high:.1f} GB of {device.memory_gb:g} GB; "
                f"{_would_fit(architecture, device, job, precision)}",
            )
        found = model.predict(_query(architecture, device, job, precision, "throughput_seq_s"))
    except UnsupportedError as error:
        return Cost(device.name, precision, reason=str(error))
    minutes, low, top = (job.steps * job.batch / rate / 60 for rate in (found.value, found.high80, found.low80))
    offer = prices.hourly(device, price)
    hour = offer.usd_per_hour if offer else None

    def dollars(time: float) -> float | None:
        return None if hour is None else time / 60 * hour

    return Cost(
        device.name,
        precision,
        minutes,
        low,
        top,
        memory,
        high,
        dollars(minutes),
        dollars(low),
        dollars(top),
        "",
        f"{offer.provider}, {offer.date}, {offer.kind}" if offer else "",
        found.note,
    )


def costs(architecture: Architecture, devices: Iterable[Device], job: Job, price: str = "on-demand") -> list[Cost]:
    """Every device's answer: those it fits on by dollars, then unpriced by minutes, then the rest."""
    found = [cost(architecture, device, job, price) for device in devices]
    return sorted(found, key=lambda one: (bool(one.reason), one.usd is None, one.usd or 0.0, one.minutes or 0.0))


def sentence(found: list[Cost]) -> str:
    """The cheapest and the fastest device for the job."""
    able = [one for one in found if not one.reason and one.minutes is not None]
    if not able:
        return f"No device in the catalogue can run this job: {found[0].reason if found else 'none was offered'}."
    fastest = min(able, key=lambda one: one.minutes or 0.0)
    priced = [one for one in able if one.usd is not None]
    fast = f"{fastest.device} is predicted to be the fastest, {_minutes(fastest)}"
    if not priced:
        return fast + "; no device that can run it has a price."
    cheapest = priced[0]
    cheap = f"{cheapest.device} is predicted to be the cheapest: {_dollars(cheapest)}"
    if cheapest.device == fastest.device:
        return f"{cheap} and {_minutes(cheapest)}, and the fastest as well."
    left = len(found) - len(able)
    tail = f" {left} of {len(found)} devices cannot run it." if left else ""
    return f"{cheap} and {_minutes(cheapest)}; {fast}.{tail}"


def _minutes(one: Cost) -> str:
    """The time in the unit a person would take."""
    minutes = one.minutes or 0.0
    size, unit = (1 / 60, "seconds") if minutes < 2 else (1.0, "minutes") if minutes < 120 else (60.0, "hours")
    low, high = (one.minutes_low80 or 0.0) / size, (one.minutes_high80 or 0.0) / size
    return f"{minutes / size:,.3g} {unit} ({low:,.3g} to {high:,.3g})"


def _dollars(one: Cost) -> str:
    """`$1.20 (0.80 to 1.90)`; fractions of a cent without an exponent."""
    smallest = min(one.usd_low80 or 1.0, 1.0)
    digits = min(8, max(2, 2 - math.floor(math.log10(smallest)))) if smallest < 0.1 else 2
    return f"${one.usd:,.{digits}f} ({one.usd_low80:,.{digits}f} to {one.usd_high80:,.{digits}f})"


def _precision(device: Device, wanted: str) -> str:
    if wanted != AUTO:
        return wanted
    if device.bf16_tflops:
        return "bf16-amp"
    return "fp16-amp" if device.fp16_tflops and device.kind == "gpu" else "fp32"


def _query(architecture: Architecture, device: Device, job: Job, precision: str, metric: str) -> Query:
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


def _memory(architecture: Architecture, device: Device, job: Job, precision: str) -> tuple[float, float]:
    """GB on the device, and the upper end of the 80 % interval."""
    found = model.predict(_query(architecture, device, job, precision, "memory_gb"))
    unit = work.GIB if job.runtime.gib else 1.0
    return found.value * unit, found.high80 * unit


def _would_fit(architecture: Architecture, device: Device, job: Job, precision: str) -> str:
    """The first gentler variant that fits, or how much memory is needed."""
    small = replace(job, accumulate=max(1, int(job.batch)))
    variants = [
        ("micro-batches of one sequence", small),
        ("micro-batches of one sequence and activation checkpointing", replace(small, checkpointing=True)),
    ]
    if job.method == "full":
        variants.append(("LoRA", replace(job, method="lora")))
        variants.append(("LoRA and micro-batches of one sequence", replace(small, method="lora")))
    if job.method != "qlora" and architecture.kind == "decoder":
        variants.append(("QLoRA and micro-batches of one sequence", replace(small, method="qlora", checkpointing=True)))
    for name, variant in variants:
        if _memory(architecture, device, variant, precision)[1] <= (device.memory_gb or 0.0):
            return f"fits with {name}"
    least = min(_memory(architecture, device, variant, precision)[1] for _, variant in variants)
    return f"not even the smallest variant fits, it needs up to {least:.1f} GB"
