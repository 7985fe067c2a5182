"""So many pages are drawn at a time; whoever comes besides waits for a turn.

All scripts and the thread that answers the browsers share one interpreter. With two hundred scripts
at once that thread got no word in for twenty seconds, and browsers took the server for dead.
"""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager

AT_ONCE = 8
"""More would not be faster: one interpreter draws them all."""
_turns = threading.BoundedSemaphore(AT_ONCE)


def turn() -> AbstractContextManager[bool]:
    """Hold a turn while a page is drawn; waits until there is one."""
    return _turns
