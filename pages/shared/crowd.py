"""So many pages are drawn at a time; whoever comes besides waits for a turn.

All scripts and the thread that answers the browsers share one interpreter. With two hundred scripts
at once that thread got no word in for twenty seconds, and browsers took the server for dead.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

AT_ONCE = 8
"""More would not be faster: one interpreter draws them all."""
_turns = threading.BoundedSemaphore(AT_ONCE)
_mine = threading.local()


@contextmanager
def turn() -> Iterator[None]:
    """Hold a turn while a page, or a part of it, is drawn; waits until there is one."""
    if getattr(_mine, "held", False):
        yield
        return
    with _turns:
        _mine.held = True
        try:
            yield
        finally:
            _mine.held = False


@contextmanager
def elsewhere() -> Iterator[None]:
    """Give the turn to others while this page waits for another process, e.g. for minutes."""
    if not getattr(_mine, "held", False):  # a part of a page that is drawn again has no turn
        yield
        return
    _turns.release()
    try:
        yield
    finally:
        _turns.acquire()
