"""Popularity: what everybody watches. The baseline that every other recommender must beat."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from llmrec_core.language import t
from llmrec_core.recommenders.options import MadeFromOptions
from llmrec_core.recommenders.storage import load_arrays, save_arrays
from llmrec_core.types import Description

if TYPE_CHECKING:
    from llmrec_core.contract.run_context import RunContext
    from llmrec_core.data.dataset import Dataset
    from llmrec_core.data.splits import Split


class Popularity(MadeFromOptions):
    """Scores an item by its training interactions, whoever asks."""

    def __init__(self) -> None:
        self.counts = np.zeros(0, np.float32)

    def fit(self, split: Split, context: RunContext) -> None:
        """Count the training interactions of every item."""
        self.counts = split.item_counts.astype(np.float32)
        context.progress("fit", 1, 1)

    def score(self, histories: Sequence[np.ndarray], candidates: np.ndarray) -> np.ndarray:
        """As `Recommender.score`: an item's interactions."""
        return np.where(candidates >= 0, self.counts[candidates], -np.inf).astype(np.float32)

    def save(self, folder: Path) -> None:
        """Write the counts."""
        save_arrays(folder, "popularity", counts=self.counts)

    @classmethod
    def load(cls, folder: Path, dataset: Dataset) -> Popularity:
        """The recommender that `save` wrote.

        Raises:
            CheckpointError: as `storage.load_arrays`.
        """
        loaded = cls()
        loaded.counts = load_arrays(folder, "popularity", dataset)["counts"]
        return loaded

    def describe(self, histories: Sequence[np.ndarray], candidates: np.ndarray) -> Description:
        """One number an item, and no arithmetic."""
        return Description(
            len(self.counts),
            len(self.counts),
            self.counts.nbytes,
            0.0,
            {"work": t("one look-up a candidate")},
        )
