"""The cost of a fitted recommender: the same loaded weights whose quality is measured in the same run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from llmrec_core.profiling.economics import Economics
from llmrec_core.profiling.peaks import Peaks
from llmrec_core.profiling.timing import Window, percentiles, window
from llmrec_core.recommenders.base import Recommender
from llmrec_core.types import Measurement, Samples

BATCH = 8
"""Requests per call where throughput is measured."""
COUNTED = 3
"""Requests whose FLOPs are counted."""


@dataclass
class CostMeter:
    """Times one recommender on real requests of the study, in windows that stand apart in time."""

    recommender: Recommender
    histories: Sequence[np.ndarray]
    candidates: np.ndarray  # (requests, N)
    k: int = 10
    batch: int = BATCH
    precision: str = "fp32"
    keep: Callable[[Sequence[np.ndarray], np.ndarray, np.ndarray], None] | None = None
    """Told histories, candidates and scores of each request, e.g. `Remembered.keep`."""
    single: list[Window] = field(default_factory=list)
    batched: list[Window] = field(default_factory=list)

    def request(self, first: int, size: int) -> np.ndarray:
        """Top-k lists (size, k) of `size` consecutive users: what a server would answer."""
        rows = [(first * size + offset) % len(self.histories) for offset in range(size)]
        self._forget()
        asked = [self.histories[r] for r in rows], self.candidates[rows]
        scores = self.recommender.score(*asked)
        if self.keep is not None:
            self.keep(*asked, scores)
        return np.take_along_axis(self.candidates[rows], np.argsort(-scores, axis=1, kind="stable")[:, : self.k], 1)

    def _forget(self) -> None:
        """A request is a user seen for the first time: no remembered history may help."""
        reader = getattr(self.recommender, "inner", self.recommender)
        scorer = getattr(reader, "scorer", None)
        if scorer is not None:
            scorer.weights_changed()

    def run(self, number: int) -> None:
        """Window `number` of both kinds; the first one warms the second one up."""
        self.single.append(window(lambda call: self.request(call, 1)))
        self.batched.append(window(lambda call: self.request(call, self.batch), min_calls=2, warm_up=0))

    @property
    def shape(self) -> str:
        return f"request/{self.candidates.shape[1]}"

    def measurements(self, peaks: Peaks, economics: Economics, counted: tuple[float | None, str]) -> list[Measurement]:
        """All cost rows of the record."""
        one, many = f"{self.shape}/batch-1", f"{self.shape}/batch-{self.batch}"
        p50, p95, p99, n = percentiles(self.single)
        mean_history = float(np.mean([len(h) for h in self.histories]))
        description = self.recommender.describe(mean_history, self.candidates.shape[1])
        flops = description.flops_per_request
        per_s = self.batch * sum(len(w.samples_s) for w in self.batched) / sum(sum(w.samples_s) for w in self.batched)
        usd = economics.usd_per_million(per_s)
        foreign = max(w.foreign_load for w in (*self.single, *self.batched))
        rows = [
            Measurement("latency_p50_s", p50, "s", n=n, protocol=one),
            Measurement("latency_p95_s", p95, "s", n=n, protocol=one),
            Measurement("latency_p99_s", p99, "s", n=n, protocol=one),
            Measurement("throughput_requests_per_s", per_s, "1/s", n=sum(len(w.samples_s) for w in self.batched), protocol=many),
            Measurement("flops_per_request", flops, "FLOP", protocol=one),
            Measurement("flops_per_request_counted", counted[0], "FLOP", protocol=one, reason=counted[1] or None),
            self._mfu(flops / p50 / peaks.gemm_flops_per_s, one),
            Measurement("foreign_load", foreign, "1", protocol=one),
            Measurement(
                "usd_per_million", usd, "USD", protocol=many, reason=None if usd is not None else economics.price_source
            ),
            *self._energy(economics, many),
            Measurement("weight_bytes", description.weight_bytes, "B", protocol="run"),
            Measurement("parameters", description.parameters, "1", protocol="run"),
            Measurement("trainable_parameters", description.trainable_parameters, "1", protocol="run"),
            Measurement("peak_memory_bytes", max(w.peak_rss_bytes for w in (*self.single, *self.batched)), "B", protocol="run"),
            Measurement("gemm_peak_flops_per_s", peaks.gemm_flops_per_s, "FLOP/s", protocol="run"),
            Measurement("bandwidth_bytes_per_s", peaks.bandwidth_bytes_per_s, "B/s", protocol="run"),
            Measurement("utilisation", economics.utilisation, "1", protocol="run"),
            Measurement(
                "usd_per_hour", economics.usd_per_hour, "USD/h", protocol="run",
                reason=None if economics.usd_per_hour is not None else economics.price_source,
            ),
        ]  # fmt: skip
        return rows

    def _mfu(self, value: float, protocol: str) -> Measurement:
        if self.precision == "int8-dynamic":  # weight-only ones multiply in fp32
            reason = "the measured peak is of fp32 products, this run multiplies 8-bit integers"
            return Measurement("mfu", None, "1", protocol=protocol, reason=reason)
        return Measurement("mfu", value, "1", protocol=protocol)

    def _energy(self, economics: Economics, protocol: str) -> list[Measurement]:
        from llmrec_core.profiling.device import energy_counter

        known = [w for w in self.batched if w.energy_j is not None]
        if not known:
            reason = energy_counter().reason or "the counter did not advance within the window"
            return [
                Measurement("energy_per_request_j", None, "J", protocol=protocol, reason=reason),
                Measurement("gco2e_per_million", None, "g", protocol=protocol, reason=reason),
            ]
        joules = sum(w.energy_j or 0.0 for w in known) / (self.batch * sum(len(w.samples_s) for w in known))
        return [
            Measurement("energy_per_request_j", joules, "J", n=len(known), protocol=protocol),
            Measurement("gco2e_per_million", economics.gco2e_per_million(joules), "g", n=len(known), protocol=protocol),
        ]

    def samples(self) -> list[Samples]:
        """Raw seconds of every window."""
        return [
            Samples("latency_s", w.samples_s, protocol=f"{self.shape}/batch-{size}/window-{number}")
            for size, windows in ((1, self.single), (self.batch, self.batched))
            for number, w in enumerate(windows, 1)
        ]

    def windows(self) -> list[dict[str, Any]]:
        return [
            {"batch": size, "window": number, **w.summary()}
            for size, windows in ((1, self.single), (self.batch, self.batched))
            for number, w in enumerate(windows, 1)
        ]


def counted_flops(
    recommender: Recommender, histories: Sequence[np.ndarray], candidates: np.ndarray
) -> tuple[float | None, str]:
    """FLOPs of the mean of a few requests as torch counts them, or None and why not.

    Attention runs through the plain kernel while counting: the counter returns 0 for the fused CPU kernel
    (PyTorch issue 195460). It does not see quantised products or NumPy.
    """
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    reader = getattr(recommender, "inner", recommender)
    model = getattr(reader, "model", None)
    if not isinstance(model, torch.nn.Module):
        return None, "no torch module: NumPy products are not counted"
    if any(hasattr(part, "_packed_params") for part in model.modules()):
        return None, "the counter does not see int8 products"
    scorer = getattr(reader, "scorer", None)
    few = min(COUNTED, len(histories))
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # the fused encoder layer is one operator to the counter
    try:
        with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
            for row in range(few):
                if scorer is not None:
                    scorer.weights_changed()
                recommender.score([histories[row]], candidates[row : row + 1])
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
    return counter.get_total_flops() / few, ""
