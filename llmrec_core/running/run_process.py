"""The worker's side of the process of one run: started, watched, asked to stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psutil

from llmrec_core.language import t
from llmrec_core.ledger.rows import Lease
from llmrec_core.running.failures import STOPPED, classify_exit, kernel_oom_kills
from llmrec_core.running.watchdog import Watchdog
from llmrec_core.settings import Settings

GRACE_S = 20.0
"""Seconds for the step under way and its checkpoint."""
TAIL_LINES, TAIL_BYTES = 30, 8000


def physical_cores() -> int:
    """Return the cores this process may use, hyper-threads counted once."""
    usable = len(os.sched_getaffinity(0))
    return max(1, min(usable, psutil.cpu_count(logical=False) or usable))


class RunProcess:
    """The process of one run."""

    def __init__(self, lease: Lease, settings: Settings) -> None:
        """Start it.

        Raises:
            OSError: when the machine has no process or no disk left for it.
        """
        self.lease = lease
        self.began = time.monotonic()
        self.ended_because: tuple[str, str] | None = None
        """(kind, sentence) when the worker itself has ended it."""
        self._oom_kills = kernel_oom_kills()
        self._asked_to_stop: float | None = None
        self._limit_s = settings.run_hours * 3600
        folder = settings.runs / lease.run_id
        folder.mkdir(parents=True, exist_ok=True)
        self._output = folder / "output.txt"
        with self._output.open("ab") as sink:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "llmrec_core.running.child",
                    lease.run_id,
                    lease.worker,
                    str(lease.attempt),
                ],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                env=_environment(lease),
                start_new_session=True,
            )
        self._watchdog = Watchdog(self.process.pid, settings.stall_s, 2 * settings.lease_s)

    @property
    def status(self) -> int | None:
        """Exit status, negative for a signal; `None` while it runs."""
        return self.process.poll()

    def stop(self, grace_s: float = GRACE_S) -> None:
        """Ask it to stop; called again and again, it is ended when the grace is over.

        Args:
            grace_s: seconds from the first call until it is killed.
        """
        if self._asked_to_stop is None:
            self._asked_to_stop = time.monotonic()
            self.process.terminate()
        elif time.monotonic() - self._asked_to_stop > grace_s:
            self.process.kill()

    @property
    def was_stopped(self) -> bool:
        """Whether it ended because it was asked to."""
        by_signal = self.status in (-signal.SIGKILL, -signal.SIGTERM)
        return self.status == STOPPED or (self._asked_to_stop is not None and by_signal)

    def watch(self) -> None:
        """End it when it is frozen, or has run for longer than any run may."""
        frozen_s = self._watchdog.frozen_s()
        ran_s = time.monotonic() - self.began
        if frozen_s is not None:
            self._end(
                "lost",
                t(
                    "its process stood still for {seconds:.0f} s, computing nothing, and was ended",
                    seconds=frozen_s,
                ),
            )
        elif ran_s > self._limit_s:
            self._end(
                "time",
                t(
                    "it had run for {hours:.1f} hours, longer than LLMREC_RUN_HOURS allows, and "
                    "was ended; raise that limit, or lower training.max_minutes or "
                    "protocol.users, then resume it",
                    hours=ran_s / 3600,
                ),
            )

    def _end(self, kind: str, sentence: str) -> None:
        if self.ended_because is None:
            self.ended_because = (kind, sentence)
        self.process.kill()

    def failure(self) -> tuple[str, str]:
        """Return (kind, sentence) of how it ended, if it has not told the ledger itself."""
        if self.ended_because is not None:
            return self.ended_because
        return classify_exit(self.process.returncode, kernel_oom_kills() - self._oom_kills)

    def tail(self) -> list[str]:
        """Return the last lines of its output."""
        with self._output.open("rb") as source:
            source.seek(max(0, self._output.stat().st_size - TAIL_BYTES))
            return source.read().decode("utf-8", "replace").splitlines()[-TAIL_LINES:]


def _environment(lease: Lease) -> dict[str, str]:
    threads = str(physical_cores())
    return {
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "TOKENIZERS_PARALLELISM": "false",
        **os.environ,
        "LLMREC_WORKER_PID": str(os.getpid()),
        "LLMREC_SOURCE_ID": lease.source_id or "",
        "PYTHONFAULTHANDLER": "1",
    }
