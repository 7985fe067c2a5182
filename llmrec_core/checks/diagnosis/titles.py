"""Do titles say what follows? Likeness of neighbours' words against that of any two items."""

from __future__ import annotations

import numpy as np

from llmrec_core.data.diagnosis import Figure, Likeness
from llmrec_core.data.item_texts import item_texts
from llmrec_core.data.splits import Split
from llmrec_core.metrics.intervals import mean_interval
from llmrec_core.recommenders.tfidf import TfIdf
from llmrec_core.types import Columns

PAIRS = 20_000
"""Neighbours compared, drawn by a fixed seed."""


def likeness(split: Split) -> Likeness | None:
    """Cosine of the titles of neighbours in training, and of two items drawn as often.

    Args:
        split: whose training sequences are read.

    Returns:
        `None` where fewer than two items have a title, or nobody has two items.
    """
    titled = (split.dataset.items[Columns.TITLE] != "").to_numpy()
    if titled.sum() < 2:
        return None
    before = np.concatenate([sequence[:-1] for sequence in split.train])
    after = np.concatenate([sequence[1:] for sequence in split.train])
    both = titled[before] & titled[after]
    rng = np.random.default_rng(0)
    rows = rng.permutation(np.flatnonzero(both))[:PAIRS]
    if not len(rows):
        return None
    vectors = TfIdf.of_texts(item_texts(split.dataset, genres=False))
    before, after = before[rows], after[rows]
    drawn = rng.permutation(after)

    def cosine(a: np.ndarray, b: np.ndarray) -> Figure:
        alike = np.asarray(vectors[a].multiply(vectors[b]).sum(axis=1)).ravel()
        mean, low, high = mean_interval(alike.clip(0, 1).astype(float))
        return Figure(value=mean, low=low, high=high, n=len(alike))

    return Likeness(neighbours=cosine(before, after), random=cosine(before, drawn))
