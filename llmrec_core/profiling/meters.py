"""Check the meters before believing them."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from llmrec_core.language import t
from llmrec_core.profiling.energy import energy_counter
from llmrec_core.profiling.peaks import measure_peaks
from llmrec_core.profiling.timing import window

TIMER_LIMIT_S = 1e-5
REPEAT_LIMIT = 0.10
FOREIGN_LIMIT = 0.1
"""Share of the machine that others may use before the reader is told to close them."""


@dataclass(frozen=True)
class Check:
    """One check: what was measured and what was expected."""

    name: str
    measured: str
    expected: str
    ok: bool | None
    """Whether the two agree; None where nothing is expected."""
    note: str = ""


def check_meters() -> list[Check]:
    """All checks, in a few seconds."""
    peaks = measure_peaks(budget_s=2.0)
    return [
        Check(
            t("Matrix product, fp32"),
            t("{rate:.0f} GFLOP/s", rate=peaks.gemm_flops_per_s / 1e9),
            t("no data sheet for this processor"),
            None,
            t("the reference that MFU divides by"),
        ),
        Check(
            t("Memory copy"),
            t("{rate:.1f} GB/s", rate=peaks.bandwidth_bytes_per_s / 1e9),
            t("no data sheet for this processor"),
            None,
            t("bytes read and bytes written"),
        ),
        _timer(),
        _flop_counter(),
        _repeat(),
        _energy(),
    ]


def _timer() -> Check:
    """How fine the clock is, and whether it agrees with a sleep."""
    ticks = [time.perf_counter() for _ in range(10_000)]
    step = float(np.median(np.diff(ticks)))
    start = time.perf_counter()
    time.sleep(0.05)
    slept = time.perf_counter() - start
    return Check(
        t("Timer"),
        t(
            "{step:.0f} ns a reading; a 50 ms sleep took {slept:.1f} ms",
            step=step * 1e9,
            slept=slept * 1e3,
        ),
        t("below 10 µs; 50 to 75 ms"),
        step < TIMER_LIMIT_S and 0.05 <= slept < 0.075,
    )


def _flop_counter() -> Check:
    """Whether torch counts the FLOPs of one product right."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    a = torch.randn(64, 32)
    b = torch.randn(32, 16)
    with FlopCounterMode(display=False) as counter:
        a @ b
    expected = 2 * 64 * 32 * 16
    counted = counter.get_total_flops()
    return Check(
        t("FLOPs of a 64 × 32 × 16 product"), f"{counted:,}", f"{expected:,}", counted == expected
    )


def _repeat() -> Check:
    """Whether the same work takes as long a second time."""
    import torch

    a = torch.randn(512, 512)
    windows = [window(lambda _: a @ a, min_calls=50, min_s=0.5) for _ in range(2)]
    first, second = (float(np.median(each.samples_s)) for each in windows)
    foreign = max(each.foreign_load for each in windows)
    note = t("foreign load {foreign:.0f} %", foreign=100 * foreign)
    if foreign > FOREIGN_LIMIT:
        note = t(
            "foreign load {foreign:.0f} %: close other programs and check again",
            foreign=100 * foreign,
        )
    return Check(
        t("One product timed twice, apart"),
        t("{first:.3f} and {second:.3f} ms", first=first * 1e3, second=second * 1e3),
        t("within 10 %"),
        abs(first - second) / min(first, second) <= REPEAT_LIMIT,
        note,
    )


def _energy() -> Check:
    """Whether the energy counters advance, and how many watts they tell of an idle second."""
    counter = energy_counter()
    if not counter.available:
        return Check(
            t("Energy counter"),
            t("not measured: {reason}", reason=counter.reason),
            t("NVML or RAPL"),
            None,
        )
    before, start = counter.read_j(), time.perf_counter()
    time.sleep(1.0)
    after, wall_s = counter.read_j(), time.perf_counter() - start
    moved = before is not None and after is not None and after > before
    watts = (after - before) / wall_s if before is not None and after is not None else None
    return Check(
        t("Energy counter"),
        t("{watts:.1f} W over one second", watts=watts) if moved else t("did not advance"),
        t("advances"),
        moved,
        counter.source,
    )
