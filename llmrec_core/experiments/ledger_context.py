"""The context of a run that works for a worker: what it reports goes to the ledger, fenced by its lease."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

from llmrec_core.errors import LedgerError, RunFailed
from llmrec_core.experiments.context import RunContext
from llmrec_core.experiments.queue import Queue
from llmrec_core.experiments.records import Lease
from llmrec_core.experiments.turns import Turns

FLUSH_S = 0.5


class LedgerContext(RunContext):
    """Progress, curves and log lines go out at most every `FLUSH_S`; the record itself goes out whole, in `finish`."""

    def __init__(self, ledger: Queue, lease: Lease, folder: Path, parent_model: Path | None, turns: Turns) -> None:
        super().__init__(folder, parent_model)
        self._ledger, self._lease, self._turns = ledger, lease, turns
        self._progress: tuple[str, float, float] | None = None
        self._points: list[tuple[str, int, float]] = []
        self._lines: list[str] = []
        self._flushed = 0.0
        self.waited_s = 0.0
        """Seconds given to people's questions; `clock` leaves them out."""

    def progress(self, phase: str, done: float, total: float) -> None:
        if self._progress is None or self._progress[0] != phase:
            self._flushed = 0.0  # a new phase shows at once
        self._progress = (phase, float(done), float(total))
        self._flush()
        if phase != "fit":
            self._stop_here()  # a fit saves a checkpoint first, see training/loop.py
        self.waited_s += self._turns.give_way()

    def log(self, line: str) -> None:
        self._lines.append(line)
        self._flush()

    def curve(self, name: str, step: int, value: float) -> None:
        super().curve(name, step, value)
        self._points.append((name, int(step), float(value)))
        self._flush()

    @contextlib.contextmanager
    def timing_window(self) -> Iterator[None]:
        self._stop_here()
        self.flush()  # no write of ours inside the window
        began = time.monotonic()
        with self._turns.alone():
            self.waited_s += time.monotonic() - began
            yield

    @property
    def clock(self) -> float:
        return time.monotonic() - self.waited_s

    def finish(self) -> None:
        """Write the record.

        Raises:
            LeaseLost: when another attempt has the run.
        """
        self.flush()
        self._ledger.finish(self._lease, self.measurements, self.samples, self.documents)

    def _stop_here(self) -> None:
        if self.should_stop():
            raise RunFailed("stopped on request", "cancelled")

    def _flush(self) -> None:
        if time.monotonic() - self._flushed >= FLUSH_S:
            self.flush()

    def flush(self) -> None:
        """Send what has not gone out yet.

        Raises:
            LeaseLost: when another attempt has the run.
            RunFailed: (disk) when there is no space left.
        """
        self._flushed = time.monotonic()
        # a locked ledger costs a delay, not the run: what was not written goes out with the next flush
        with contextlib.suppress(LedgerError):
            self._ledger.report(self._lease, self._progress, self._points, self._lines)
            self._points, self._lines = [], []
