"""The worker: takes runs from the queue, each in a process of its own, and answers questions meanwhile.

It survives its children. Told to stop (Ctrl-C, SIGTERM), it lets the run finish its step and save, puts it back into
the queue and leaves; a second signal does not wait. Killed outright, it loses nothing either: see queue.py.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import psutil

from llmrec_core.errors import LedgerError, RunFailed, UsageError
from llmrec_core.experiments.failures import REPORTED, STOPPED, classify, classify_exit, kernel_oom_kills
from llmrec_core.experiments.helper import Helper
from llmrec_core.experiments.ledger import Ledger
from llmrec_core.experiments.records import OVER, Lease, LeaseLost, RequestRow, WorkerRow
from llmrec_core.settings import Settings

POLL_S = 0.25
RENEW_S = 2.0  # so that a wish to cancel is seen soon; a third of the lease when that is shorter
GRACE_S = 20.0  # for the step under way and its checkpoint
HELPER_IDLE_S = 900.0
TAIL_LINES = 30


@contextlib.contextmanager
def home_lock(settings: Settings) -> Iterator[None]:
    """Be the only worker of this home.

    Raises:
        UsageError: when there is one already.
    """
    settings.home.mkdir(parents=True, exist_ok=True)
    with (settings.home / "worker.lock").open("a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            holder = handle.read().strip() or "unknown"
            raise UsageError(
                f"a worker (process {holder}) already works on {settings.home}; one is enough, it takes the queued "
                "runs. For several, use PostgreSQL: LLMREC_LEDGER=postgresql://… and `worker --allow-many`"
            ) from None
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        yield


def live_worker(ledger: Ledger) -> WorkerRow | None:
    """A worker that lives, as far as this machine can tell."""
    for row in ledger.workers():
        if row.state in ("stopped", "lost"):
            continue
        if row.host != socket.gethostname() or psutil.pid_exists(row.pid):
            return row
    return None


def physical_cores() -> int:
    """Cores this process may use, hyper-threads counted once."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(usable, psutil.cpu_count(logical=False) or usable))


class Child:
    """The process of one run."""

    def __init__(self, lease: Lease, folder: Path) -> None:
        self.lease = lease
        self.began = time.monotonic()
        self.oom_kills = kernel_oom_kills()
        self.told_to_stop: float | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self.output = folder / "output.txt"
        threads = str(physical_cores())
        environment = {
            "OMP_NUM_THREADS": threads,
            "MKL_NUM_THREADS": threads,
            "TOKENIZERS_PARALLELISM": "false",
            **os.environ,
            "LLMREC_WORKER_PID": str(os.getpid()),
            "LLMREC_SOURCE_ID": lease.source_id or "",
            "PYTHONFAULTHANDLER": "1",
        }
        command = [
            sys.executable,
            "-m",
            "llmrec_core.experiments.child",
            lease.run_id,
            lease.worker,
            str(lease.attempt),
        ]
        with self.output.open("ab") as sink:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, env=environment, start_new_session=True
            )

    def stop(self, grace_s: float = GRACE_S) -> None:
        """Ask it to stop; call again and again: it is ended when the grace is over."""
        if self.told_to_stop is None:
            self.told_to_stop = time.monotonic()
            self.process.terminate()
        elif time.monotonic() - self.told_to_stop > grace_s:
            self.process.kill()

    def tail(self) -> list[str]:
        """The last lines of its output."""
        with self.output.open("rb") as source:
            source.seek(max(0, self.output.stat().st_size - 8000))
            return source.read().decode("utf-8", "replace").splitlines()[-TAIL_LINES:]


