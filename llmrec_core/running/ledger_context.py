"""The context of a run that works for a worker: what it reports goes to the ledger, fenced."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path

from llmrec_core.contract.run_context import RunContext
from llmrec_core.errors import LedgerError, RunError
from llmrec_core.language import t
from llmrec_core.ledger.leases import Leases
from llmrec_core.ledger.model_files import DOCUMENT, files_of
from llmrec_core.ledger.rows import Lease, LeaseLostError
from llmrec_core.running.run_record import RunRecord
from llmrec_core.running.turns import Turns

FLUSH_S = 0.5
COMMIT_S = 600.0
"""How long a finished run waits for a ledger that is away; its worker goes on after that."""
COMMIT_PAUSE_S = 1.0


class RecordKept(Exception):  # noqa: N818 - it is no error: the record is safe in its file
    """The ledger is away; the record stands in the run's folder."""


class LedgerContext(RunContext):
    """Reports of a run that holds a lease.

    Progress, curves and log lines go out at most every `FLUSH_S`; the record goes out whole, in
    `finish`.
    """

    def __init__(
        self, ledger: Leases, lease: Lease, folder: Path, parent_model: Path | None, turns: Turns
    ) -> None:
        super().__init__(folder, parent_model)
        self._ledger, self._lease, self._turns = ledger, lease, turns
        self._progress: tuple[str, float, float] | None = None
        self._points: list[tuple[str, int, float]] = []
        self._lines: list[str] = []
        self._flushed = 0.0
        self.waited_s = 0.0
        """Seconds given to people's questions; `clock` leaves them out."""

    def progress(self, phase: str, done: float, total: float) -> None:
        """Report how far a phase is; gives way to a person's question.

        Args:
            phase: as `RunContext.progress`.
            done: how much is done, in the unit of `total`.
            total: all that there is to do.
        """
        if self._progress is None or self._progress[0] != phase:
            self._flushed = 0.0  # a new phase shows at once
        self._progress = (phase, float(done), float(total))
        self._flush()
        if phase != "fit":
            self._stop_here()  # a fit saves a checkpoint first, see training/loop.py
        self.waited_s += self._turns.give_way()

    def log(self, line: str) -> None:
        """Report a line for the run's log."""
        self._lines.append(line)
        self._flush()

    def curve(self, name: str, step: int, value: float) -> None:
        """Report a point of a curve.

        Args:
            name: of the curve.
            step: of the training, from 0.
            value: in the unit of the curve.
        """
        super().curve(name, step, value)
        self._points.append((name, int(step), float(value)))
        self._flush()

    @contextlib.contextmanager
    def timing_window(self) -> Iterator[None]:
        """Have the machine to oneself."""
        self._stop_here()
        self.flush()  # no write of ours inside the window
        began = time.monotonic()
        with self._turns.alone():
            self.waited_s += time.monotonic() - began
            yield

    @property
    def clock(self) -> float:
        """Seconds that stand still while a person's question is answered."""
        return time.monotonic() - self.waited_s

    def finish(self, spec_hash: str) -> None:
        """Write the record into the run's folder, then give it to the ledger.

        A ledger that is away is tried again for `COMMIT_S`, or until the run is asked to stop.

        Args:
            spec_hash: of the run as queued.

        Raises:
            LeaseLostError: when another attempt has the run.
            RecordKept: when the ledger has not come back; the record stands in the folder.
        """
        self.document(DOCUMENT, files_of(self.folder / "model"))
        record = RunRecord(
            spec_hash, self.measurements, self.samples, self.documents, self._points, self._lines
        )
        self._points, self._lines = [], []
        record.write(self.folder)
        self.commit(record)

    def commit(self, record: RunRecord) -> None:
        """Give a record to the ledger, with what has not gone out yet; see `finish`."""
        record = dataclasses.replace(
            record,
            curves=[*record.curves, *self._points],
            lines=[*record.lines, *self._lines],
        )
        until = time.monotonic() + COMMIT_S
        while True:
            try:
                record.commit(self._ledger, self._lease)
                return
            except LeaseLostError:
                raise
            except (LedgerError, RunError) as error:
                if time.monotonic() > until or self.should_stop():
                    raise RecordKept(str(error)) from error
                time.sleep(COMMIT_PAUSE_S)

    def _stop_here(self) -> None:
        if self.should_stop():
            raise RunError(t("stopped on request"), "cancelled")

    def _flush(self) -> None:
        if time.monotonic() - self._flushed >= FLUSH_S:
            self.flush()

    def flush(self) -> None:
        """Send what has not gone out yet.

        Raises:
            LeaseLostError: when another attempt has the run.
            RunError: (disk) when there is no space left.
        """
        self._flushed = time.monotonic()
        # A ledger that is away costs a delay, not the run: the next flush brings the rest.
        with contextlib.suppress(LedgerError):
            self._ledger.report(self._lease, self._progress, self._points, self._lines)
            self._points, self._lines = [], []
