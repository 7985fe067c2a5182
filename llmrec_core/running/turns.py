"""Whose turn it is on this machine.

A timing window runs alone, and a person's question goes before training. Two file locks in
`LLMREC_HOME` hold that: whoever uses the machine alone holds `timing.lock`. Whoever wants it queues
on `turn.lock` first, so that a run with many timing windows cannot keep a waiting answer out. A run
that trains gives way at its next step while an answer waits or works.

These are the kernel's own locks, since the turn is shared by all runs and exclusive to an answer:
a kind that filelock has only with a database beside it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path


class Turns:
    """The two locks of one home."""

    def __init__(self, home: Path) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self._turn, self._timing = (
            os.open(home / name, os.O_RDWR | os.O_CREAT, 0o600)
            for name in ("turn.lock", "timing.lock")
        )
        self._alone = False

    @contextlib.contextmanager
    def alone(self, *, first: bool = False) -> Iterator[None]:
        """Wait for one's turn, then have the machine to oneself.

        Args:
            first: every run gives way meanwhile.
        """
        fcntl.flock(self._turn, fcntl.LOCK_EX)
        try:
            fcntl.flock(self._timing, fcntl.LOCK_EX)
            self._alone = True
            if not first:
                fcntl.flock(self._turn, fcntl.LOCK_UN)
            yield
        finally:
            self._alone = False
            fcntl.flock(self._timing, fcntl.LOCK_UN)
            fcntl.flock(self._turn, fcntl.LOCK_UN)

    def give_way(self) -> float:
        """Wait while somebody goes first; nothing inside one's own window.

        Returns:
            The seconds waited.
        """
        if self._alone:
            return 0.0
        began = time.monotonic()
        fcntl.flock(self._turn, fcntl.LOCK_SH)
        fcntl.flock(self._turn, fcntl.LOCK_UN)
        return time.monotonic() - began

    def close(self) -> None:
        """Let go of both locks."""
        os.close(self._turn)
        os.close(self._timing)
