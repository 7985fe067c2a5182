"""Where the seconds of a measurement went: every part by name, and what is left."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from llmrec_core.profiling.timing import TimingWindow

WAITED, OTHER, TOTAL = "waited", "other", "total"


class TimeAccount:
    """Seconds since it was made, part by part."""

    def __init__(self, window: TimingWindow = contextlib.nullcontext) -> None:
        """Begin the account.

        Args:
            window: in which the machine is the measurement's alone.
        """
        self._window = window
        self._began = time.monotonic()
        self._parts: dict[str, float] = {}

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count what happens inside as part `name`, in seconds."""
        began = time.monotonic()
        try:
            yield
        finally:
            self._parts[name] = self._parts.get(name, 0.0) + time.monotonic() - began

    @contextlib.contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """The same with the machine to oneself; waiting for it is a part of its own."""
        began = time.monotonic()
        with self._window():
            self._parts[WAITED] = self._parts.get(WAITED, 0.0) + time.monotonic() - began
            with self.part(name):
                yield

    def seconds(self) -> dict[str, float]:
        """Seconds by part, `other` for what no part counts, and the `total` of them all."""
        total = time.monotonic() - self._began
        return {
            **self._parts,
            OTHER: max(0.0, total - sum(self._parts.values())),
            TOTAL: total,
        }
