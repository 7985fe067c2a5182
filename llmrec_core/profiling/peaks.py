"""What this machine can do at most, measured on the spot: matrix products and memory traffic."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

GEMM, GPU_GEMM = 1024, 8192
"""Side of the square matrices that are multiplied, on a CPU and on a GPU."""
COPY_BYTES = 256 << 20


@dataclass(frozen=True)
class Peaks:
    """Best of several repetitions."""

    gemm_flops_per_s: float
    """Of an fp32 product of square matrices."""
    bandwidth_bytes_per_s: float
    """Of a copy."""


def best_of(a: Peaks, b: Peaks) -> Peaks:
    """The higher of two measurements, each."""
    return Peaks(
        max(a.gemm_flops_per_s, b.gemm_flops_per_s),
        max(a.bandwidth_bytes_per_s, b.bandwidth_bytes_per_s),
    )


def measure_peaks(device: str = "cpu", budget_s: float = 1.0) -> Peaks:
    """Measure both peaks. A copied byte counts twice: read and written.

    Args:
        device: `cpu` or `cuda`.
        budget_s: about how long to measure.
    """
    import torch

    def synchronise() -> None:
        if device != "cpu":
            torch.cuda.synchronize()

    def fastest_s(call: Callable[[], object]) -> float:
        fastest, began = float("inf"), time.perf_counter()
        while time.perf_counter() - began < budget_s / 2:
            synchronise()
            start = time.perf_counter()
            call()
            synchronise()
            fastest = min(fastest, time.perf_counter() - start)
        return fastest

    size = GEMM if device == "cpu" else GPU_GEMM
    a, b = torch.randn(size, size, device=device), torch.randn(size, size, device=device)
    out = torch.empty_like(a)
    gemm_s = fastest_s(lambda: torch.mm(a, b, out=out))
    source = torch.zeros(COPY_BYTES // 4, device=device)
    target = torch.empty_like(source)
    copy_s = fastest_s(lambda: target.copy_(source))
    return Peaks(2.0 * size**3 / gemm_s, 2.0 * COPY_BYTES / copy_s)


if __name__ == "__main__":
    # `python -m llmrec_core.profiling.peaks DEVICE`: in a process of its own, as the buffers of
    # the copy stay in memory. Two rounds: a peak measured beside another program is not one.
    where = sys.argv[1]
    print(json.dumps(asdict(best_of(measure_peaks(where), measure_peaks(where)))))
