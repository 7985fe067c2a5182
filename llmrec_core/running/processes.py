"""Processes of this machine by an identity that outlives the reuse of process numbers."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from llmrec_core.errors import RunError
from llmrec_core.language import t

ENDING_S = 10.0
"""Seconds within which a killed process must have let go of its locks."""
CLOCK_S = 2.0
"""The kernel's answer to when a process began moves this much when the clock is set."""


@dataclass(frozen=True)
class Holder:
    """A process that holds a lock: host, number, and when it began."""

    host: str
    pid: int
    began: float
    """Seconds since 1970, as the kernel tells; two processes with one number differ in it."""

    @classmethod
    def of(cls, pid: int) -> Holder:
        """Return the identity of a live process of this machine."""
        return cls(socket.gethostname(), pid, psutil.Process(pid).create_time())

    @classmethod
    def read(cls, path: Path) -> Holder | None:
        """Return the identity in a lock file, `None` where there is none."""
        words = path.read_text(encoding="utf-8", errors="replace").split()
        try:
            return cls(words[0], int(words[1]), float(words[2]))
        except (IndexError, ValueError):
            return None

    def write(self, path: Path) -> None:
        """Write the identity into a lock file that this process holds."""
        path.write_text(f"{self.host} {self.pid} {self.began!r}", encoding="utf-8")

    def end(self) -> bool:
        """Kill the process if it is this very one, on this machine; returns whether it is gone."""
        if self.host != socket.gethostname():
            return False
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.began) < CLOCK_S
            if not same or self.pid == os.getpid():
                return not same
            process.kill()  # a stopped process dies of it too
            return _is_gone(process)
        except psutil.NoSuchProcess:
            return True
        except psutil.AccessDenied:
            return False


def _is_gone(process: psutil.Process) -> bool:
    """Wait for a killed process; one whose parent has not asked for its status is gone too."""
    until = time.monotonic() + ENDING_S
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def die_with(parent: int, how: signal.Signals) -> None:
    """Have the kernel send `how` to this process when `parent` ends.

    That is Linux's; elsewhere fencing alone protects.

    Args:
        parent: id of the process that is watched.
        how: what this process gets then.
    """
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, int(how))
    if os.getppid() != parent:  # it ended before the line above
        os.kill(os.getpid(), how)


def take_lock(path: Path) -> FileLock | None:
    """Return the lock on a file with our identity in it, `None` when another process has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return None
    Holder.of(os.getpid()).write(path)
    return lock


@contextlib.contextmanager
def run_folder(folder: Path, wait_s: float) -> Iterator[None]:
    """Hold a run's folder.

    An earlier attempt on this machine may still be writing there, or stand frozen with the lock.
    We hold the run's lease, so it is superseded: it is ended before its folder is taken.

    Args:
        folder: the run's folder; made when it is missing.
        wait_s: how long to wait for a holder that cannot be ended, e.g. on another machine.

    Raises:
        RunError: (lost) when it has not left by then.
    """
    path = folder / "lock"
    until = time.monotonic() + wait_s
    while (lock := take_lock(path)) is None:
        holder = Holder.read(path)
        if holder is not None:
            holder.end()
        if time.monotonic() > until:
            raise RunError(
                t(
                    "another process still writes to {folder}; end it and resume the run",
                    folder=folder,
                ),
                "lost",
            )
        time.sleep(0.1)
    try:
        yield
    finally:
        lock.release()
