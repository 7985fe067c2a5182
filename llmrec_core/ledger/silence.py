"""Who has been silent for a lease, by this process's own monotonic clock.

A worker that lives raises a counter. Whoever has seen one counter unchanged for a whole lease may
take the work over. No clocks of two machines are compared, so a wrong or moved clock neither frees
a live run nor keeps a dead one.
"""

from __future__ import annotations

import time
from collections.abc import Callable


class Silence:
    """Counters as last seen, and since when each has been the same."""

    def __init__(self, lease_s: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.lease_s = lease_s
        self.monotonic = monotonic
        self._seen: dict[tuple[str, str], tuple[object, float]] = {}
        self._looked: dict[str, float] = {}

    def look(self, kind: str) -> None:
        """Say that all counters of a kind are about to be looked at.

        After a gap of half a lease between two looks, e.g. because the database was away, nobody
        could have been seen alive meanwhile: watching starts again.
        """
        clock = self.monotonic()
        if clock - self._looked.get(kind, clock) > self.lease_s / 2:
            for key in [key for key in self._seen if key[0] == kind]:
                del self._seen[key]
        self._looked[kind] = clock

    def lasts(self, kind: str, key: str, counter: object) -> bool:
        """Whether `counter` has been the same for a lease."""
        before, since = self._seen.get((kind, key), (None, 0.0))
        if before != counter:
            self._seen[kind, key] = (counter, self.monotonic())
            return False
        return self.monotonic() - since > self.lease_s
