"""How long one device takes for requests, alone and together: predicted, or measured here."""

from __future__ import annotations

from dataclasses import dataclass

from llmrec_core.costmodel.facts import bounds
from llmrec_core.costmodel.facts.devices import Device
from llmrec_core.costmodel.predict.predictor import Coefficients
from llmrec_core.costmodel.predict.request import Request
from llmrec_core.costmodel.predict.span import Span
from llmrec_core.errors import UnsupportedError
from llmrec_core.language import t

LARGEST_BATCH = 8
"""Requests a device takes together at most, as a run measures them."""


@dataclass(frozen=True)
class Service:
    """Seconds of one request and of a full batch on one device."""

    one_s: Span
    full_s: Span
    """Of a batch of `largest_batch` requests, never less than of one."""
    largest_batch: int = LARGEST_BATCH
    scatter: float = 0.0
    """Coefficient of variation of a request's time, 0 where every request takes as long."""
    predicted: bool = False
    note: str = ""

    @property
    def alone_p95_s(self) -> float:
        """Seconds that 95 % of requests take on a device that does nothing else."""
        return self.one_s.value * (1 + 1.645 * self.scatter)

    @property
    def per_s(self) -> float:
        """Requests per second of a device that always has a full batch."""
        return self.largest_batch / self.full_s.value


def measured(
    one_s: float,
    per_s: Span,
    largest_batch: int,
    *,
    one_p95_s: float | None = None,
    predicted: bool = False,
    note: str = "",
) -> Service:
    """The service of a recommender whose latency and throughput are known on this very device.

    Args:
        one_s: median seconds of one request at a time, or the mean where requests are unlike.
        per_s: requests per second at `largest_batch` requests at a time, with its interval.
        largest_batch: requests at a time behind `per_s`.
        one_p95_s: seconds that 95 % of single requests take; a scatter of 0 where it is unknown.
        predicted: whether the figures were predicted for a device that was not measured.
        note: what there is to say about the figures.

    Raises:
        UsageError: for a time or a rate that is no number above 0.
    """
    bounds.check(service_s=one_s, requests_per_s_measured=per_s.value, largest_batch=largest_batch)
    full = per_s.over(largest_batch)
    full = Span(*(max(one_s, seconds) for seconds in (full.value, full.low, full.high)))
    spread = full.times(one_s / full.value)
    scatter = max(0.0, (one_p95_s or one_s) / one_s - 1) / 1.645
    return Service(spread, full, largest_batch, scatter, predicted, note)


def on_device(
    request: Request,
    device: Device,
    largest_batch: int = LARGEST_BATCH,
    *,
    scatter: float = 0.0,
    coefficients: Coefficients | None = None,
) -> Service:
    """The service predicted for a request on a device.

    Args:
        request: what is scored.
        device: where.
        largest_batch: requests a device takes together at most.
        scatter: coefficient of variation of a request's time, as measured elsewhere.
        coefficients: pulled by own runs; the product's when not given.

    Raises:
        UnsupportedError: when the device lacks the arithmetic or the memory.
    """
    bounds.check(largest_batch=largest_batch)
    if device.memory_gb:
        need_gb = request.memory_gb(device, float(largest_batch)).high
        if need_gb > device.memory_gb:
            raise UnsupportedError(
                t(
                    "does not fit: needs up to {need:.1f} GB of {memory_gb:g} GB",
                    need=need_gb,
                    memory_gb=device.memory_gb,
                )
            )
    single, note = request.seconds(device, 1.0, coefficients)
    full, _ = request.seconds(device, float(largest_batch), coefficients)
    full = full if full.value >= single.value else single
    return Service(single, full, largest_batch, scatter, True, note)
