"""Popularity: what everybody watches. The baseline that every other recommender must beat."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from llmrec_core.recommenders.storage import load_arrays, save_arrays
from llmrec_core.types import Description

if TYPE_CHECKING:
    from llmrec_core.data.dataset import Dataset
    from llmrec_core.data.splits import Split
    from llmrec_core.experiments.context import RunContext


class Popularity:
    """Scores an item by its training interactions, whoever asks."""

    def __init__(self, counts: np.ndarray | None = None) -> None:
        self.counts = np.zeros(0, np.float32) if counts is None else counts

    def fit(self, split: Split, context: RunContext) -> None:
        self.counts = split.item_counts.astype(np.float32)
        context.progress("fit", 1, 1)

    def score(self, histories: Sequence[np.ndarray], candidates: np.ndarray) -> np.ndarray:
        return np.where(candidates >= 0, self.counts[candidates], -np.inf).astype(np.float32)

    def save(self, folder: Path) -> None:
        save_arrays(folder, "popularity", counts=self.counts)

    @classmethod
    def load(cls, folder: Path, dataset: Dataset) -> Popularity:
        return cls(load_arrays(folder, "popularity", dataset)["counts"])

    def describe(self, history_items: float, candidates: int) -> Description:
        return Description(
            len(self.counts), len(self.counts), self.counts.nbytes, 0.0, {"work": "one look-up a candidate"}
        )
