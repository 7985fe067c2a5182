"""Measure the peaks of this machine and remember them as the device `this-machine`."""

from __future__ import annotations

import time
from pathlib import Path

import torch

from llmrec_core.costmodel.facts.devices import Device
from llmrec_core.costmodel.facts.this_machine import device_of, remember
from llmrec_core.models.devices import pick_device
from llmrec_core.profiling.device import describe
from llmrec_core.profiling.peaks import measure_peaks


def measure_this_machine(home: Path, budget_s: float = 4.0) -> Device:
    """Measure this machine (needs torch) and remember it.

    Args:
        home: where the user's own devices are kept.
        budget_s: seconds to measure for.
    """
    where = pick_device("auto").type
    peaks = measure_peaks(where, budget_s)
    half = _half_flops_per_s(where) if where != "cpu" else None
    return remember(
        home,
        device_of(describe().to_dict(), peaks.gemm_flops_per_s, peaks.bandwidth_bytes_per_s, half),
    )


def _half_flops_per_s(where: str, size: int = 8192, repeats: int = 8) -> float:
    """The best 16-bit product of several on a GPU, in FLOP/s."""
    a = torch.randn(size, size, device=where, dtype=torch.float16)
    fastest = float("inf")
    for _ in range(repeats):
        torch.cuda.synchronize()
        start = time.perf_counter()
        torch.mm(a, a)
        torch.cuda.synchronize()
        fastest = min(fastest, time.perf_counter() - start)
    return 2.0 * size**3 / fastest