class Worker:
    """One worker of a ledger."""

    def __init__(
        self, settings: Settings, ledger: Ledger, *, allow_many: bool = False, out: IO[str] = sys.stdout
    ) -> None:
        if allow_many and ledger.engine.dialect.name == "sqlite":
            raise UsageError("--allow-many needs PostgreSQL; this ledger is SQLite, where one worker is enough")
        self.settings, self.ledger, self.allow_many, self.out = settings, ledger, allow_many, out
        self.id = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}"
        self.child: Child | None = None
        self.helper = Helper()
        self.signals: list[int] = []
        self._answered: tuple[RequestRow, dict[str, Any] | None, str | None] | None = None  # until the ledger has it
        self._renewed = 0.0
        self._trouble = ""

    def run(self, *, until_idle: bool = False) -> int:
        """Work until told to stop; returns the exit status, 0 or 128 + the signal.

        Args:
            until_idle: leave when nothing is queued any more.

        Raises:
            UsageError: when another worker has this home.
        """
        with contextlib.nullcontext() if self.allow_many else home_lock(self.settings), self._signals():
            if not self.allow_many:  # we hold the home's lock, so all others are gone
                self.ledger.free_silent_runs(everyone=True)
                self.ledger.free_silent_requests(everyone=True)
            self.ledger.add_worker(self.id, socket.gethostname(), os.getpid(), {"cores": physical_cores()})
            try:
                while not self.signals:
                    self._safely(self._step)
                    if until_idle and not self._busy:
                        break
                    time.sleep(POLL_S)
            finally:
                self._leave()
        return 128 + self.signals[0] if self.signals else 0

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        def note(number: int, frame: Any) -> None:
            self.signals.append(number)

        before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _safely(self, step: Callable[[], None]) -> None:
        """Do a step; a ledger that is locked or full for a while is said once and tried again."""
        try:
            step()
            self._trouble = ""
        except (LedgerError, RunFailed, OSError) as error:
            if str(error) != self._trouble:
                self._say(f"{error}. Trying again")
            self._trouble = str(error)
            time.sleep(1.0)

    @property
    def _busy(self) -> bool:
        return bool(self.child or self.helper.request or self._answered or self._trouble)

    def _step(self) -> None:
        """One look at everything."""
        self._renew()
        self._answer()
        if self.child is not None and self.child.process.poll() is not None:
            self._settle(self.child)
            self.child = None
        if self.child is None:
            lease = self.ledger.claim(self.id)
            if lease is not None:
                self._start(lease)

    def _start(self, lease: Lease) -> None:
        self._say(f"started {self._name(lease)} (run {lease.run_id}, attempt {lease.attempt})")
        try:
            self.child = Child(lease, self.settings.runs / lease.run_id)
        except OSError as error:
            kind, sentence = classify(error)
            self._say(f"{self.ledger.fail(lease, kind, sentence)} {self._name(lease)}: {sentence}")

    def _renew(self) -> None:
        if time.monotonic() - self._renewed < min(RENEW_S, self.settings.lease_s / 3):
            return
        self._renewed = time.monotonic()
        self.ledger.beat(self.id, "busy" if self._busy else "idle")
        if self.child is None:
            return
        try:
            if self.ledger.renew(self.child.lease):
                self.child.stop()
        except LeaseLost as error:
            run = self.ledger.run(self.child.lease.run_id)
            if run.attempt == self.child.lease.attempt and run.state in (*OVER, "paused"):
                return  # it has just told the ledger how it ended, and is leaving
            self._say(str(error))
            self.child.process.kill()

    def _answer(self) -> None:
        self._answered = self._answered or self.helper.poll()
        if self._answered is not None:
            self.ledger.close_request(*self._answered)
            self._answered = None
        if self.helper.request is None:
            self.ledger.free_silent_requests()
            request = self.ledger.claim_request(self.id)
            if request is not None:
                self.helper.ask(request)
            elif self.helper.started and time.monotonic() - self.helper.last_used > HELPER_IDLE_S:
                self.helper.close()

    def _settle(self, child: Child) -> None:
        """Tell the ledger how the run's process ended, unless that has done so itself."""
        lease, status = child.lease, child.process.returncode
        stopped = status == STOPPED or (child.told_to_stop and status in (-signal.SIGKILL, -signal.SIGTERM))
        try:
            if stopped and self.ledger.run(lease.run_id).cancel_requested:
                self.ledger.fail(lease, "cancelled", "cancelled on request; what it has saved is kept")
            elif stopped:
                self.ledger.put_back(lease)
            else:
                kind, sentence = classify_exit(status, kernel_oom_kills() - child.oom_kills)
                if status not in (0, REPORTED):
                    self.ledger.report(lease, lines=child.tail())
                self.ledger.fail(lease, kind, sentence)
        except LeaseLost:
            pass  # the run itself has told the ledger, or somebody else has it
        run = self.ledger.run(lease.run_id)
        note = f": {run.error}" if run.error else ""
        self._say(f"{run.state} {run.name} (run {run.id}) after {time.monotonic() - child.began:.1f} s{note}")

    def _leave(self) -> None:
        """Stop the run under way and the helper; everything unfinished goes back into the queue."""
        self.helper.close()
        child = self.child
        if child is not None:
            self._say(
                f"stopping {self._name(child.lease)}: it finishes its step and saves; once more not to wait for that"
            )
            while child.process.poll() is None:
                child.stop(0.0 if len(self.signals) > 1 else GRACE_S)
                self._safely(self._renew)
                time.sleep(0.05)
        with contextlib.suppress(LedgerError, RunFailed):  # on a full disk: the next worker frees what is left
            if child is not None:
                self._settle(child)
            if self.helper.request is not None:
                self.ledger.release_request(self.helper.request)
            self.ledger.beat(self.id, "stopped")

    def _name(self, lease: Lease) -> str:
        return str(lease.spec.get("name") or lease.run_id)

    def _say(self, line: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} worker: {line}", file=self.out, flush=True)
