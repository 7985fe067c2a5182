"""Parts of the test cases on which a mean can hide a failure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from llmrec_core.data.splits import Case, Split

RARE = 10  # training interactions
SHORT = 20  # history items


def slices(split: Split, cases: Sequence[Case]) -> dict[str, np.ndarray]:
    """Bool masks over the cases by name; the last three may be empty or overlap.

    `rare items`: every withheld item has at most 10 training interactions; `cold items`: none has any; `short
    histories`: at most 20 items before the request.
    """
    most = np.array([split.item_counts[case.relevant].max(initial=0) for case in cases])
    lengths = np.array([len(case.history) for case in cases])
    return {
        "all": np.ones(len(cases), dtype=bool),
        "rare items": most <= RARE,
        "cold items": most == 0,
        "short histories": lengths <= SHORT,
    }
