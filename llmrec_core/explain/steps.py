"""How far an explanation is, for a page that waits for it."""

from __future__ import annotations

import time
from collections.abc import Callable

from llmrec_core.contract.steps import Progress, Step

NOTED_AFTER_S = 1.0
"""A shorter answer is there before anybody could read how far it is."""


def noting(
    progress: Progress, phase: str, clock: Callable[[], float] = time.monotonic
) -> Callable[[int, int], None]:
    """What takes how much is done, and all that there is, and notes it once it takes long.

    Args:
        progress: called with each step.
        phase: what is being done, in a sentence.
        clock: seconds.
    """
    began = clock()

    def note(done: int, total: int) -> None:
        if clock() - began >= NOTED_AFTER_S:
            progress(Step(done=done, total=total, phase=phase))

    return note
