"""What this machine can do at most, measured on the spot: matrix products and memory traffic."""

from __future__ import annotations

import time
from dataclasses import dataclass

GEMM = 1024
COPY_BYTES = 256 << 20


@dataclass(frozen=True)
class Peaks:
    """Best of several repetitions; FLOP/s of an fp32 product of 1024 × 1024 matrices and bytes/s of a copy."""

    gemm_flops_per_s: float
    bandwidth_bytes_per_s: float


def best_of(a: Peaks, b: Peaks) -> Peaks:
    """The higher of two measurements, each."""
    return Peaks(max(a.gemm_flops_per_s, b.gemm_flops_per_s), max(a.bandwidth_bytes_per_s, b.bandwidth_bytes_per_s))


def measure_peaks(device: str = "cpu", budget_s: float = 1.0) -> Peaks:
    """Both peaks on `device` in about `budget_s` seconds. A copied byte counts twice: read and written."""
    import torch

    def sync() -> None:
        if device != "cpu":
            torch.cuda.synchronize()

    def best(call: object) -> float:
        fastest, began = float("inf"), time.perf_counter()
        while time.perf_counter() - began < budget_s / 2:
            sync()
            start = time.perf_counter()
            call()  # type: ignore[operator]
            sync()
            fastest = min(fastest, time.perf_counter() - start)
        return fastest

    size = GEMM if device == "cpu" else 8 * GEMM
    a, b = torch.randn(size, size, device=device), torch.randn(size, size, device=device)
    out = torch.empty_like(a)
    gemm = best(lambda: torch.mm(a, b, out=out))
    source = torch.zeros(COPY_BYTES // 4, device=device)
    target = torch.empty_like(source)
    copy = best(lambda: target.copy_(source))
    return Peaks(2.0 * size**3 / gemm, 2.0 * COPY_BYTES / copy)
