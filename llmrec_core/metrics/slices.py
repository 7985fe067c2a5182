"""Parts of the test cases on which a mean can hide a failure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from llmrec_core.data.splits import Case, Split
from llmrec_core.data.ties import tied_cases
from llmrec_core.language import marked

RARE = 10  # training interactions
SHORT = 20  # history items
CLEAR_ORDER = marked("clear order")
"""The slice without the people whose withheld item is the last one by equal times alone."""


def slices(split: Split, cases: Sequence[Case]) -> dict[str, np.ndarray]:
    """Bool masks over the cases by name; all but the first may be empty or overlap.

    `rare items`: every withheld item has at most 10 training interactions; `cold items`: none has
    any; `short histories`: at most 20 items before the request; `clear order`, where some targets
    are tied: the people whose last item is the last one without looking at the order of the file.

    Args:
        split: whose training says what is rare.
        cases: the cases of the exam, in its order.
    """
    most = np.array([split.item_counts[case.relevant].max(initial=0) for case in cases])
    lengths = np.array([len(case.history) for case in cases])
    tied = tied_cases(split, cases)
    parts = {
        "all": np.ones(len(cases), dtype=bool),
        marked("rare items"): most <= RARE,
        marked("cold items"): most == 0,
        marked("short histories"): lengths <= SHORT,
    }
    return parts | ({CLEAR_ORDER: ~tied} if tied.any() else {})
