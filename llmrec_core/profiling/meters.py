"""Check the meters before believing them."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from llmrec_core.profiling import device
from llmrec_core.profiling.peaks import measure_peaks
from llmrec_core.profiling.timing import window

TIMER_LIMIT_S = 1e-5
REPEAT_LIMIT = 0.10


@dataclass(frozen=True)
class Check:
    """One check: what was measured, what was expected, and whether they agree (None where nothing is expected)."""

    name: str
    measured: str
    expected: str
    ok: bool | None
    note: str = ""


def check_meters() -> list[Check]:
    """All checks, in a few seconds."""
    peaks = measure_peaks(budget_s=2.0)
    return [
        Check(
            "Matrix product, fp32",
            f"{peaks.gemm_flops_per_s / 1e9:.0f} GFLOP/s",
            "no data sheet for this processor",
            None,
            "the reference that MFU divides by",
        ),
        Check(
            "Memory copy",
            f"{peaks.bandwidth_bytes_per_s / 1e9:.1f} GB/s",
            "no data sheet for this processor",
            None,
            "bytes read and bytes written",
        ),
        _timer(),
        _flop_counter(),
        _repeat(),
        _energy(),
    ]


def _timer() -> Check:
    ticks = [time.perf_counter() for _ in range(10_000)]
    step = float(np.median(np.diff(ticks)))
    slept = time.perf_counter()
    time.sleep(0.05)
    slept = time.perf_counter() - slept
    good = step < TIMER_LIMIT_S and 0.05 <= slept < 0.075
    return Check(
        "Timer",
        f"{step * 1e9:.0f} ns a reading; a 50 ms sleep took {slept * 1e3:.1f} ms",
        "below 10 µs; 50 to 75 ms",
        good,
    )


def _flop_counter() -> Check:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    a = torch.randn(64, 32)
    b = torch.randn(32, 16)
    with FlopCounterMode(display=False) as counter:
        a @ b
    expected = 2 * 64 * 32 * 16
    counted = counter.get_total_flops()
    return Check("FLOPs of a 64 × 32 × 16 product", f"{counted:,}", f"{expected:,}", counted == expected)


def _repeat() -> Check:
    import torch

    a = torch.randn(512, 512)
    windows = [window(lambda _: a @ a, min_calls=50, min_s=0.5) for _ in range(2)]
    first, second = (float(np.median(w.samples_s)) for w in windows)
    foreign = max(w.foreign_load for w in windows)
    gap = abs(first - second) / min(first, second)
    return Check(
        "One product timed twice, apart",
        f"{first * 1e3:.3f} and {second * 1e3:.3f} ms",
        "within 10 %",
        gap <= REPEAT_LIMIT,
        f"foreign load {foreign:.0%}" + (": close other programs and check again" if foreign > 0.1 else ""),
    )


def _energy() -> Check:
    counter = device.energy_counter()
    if not counter.available:
        return Check("Energy counter", f"not measured: {counter.reason}", "NVML or RAPL", None)
    before, start = counter.read_j(), time.perf_counter()
    time.sleep(1.0)
    after, wall = counter.read_j(), time.perf_counter() - start
    moved = before is not None and after is not None and after > before
    watts = (after - before) / wall if moved and before is not None and after is not None else None
    return Check(
        "Energy counter",
        f"{watts:.1f} W over one second" if watts else "did not advance",
        "advances",
        moved,
        counter.source,
    )
