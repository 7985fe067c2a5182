"""Whether one column is decided by another: a title by the item, a category by the item."""

from __future__ import annotations

import pandas as pd

from llmrec_core.data.text import fold

AGREE = 0.9
"""Share of repeated keys whose values must be one and the same."""


def is_function_of(values: pd.Series, keys: pd.Series) -> bool | None:
    """Whether equal keys have equal values, but for case, accents and punctuation.

    Args:
        values: what may be decided, as text; empty ones say nothing.
        keys: what may decide it.

    Returns:
        None when no key occurs twice, so that nothing is known.
    """
    pairs = pd.DataFrame({"key": keys.to_numpy(), "value": values.map(fold).to_numpy()})
    pairs = pairs[pairs["value"] != ""]
    by_key = pairs.groupby("key", sort=False)["value"].agg(["size", "nunique"])
    repeated = by_key[by_key["size"] > 1]
    if not len(repeated):
        return None
    return bool((repeated["nunique"] == 1).mean() >= AGREE)
