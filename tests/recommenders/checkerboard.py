"""Data whose answer is known by construction, split by leave-one-out."""

from __future__ import annotations

import numpy as np
import pandas as pd

from llmrec_core.data.dataset import build_dataset
from llmrec_core.data.splits import Split, split

USERS, ITEMS = 40, 20


def split_checkerboard() -> Split:
    """Even users like even items, odd users odd ones; the last is of one's own colour (after implicit's tests)."""
    rng = np.random.default_rng(0)
    rows = []
    for user in range(USERS):
        own = rng.permutation(np.arange(user % 2, ITEMS, 2))
        rows += [(f"u{user}", f"i{item}", float(time)) for time, item in enumerate(own[:9])]
    colours = pd.DataFrame(
        {
            "item_id": [f"i{item}" for item in range(ITEMS)],
            "title": [
                f"{'black' if item % 2 else 'white'} field number{item}" for item in range(ITEMS)
            ],
        }
    )
    table = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    return split(build_dataset("checkerboard", table, colours), "loo")
