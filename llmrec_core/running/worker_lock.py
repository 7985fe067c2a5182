"""One worker a home: its lock, whether one lives, and how a frozen one is replaced."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator

import psutil

from llmrec_core.errors import UsageError
from llmrec_core.language import t
from llmrec_core.ledger.ledger import Ledger
from llmrec_core.ledger.rows import WorkerRow
from llmrec_core.running.processes import Holder, take_lock
from llmrec_core.settings import Settings

FROZEN_S = 6.0
"""Seconds without a heartbeat that prove a worker frozen which was silent for a lease before; a
live one beats every two seconds at least."""


@contextlib.contextmanager
def home_lock(settings: Settings, ledger: Ledger) -> Iterator[None]:
    """Be the only worker of this home; a frozen one is ended first.

    Raises:
        UsageError: when there is one already.
    """
    path = settings.home / "worker.lock"
    lock = take_lock(path)
    if lock is None:
        holder = Holder.read(path)
        if holder is not None and is_frozen(holder, ledger) and holder.end():
            lock = take_lock(path)
    if lock is None:
        raise UsageError(
            t(
                "a worker (process {holder}) already works on {home}; one is enough, it takes "
                "the queued runs. For several, use PostgreSQL: LLMREC_LEDGER=postgresql://… "
                "and `worker --allow-many`",
                holder=holder.pid if holder else t("unknown"),
                home=settings.home,
            )
        )
    try:
        yield
    finally:
        lock.release()


def is_frozen(holder: Holder, ledger: Ledger) -> bool:
    """Whether the worker with this process stands still.

    It was silent for a lease, by the database's clock, and its counter of heartbeats does not move
    while it is watched: a stopped process (SIGSTOP) or a deadlock.
    """
    before = _row_of(holder, ledger)
    if before is None or before.state != "lost":
        return False
    time.sleep(min(FROZEN_S, 2 * ledger.settings.lease_s))
    after = _row_of(holder, ledger)
    return after is not None and after.beats == before.beats


def _row_of(holder: Holder, ledger: Ledger) -> WorkerRow | None:
    return next(
        (row for row in ledger.workers() if (row.host, row.pid) == (holder.host, holder.pid)), None
    )


def live_worker(ledger: Ledger) -> WorkerRow | None:
    """Return a worker that lives, as far as this machine can tell."""
    for row in ledger.workers():
        if row.state in ("stopped", "lost"):
            continue
        if row.host != socket.gethostname() or psutil.pid_exists(row.pid):
            return row
    return None
