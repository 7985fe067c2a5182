"""What acting on a check of the cleaning report would do to a figure."""

from __future__ import annotations

import numpy as np

from llmrec_core.checks.diagnosis.models import Measured, fit
from llmrec_core.data.cleaning.checks import CHECKS
from llmrec_core.data.cleaning.inspection import without
from llmrec_core.data.dataset import Dataset
from llmrec_core.data.diagnosis import Consequence, Figure
from llmrec_core.errors import DataError
from llmrec_core.metrics.intervals import paired_difference

MOVES_ROWS = ("interactions", "users")
"""Units of the checks whose action takes interactions away; others change titles alone."""


def consequences(dataset: Dataset, as_is: Measured, users: int) -> list[Consequence]:
    """Quality of item-kNN after each check's action alone, over the people who stay.

    Args:
        dataset: as it is.
        as_is: the figures of it.
        users: most people asked.
    """
    acted = []
    for check in CHECKS:
        if not check.action or check.why_not(dataset) or check.unit not in MOVES_ROWS:
            continue
        mask = check.find(dataset)
        if not mask.any():
            continue
        try:
            after = fit(without(dataset, check, mask), users).measure()
        except DataError:  # nobody would be left to ask
            continue
        _, here, there = np.intersect1d(as_is.users, after.users, return_indices=True)
        if len(here) < 2:
            continue
        gap = paired_difference(after.item_knn[there], as_is.item_knn[here])
        acted.append(
            Consequence(
                check=check.name,
                rule=check.rule,
                count=int(mask.sum()),
                unit=check.unit,
                moves=Figure(value=gap.mean, low=gap.low, high=gap.high, n=gap.n),
            )
        )
    return acted
