"""Timing windows that know when the machine was not theirs.

    warm-up → window 1 ………… (evaluation) ………… window 2
               ├ samples: seconds per call, device synchronised on both sides of the clock
               ├ foreign load: CPU time of everybody else ÷ (cores × wall time)
               └ energy: counter after − counter before, where there is a counter

A window with more than 10 % foreign load is repeated; if the repeat is no better, it is kept and
marked noisy.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np
import psutil

from llmrec_core.contract.recommender import Score
from llmrec_core.profiling import live_load
from llmrec_core.profiling.energy import energy_counter

BUSY = ("user", "system", "nice", "irq", "softirq")
"""Kinds of CPU time in which something runs."""
FOREIGN_LIMIT = 0.10
MIN_WINDOW_S = 1.5
MIN_CALLS, MAX_CALLS = 20, 400
LONG_S, FEWEST_CALLS = 5.0, 8
"""A window that already took so long ends with fewer calls: long requests need no twenty."""


TimingWindow: TypeAlias = Callable[[], AbstractContextManager[object]]
"""Opens a stretch of time in which nothing else of this program uses the machine."""


class InsideClock:
    """Opens windows and adds up the seconds inside them, without those waited for the machine."""

    def __init__(self, window: TimingWindow) -> None:
        """Prepare a clock at zero.

        Args:
            window: what is opened.
        """
        self._window = window
        self.inside_s = 0.0

    @contextlib.contextmanager
    def __call__(self) -> Iterator[None]:
        """Open a window."""
        with self._window():
            began = time.perf_counter()
            try:
                yield
            finally:
                self.inside_s += time.perf_counter() - began


def in_windows(score: Score, window: TimingWindow) -> Score:
    """The same scores, each call in a window of its own, so that others wait for one at most."""

    def scored(histories: Sequence[np.ndarray], candidates: np.ndarray) -> np.ndarray:
        with window():
            return score(histories, candidates)

    return scored


@dataclass(frozen=True)
class Window:
    """One timing window. Times in seconds, one sample a call."""

    samples_s: list[float]
    wall_s: float
    foreign_load: float
    noisy: bool
    energy_j: float | None
    clock_hz: float | None
    temperature_c: float | None
    peak_rss_bytes: int

    def summary(self) -> dict[str, Any]:
        """The window without its samples, for the record's `windows` document."""
        body = asdict(self)
        del body["samples_s"]
        p50, p95, p99 = (float(v) for v in np.percentile(self.samples_s, (50, 95, 99)))
        return body | {"calls": len(self.samples_s), "p50_s": p50, "p95_s": p95, "p99_s": p99}


def synchronise() -> None:
    """Wait until the accelerator has done all that was asked of it.

    A process without torch has asked nothing of it, and is not made to load torch.
    """
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.synchronize()


def _busy_s() -> tuple[float, float]:
    """CPU seconds used by the whole machine and by this process, so far."""
    total = psutil.cpu_times()._asdict()  # a system counts some of these
    busy = sum(float(total.get(name, 0.0)) for name in BUSY)
    own = os.times()
    return busy, own.user + own.system + own.children_user + own.children_system


def _measure(call: Callable[[int], Any], min_calls: int, min_s: float) -> Window:
    counter = energy_counter()
    process = psutil.Process()
    samples: list[float] = []
    peak = process.memory_info().rss
    before, own_before = _busy_s()
    energy_before = counter.read_j()
    began = time.perf_counter()
    fewest = min(min_calls, FEWEST_CALLS)
    while len(samples) < MAX_CALLS:
        spent = time.perf_counter() - began
        if len(samples) >= (fewest if spent > LONG_S else min_calls) and spent > min_s:
            break
        synchronise()
        start = time.perf_counter()
        call(len(samples))
        synchronise()
        samples.append(time.perf_counter() - start)
        peak = max(peak, process.memory_info().rss)
    wall = time.perf_counter() - began
    energy_after = counter.read_j()
    after, own_after = _busy_s()
    foreign = max(0.0, (after - before) - (own_after - own_before)) / (
        wall * (psutil.cpu_count() or 1)
    )
    energy = (
        None
        if energy_before is None or energy_after is None or energy_after < energy_before
        else energy_after - energy_before
    )
    return Window(
        samples,
        wall,
        foreign,
        foreign > FOREIGN_LIMIT,
        energy,
        live_load.clock_hz(),
        live_load.temperature_c(),
        peak,
    )


def window(
    call: Callable[[int], Any],
    *,
    min_calls: int = MIN_CALLS,
    min_s: float = MIN_WINDOW_S,
    warm_up: int = 2,
) -> Window:
    """One window over `call(n)`, n = 0, 1, …; repeated once when somebody else used the machine."""
    for number in range(warm_up):
        call(number)
    first = _measure(call, min_calls, min_s)
    if not first.noisy:
        return first
    second = _measure(call, min_calls, min_s)
    return min((first, second), key=lambda w: w.foreign_load)


def percentiles(windows: Sequence[Window]) -> tuple[float, float, float, int]:
    """p50, p95, p99 in seconds over all samples of the windows, and their number."""
    samples = np.concatenate([w.samples_s for w in windows])
    p50, p95, p99 = np.percentile(samples, (50, 95, 99))
    return float(p50), float(p95), float(p99), len(samples)
