"""The cost of a fitted recommender: the same loaded weights whose quality the same run measures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from llmrec_core.contract.recommender import (
    Neural,
    Recommender,
    RemembersHistories,
    reader_of,
    routed_requests,
)
from llmrec_core.language import t
from llmrec_core.profiling.economics import Economics
from llmrec_core.profiling.energy import energy_counter
from llmrec_core.profiling.peaks import Peaks
from llmrec_core.profiling.timing import Window, percentiles, window
from llmrec_core.types import Description, Measurement, Samples

BATCH = 8
"""Requests per call where throughput is measured."""
COUNTED = 3
"""Requests whose FLOPs torch counts."""
DESCRIBED = 500
"""Requests whose FLOPs are reckoned by formula."""


@dataclass
class CostMeter:
    """Times one recommender on real requests, in windows that stand apart in time."""

    recommender: Recommender
    histories: Sequence[np.ndarray]
    candidates: np.ndarray
    """Item codes, shape (requests, N)."""
    k: int = 10
    batch: int = BATCH
    precision: str = "fp32"
    keep: Callable[[Sequence[np.ndarray], np.ndarray, np.ndarray], None] | None = None
    """Is given histories, candidates and scores of each request, e.g. `Remembered.keep`."""
    single: list[Window] = field(default_factory=list)
    """Windows of one request at a time."""
    batched: list[Window] = field(default_factory=list)
    """Windows of `batch` requests at a time."""

    def request(self, first: int, size: int) -> np.ndarray:
        """Top-k lists of consecutive users: what a server would answer.

        Args:
            first: number of the call.
            size: users in it.

        Returns:
            Item codes, shape (size, k).
        """
        rows = [(first * size + offset) % len(self.histories) for offset in range(size)]
        forget(self.recommender)
        histories, offered = [self.histories[row] for row in rows], self.candidates[rows]
        scores = self.recommender.score(histories, offered)
        if self.keep is not None:
            self.keep(histories, offered, scores)
        best = np.argsort(-scores, axis=1, kind="stable")[:, : self.k]
        return np.take_along_axis(offered, best, 1)

    def run(self, number: int) -> None:
        """Window `number` of both kinds; the first one warms the second one up."""
        self.single.append(window(lambda call: self.request(call, 1)))
        self.batched.append(
            window(lambda call: self.request(call, self.batch), min_calls=2, warm_up=0)
        )

    def describe(self) -> Description:
        """What these requests cost by formula, a mean over the first `DESCRIBED` of them."""
        return self.recommender.describe(self.histories[:DESCRIBED], self.candidates[:DESCRIBED])

    def _routed(self) -> np.ndarray | None:
        """Whether a language model reads each described request; None without a gate."""
        return routed_requests(
            self.recommender, self.histories[:DESCRIBED], self.candidates[:DESCRIBED]
        )

    @property
    def shape(self) -> str:
        """The request's part of a protocol's name, e.g. `request/100`."""
        return f"request/{self.candidates.shape[1]}"

    def measurements(
        self, peaks: Peaks, economics: Economics, counted: tuple[float | None, str]
    ) -> list[Measurement]:
        """All cost rows of the record.

        Args:
            peaks: of the device that the requests ran on.
            economics: price, utilisation and grid.
            counted: what `counted_flops` returned.
        """
        single, many = f"{self.shape}/batch-1", f"{self.shape}/batch-{self.batch}"
        description = self.describe()
        flops = description.flops_per_request
        p50, p95, p99, n = percentiles(self.single)
        calls = sum(len(w.samples_s) for w in self.batched)
        per_s = self.batch * calls / sum(sum(w.samples_s) for w in self.batched)
        usd = economics.usd_per_million(per_s)
        mean_s = float(np.mean(np.concatenate([w.samples_s for w in self.single])))
        routed = self._routed()
        gated = routed is not None
        no_price = None if usd is not None else economics.price_source
        return [
            Measurement("latency_p50_s", p50, "s", n=n, protocol=single),
            Measurement("latency_p95_s", p95, "s", n=n, protocol=single),
            Measurement("latency_p99_s", p99, "s", n=n, protocol=single),
            *_of_the_gate(routed, mean_s, n, single),
            Measurement("throughput_requests_per_s", per_s, "1/s", n=calls, protocol=many),
            Measurement("flops_per_request", flops, "FLOP", protocol=single),
            Measurement(
                "flops_per_request_counted",
                counted[0],
                "FLOP",
                protocol=single,
                reason=counted[1] or None,
            ),
            # behind a gate, operations are a mean of unlike requests: so must be their time
            self._mfu(flops / (mean_s if gated else p50) / peaks.gemm_flops_per_s, single),
            Measurement(
                "foreign_load", max(w.foreign_load for w in self._windows()), "1", protocol=single
            ),
            Measurement("usd_per_million", usd, "USD", protocol=many, reason=no_price),
            *self._energy(economics, many),
            *self._of_run(description, peaks, economics),
        ]

    def _of_run(
        self, description: Description, peaks: Peaks, economics: Economics
    ) -> Iterator[Measurement]:
        """Rows that do not depend on the size of a request."""
        for name, value, unit in (
            ("weight_bytes", description.weight_bytes, "B"),
            ("parameters", description.parameters, "1"),
            ("trainable_parameters", description.trainable_parameters, "1"),
            ("gemm_peak_flops_per_s", peaks.gemm_flops_per_s, "FLOP/s"),
            ("bandwidth_bytes_per_s", peaks.bandwidth_bytes_per_s, "B/s"),
            ("utilisation", economics.utilisation, "1"),
        ):
            yield Measurement(name, value, unit, protocol="run")
        price = economics.usd_per_hour
        yield Measurement(
            "usd_per_hour",
            price,
            "USD/h",
            protocol="run",
            reason=None if price is not None else economics.price_source,
        )

    def _windows(self) -> list[Window]:
        return [*self.single, *self.batched]

    def _mfu(self, value: float, protocol: str) -> Measurement:
        if self.precision == "int8-dynamic":  # weight-only formats multiply in fp32
            reason = t("the measured peak is of fp32 products, this run multiplies 8-bit integers")
            return Measurement("mfu", None, "1", protocol=protocol, reason=reason)
        return Measurement("mfu", value, "1", protocol=protocol)

    def _energy(self, economics: Economics, protocol: str) -> list[Measurement]:
        measured = [w for w in self.batched if w.energy_j is not None]
        if not measured:
            reason = energy_counter().reason or t("the counter did not advance within the window")
            return [
                Measurement("energy_per_request_j", None, "J", protocol=protocol, reason=reason),
                Measurement("gco2e_per_million", None, "g", protocol=protocol, reason=reason),
            ]
        calls = sum(len(w.samples_s) for w in measured)
        joules = sum(w.energy_j or 0.0 for w in measured) / (self.batch * calls)
        grams, n = economics.gco2e_per_million(joules), len(measured)
        return [
            Measurement("energy_per_request_j", joules, "J", n=n, protocol=protocol),
            Measurement("gco2e_per_million", grams, "g", n=n, protocol=protocol),
        ]

    def _numbered(self) -> Iterator[tuple[int, int, Window]]:
        """Requests at a time, number and window."""
        for size, windows in ((1, self.single), (self.batch, self.batched)):
            for number, measured in enumerate(windows, 1):
                yield size, number, measured

    def samples(self) -> list[Samples]:
        """Raw seconds of every window."""
        return [
            Samples("latency_s", w.samples_s, protocol=f"{self.shape}/batch-{size}/window-{number}")
            for size, number, w in self._numbered()
        ]

    def windows(self) -> list[dict[str, Any]]:
        """The windows without their samples, for the record's `windows` document."""
        return [
            {"batch": size, "window": number, **w.summary()} for size, number, w in self._numbered()
        ]


