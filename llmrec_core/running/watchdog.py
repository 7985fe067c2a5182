"""Whether a process still computes.

A run that is stopped (SIGSTOP) or deadlocked would keep its worker's heartbeat for ever, since the
worker lives. What it has computed is read from the kernel, so a step may take as long as it likes.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import psutil

COMPUTED_S = 1.0
"""CPU seconds within the limit that show a process at work."""


class Watchdog:
    """Watches one process and what it has started."""

    def __init__(
        self,
        pid: int,
        stall_s: float,
        stopped_s: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin to watch.

        Args:
            pid: the process.
            stall_s: it is frozen when it has computed next to nothing for so long.
            stopped_s: it is frozen when the kernel has shown it as stopped for so long.
            monotonic: the clock.
        """
        self._pid, self._stall_s, self._stopped_s = pid, stall_s, stopped_s
        self._monotonic = monotonic
        self._computed_s, self._since = 0.0, monotonic()
        self._stopped_since: float | None = None

    def frozen_s(self) -> float | None:
        """Return for how many seconds the process has been frozen, `None` while it is at work."""
        clock = self._monotonic()
        try:
            process = psutil.Process(self._pid)
            stopped = process.status() in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP)
            computed_s = _cpu_s(process)
        except psutil.Error:  # it is leaving, and its exit status says how
            return None
        if computed_s - self._computed_s >= COMPUTED_S or computed_s < self._computed_s:
            self._computed_s, self._since = computed_s, clock
        self._stopped_since = (self._stopped_since or clock) if stopped else None
        if self._stopped_since is not None and clock - self._stopped_since > self._stopped_s:
            return clock - self._stopped_since
        return clock - self._since if clock - self._since > self._stall_s else None


def _cpu_s(process: psutil.Process) -> float:
    """CPU seconds of a process and of its children, those that have ended included."""
    times = process.cpu_times()
    total = times.user + times.system + times.children_user + times.children_system
    for child in process.children(recursive=True):
        own = child.cpu_times()
        total += own.user + own.system
    return float(total)
