"""The worker: takes runs from the queue, each in a process of its own, and answers questions.

It survives its children. Asked to stop (Ctrl-C, SIGTERM), it lets the run finish its step and save,
puts it back into the queue and leaves; a second signal does not wait. Killed outright, it loses
nothing either: see ledger/claims.py.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import IO

from llmrec_core.contract.spec import stored_run
from llmrec_core.errors import LedgerError, RunError, UsageError
from llmrec_core.language import t
from llmrec_core.ledger.ledger import Ledger
from llmrec_core.ledger.rows import OVER, Lease, LeaseLostError
from llmrec_core.redaction import redacted
from llmrec_core.running.failures import AWAY, KEPT, REPORTED, classify
from llmrec_core.running.halving import can_halve
from llmrec_core.running.helper import Helper
from llmrec_core.running.run_process import GRACE_S, RunProcess, physical_cores
from llmrec_core.running.run_record import RunRecord
from llmrec_core.running.worker_lock import home_lock
from llmrec_core.settings import Settings
from llmrec_core.terminal import printable

POLL_S = 0.25
RENEW_S = 2.0
"""Seconds between heartbeats, so that a wish to cancel is seen soon; a third of the lease when that
is shorter."""
HELPER_IDLE_S = 900.0


class Worker:
    """One worker of a ledger."""

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        *,
        allow_many: bool = False,
        out: IO[str] | None = None,
    ) -> None:
        """Prepare a worker.

        Args:
            settings: the home it works in.
            ledger: where its runs come from.
            allow_many: do not ask to be the only one; for PostgreSQL.
            out: where it says what it does; stdout when `None`.

        Raises:
            UsageError: for several workers on SQLite.
        """
        if allow_many and ledger.engine.dialect.name == "sqlite":
            raise UsageError(
                t(
                    "--allow-many needs PostgreSQL; this ledger is SQLite, where one worker is "
                    "enough"
                )
            )
        self.settings, self.ledger, self.allow_many = settings, ledger, allow_many
        self.id = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}"
        self._out = out or sys.stdout
        self._run: RunProcess | None = None
        self._helpers = (Helper(measurements=False), Helper(measurements=True))
        self._signals: list[int] = []
        self._renewed = 0.0
        self._trouble = ""

    def run(self, *, until_idle: bool = False) -> int:
        """Work until asked to stop; returns the exit status, 0 or 128 + the signal.

        Args:
            until_idle: leave when nothing is queued any more.

        Raises:
            UsageError: when another worker has this home.
        """
        with (
            contextlib.nullcontext() if self.allow_many else home_lock(self.settings, self.ledger),
            self._noting_signals(),
        ):
            if not self.allow_many:  # we hold the home's lock, so all others are gone
                self.ledger.free_silent_runs(everyone=True)
                self.ledger.free_silent_requests(everyone=True)
            self.ledger.add_worker(
                self.id, socket.gethostname(), os.getpid(), {"cores": physical_cores()}
            )
            try:
                while not self._signals:
                    self._safely(self._step)
                    if until_idle and not self._busy:
                        break
                    time.sleep(POLL_S)
            finally:
                self._leave()
        return 128 + self._signals[0] if self._signals else 0

    @contextlib.contextmanager
    def _noting_signals(self) -> Iterator[None]:
        def note(number: int, frame: FrameType | None) -> None:
            self._signals.append(number)

        before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _safely(self, step: Callable[[], None]) -> None:
        """Do a step; a ledger that is away or full for a while is said once and tried again."""
        try:
            step()
            self._trouble = ""
        except (LedgerError, RunError, OSError) as error:
            if str(error) != self._trouble:
                self._say(t("{error}. Trying again", error=error))
            self._trouble = str(error)
            time.sleep(1.0)

    @property
    def _busy(self) -> bool:
        answering = any(helper.busy for helper in self._helpers)
        return bool(self._run or answering or self._trouble)

    def _step(self) -> None:
        """One look at everything."""
        if self._run is not None:
            self._run.watch()
        self._renew()
        self._answer()
        if self._run is not None and self._run.status is not None:
            self._settle(self._run)
            self._run = None
        if self._run is None:
            lease = self.ledger.claim(self.id)
            if lease is not None:
                self._start(lease)

    def _start(self, lease: Lease) -> None:
        self._say(
            t(
                "started {name} (run {run_id}, attempt {attempt})",
                name=_name(lease),
                run_id=lease.run_id,
                attempt=lease.attempt,
            )
        )
        try:
            self._run = RunProcess(lease, self.settings)
        except OSError as error:
            kind, sentence = classify(error)
            state = self.ledger.fail(lease, kind, sentence)
            self._say(f"{state} {_name(lease)}: {sentence}")

    def _renew(self) -> None:
        if time.monotonic() - self._renewed < min(RENEW_S, self.settings.lease_s / 3):
            return
        self._renewed = time.monotonic()
        self.ledger.beat(self.id, "busy" if self._busy else "idle")
        if self._run is None:
            return
        lease = self._run.lease
        try:
            if self.ledger.renew(lease):
                self._run.stop()
        except LeaseLostError as error:
            run = self.ledger.run(lease.run_id)
            if run.attempt == lease.attempt and run.state in (*OVER, "paused", "queued"):
                return  # it has just told the ledger how it ended, and is leaving
            self._say(str(error))
            self._run.process.kill()

    def _cancelled(self, helper: Helper) -> bool:
        """Whether the question under way has been given up by whoever asked it."""
        if helper.request is None:
            return False
        row = self.ledger.answer(helper.request.id)
        return row is not None and row.state == "cancelled"

    def _answer(self) -> None:
        if any(helper.request is None for helper in self._helpers):
            self.ledger.free_silent_requests()
        for helper in self._helpers:
            self._attend(helper)

    def _attend(self, helper: Helper) -> None:
        """Take a helper's answer, and give it the next question of its line."""
        answered = helper.answered = helper.answered or helper.poll()
        if answered is not None:
            self.ledger.close_request(answered.request, answered.answer, answered.error)
            helper.answered = None
        if self._cancelled(helper):
            helper.give_up()
        if helper.request is None:
            request = self.ledger.claim_request(self.id, measurements=helper.measurements)
            if request is not None:
                helper.ask(request)
            elif helper.idle_s > HELPER_IDLE_S:
                helper.close()

    def _settle(self, ended: RunProcess) -> None:
        """Tell the ledger how the run's process ended, unless that has done so itself."""
        with contextlib.suppress(
            LeaseLostError
        ):  # the run has told the ledger, or another one has it
            self._tell(ended)
        run = self.ledger.run(ended.lease.run_id)
        self._say(
            t(
                "{state} {name} (run {id}) after {seconds:.1f} s{note}",
                state=run.state,
                name=run.name,
                id=run.id,
                seconds=time.monotonic() - ended.began,
                note=f": {run.error}" if run.error else "",
            )
        )

    def _tell(self, ended: RunProcess) -> None:
        lease = ended.lease
        if ended.status == KEPT and self._commit_kept(lease):
            return
        if ended.was_stopped and self.ledger.run(lease.run_id).cancel_requested:
            sentence = t("cancelled on request; what it has saved is kept")
            self.ledger.fail(lease, "cancelled", sentence)
        elif ended.was_stopped or ended.status in (KEPT, AWAY):
            self.ledger.put_back(lease)
        else:
            kind, sentence = ended.failure()
            if ended.status not in (0, REPORTED):
                self.ledger.report(lease, lines=ended.tail())
            halve = kind == "out_of_memory" and can_halve(stored_run(lease.spec))
            self.ledger.fail(lease, kind, sentence, halve=halve)

    def _commit_kept(self, lease: Lease) -> bool:
        """Give the ledger the record that a run has left in its folder; false when it is gone."""
        spec_hash = self.ledger.run(lease.run_id).spec_hash
        record = RunRecord.read(self.settings.runs / lease.run_id, spec_hash)
        if record is not None:
            record.commit(self.ledger, lease)
        return record is not None

    def _leave(self) -> None:
        """Stop the run under way and the helpers; all that is unfinished goes back to the queue."""
        for helper in self._helpers:
            helper.close()
        ending = self._run
        if ending is not None:
            self._say(
                t(
                    "stopping {name}: it finishes its step and saves; once more not to wait for "
                    "that",
                    name=_name(ending.lease),
                )
            )
            while ending.status is None:
                ending.stop(0.0 if len(self._signals) > 1 else GRACE_S)
                self._safely(self._renew)
                time.sleep(0.05)
        # When the ledger is away or full, the next worker frees what is left.
        with contextlib.suppress(LedgerError, RunError):
            if ending is not None:
                self._settle(ending)
            for helper in self._helpers:
                if helper.request is not None:
                    self.ledger.release_request(helper.request)
            self.ledger.beat(self.id, "stopped")

    def _say(self, line: str) -> None:
        said = t("{moment} worker: {line}", moment=time.strftime("%H:%M:%S"), line=redacted(line))
        print(printable(said), file=self._out, flush=True)


def _name(lease: Lease) -> str:
    return str(lease.spec.get("name") or lease.run_id)
