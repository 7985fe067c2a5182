"""The one protocol that every family follows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from llmrec_core.types import Description

if TYPE_CHECKING:
    from llmrec_core.data.dataset import Dataset
    from llmrec_core.data.splits import Split
    from llmrec_core.experiments.context import RunContext


class Recommender(Protocol):
    """Scores candidates for users known only by their history."""

    def fit(self, split: Split, context: RunContext) -> None:
        """Learn from `split.train` alone; report curves and progress to `context`."""

    def score(self, histories: Sequence[np.ndarray], candidates: np.ndarray) -> np.ndarray:
        """Scores, higher is better.

        Args:
            histories: one array of item codes a user, oldest first; may be empty.
            candidates: item codes, shape (batch, candidates); -1 is padding and scores -inf.

        Returns:
            float32, shape (batch, candidates).
        """

    def save(self, folder: Path) -> None:
        """Write all that `load` needs, in formats that hold no code (npz, safetensors, json)."""

    @classmethod
    def load(cls, folder: Path, dataset: Dataset) -> Recommender:
        """The recommender saved in `folder`; scores equal those before saving."""

    def describe(self, history_items: float, candidates: int) -> Description:
        """Parameters, bytes and FLOPs by formula for a request of that mean size."""
