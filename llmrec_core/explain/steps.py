"""How far an explanation is, for a page that waits for it."""

from __future__ import annotations

from collections.abc import Callable

from llmrec_core.contract.steps import Progress, Step
from llmrec_core.explain.explanation import Explanation
from llmrec_core.explain.question import USUAL_ERROR
from llmrec_core.language import t

NOTED_AFTER_S = 1.0
"""A shorter answer is there before anybody could read how far it is."""


def noting(
    progress: Progress, budget: int | None, error: float | None
) -> Callable[[Explanation], None]:
    """What takes the intermediate explanations of a question and notes how far it is.

    Args:
        progress: called with each step.
        budget: coalitions that are scored at most; None lets the error decide.
        error: summed error that is asked for, of the summed values; None is the usual one. The
            error of a sampled value falls with the root of the coalitions (Castro et al., 2009).
    """

    def note(so_far: Explanation) -> None:
        if so_far.seconds < NOTED_AFTER_S:
            return
        scored = 0 if so_far.masks is None else len(so_far.masks)
        if budget:
            share = scored / budget
        else:
            asked, reached = error or USUAL_ERROR, so_far.relative_error
            share = 1.0 if reached <= asked else (asked / reached) ** 2
        phase = t("coalitions of reasons scored")
        progress(Step(done=round(100 * min(share, 1.0)), total=100, phase=phase))

    return note


def people_noting(progress: Progress) -> Callable[[int, int], None]:
    """What takes the number of people explained, and of all, and notes how far that is.

    Args:
        progress: called with each step.
    """
    return lambda done, total: progress(Step(done=done, total=total, phase=t("people explained")))