def _of_the_gate(
    routed: np.ndarray | None, mean_s: float, n: int, protocol: str
) -> Iterator[Measurement]:
    """What is to be known besides where a language model reads only some of the requests."""
    if routed is not None:
        yield Measurement("latency_mean_s", mean_s, "s", n=n, protocol=protocol)
        yield Measurement(
            "requests_read", float(routed.mean()), "1", n=len(routed), protocol=protocol
        )


def evenly_mixed(
    recommender: Recommender, histories: Sequence[np.ndarray], candidates: np.ndarray
) -> tuple[Sequence[np.ndarray], np.ndarray]:
    """The requests in an order in which a gate lets about the same share of any stretch through.

    A window times the first few dozen requests; so their mean is that of the mix. Without a gate
    the order stays.

    Args:
        recommender: fitted.
        histories: one array of item codes a request.
        candidates: item codes, shape (requests, N).
    """
    routed = routed_requests(recommender, histories, candidates)
    if routed is None or routed.all() or not routed.any():
        return histories, candidates
    places = np.empty(len(routed))
    for kind in (routed, ~routed):
        places[kind] = (np.arange(kind.sum()) + 0.5) / kind.sum()
    order = np.argsort(places, kind="stable")
    return [histories[at] for at in order.tolist()], candidates[order]


def forget(recommender: Recommender) -> None:
    """Make the next request that of a user seen for the first time."""
    reader = reader_of(recommender)
    if isinstance(reader, RemembersHistories):
        reader.forget_histories()


def device_type(recommender: Recommender) -> str:
    """Where the requests of a recommender run: `cpu` or `cuda`."""
    reader = reader_of(recommender)
    if not isinstance(reader, Neural):
        return "cpu"
    return str(next(reader.network().parameters()).device.type)


def counted_flops(
    recommender: Recommender, histories: Sequence[np.ndarray], candidates: np.ndarray
) -> tuple[float | None, str]:
    """FLOPs of the mean of the first `COUNTED` requests as torch counts them.

    Behind a gate it is the mean of the first that a language model reads, times the share of the
    first `DESCRIBED` requests that it reads.

    Attention runs through the plain kernel while counting: the counter returns 0 for the fused CPU
    kernel (PyTorch issue 195460).

    Args:
        recommender: fitted.
        histories: as for `Recommender.score`.
        candidates: as for `Recommender.score`.

    Returns:
        The count and nothing, or None and why there is none: the counter sees neither integer
        products nor NumPy.
    """
    reader = reader_of(recommender)
    if not isinstance(reader, Neural):
        return None, t("no torch module: NumPy products are not counted")
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    from llmrec_core.profiling.weights import has_integer_products

    if has_integer_products(reader.network()):
        return None, t("the counter does not see int8 products")
    routed = routed_requests(recommender, histories[:DESCRIBED], candidates[:DESCRIBED])
    rows = list(range(len(histories))) if routed is None else np.flatnonzero(routed).tolist()
    if not rows:
        return None, t("the gate lets no request through to the language model")
    rows, share = rows[:COUNTED], 1.0 if routed is None else float(routed.mean())
    fused = torch.backends.mha.get_fastpath_enabled()
    # the fused encoder layer is one operator to the counter
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
            for row in rows:
                forget(recommender)
                recommender.score([histories[row]], candidates[row : row + 1])
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
    return share * counter.get_total_flops() / len(rows), ""
