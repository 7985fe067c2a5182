"""The reader of one list: its candidates stay as they were while the history changes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from llmrec_core.types import Description

if TYPE_CHECKING:
    import torch

    from llmrec_core.contract.run_context import RunContext
    from llmrec_core.data.splits import Split
    from llmrec_core.models.scorer_model import ScorerModel
    from llmrec_core.recommenders.listwise import ListwiseRecommender


class HeldList:
    """Scores items of one list as they stand in it.

    A model that reads whole lists has no score for an item alone. Reasons ask what the score would
    be without a part of the history; the list is then held, so that history items are all that
    changes.

    Args:
        reader: reads lists.
        candidates: item codes of the list, shape (candidates,).
    """

    def __init__(self, reader: ListwiseRecommender, candidates: np.ndarray) -> None:
        self.reader = reader
        self.held_items = np.asarray(candidates, dtype=np.int64)
        self._place = {int(item): place for place, item in enumerate(self.held_items)}

    def score(self, histories: Sequence[np.ndarray], candidates: np.ndarray) -> np.ndarray:
        """As `Recommender.score`, for candidates that are items of the list."""
        whole = self.reader.score(histories, np.tile(self.held_items, (len(histories), 1)))
        places = [[self._place[int(item)] for item in row] for row in candidates]
        return np.take_along_axis(whole, np.array(places, dtype=np.int64), axis=1)

    def reads(self, history: np.ndarray) -> int:
        """As `ReadsLatest.reads`."""
        return self.reader.reads(history)

    def network(self) -> torch.nn.Module:
        """As `Neural.network`."""
        return self.reader.network()

    def weights_version(self) -> tuple[object, ...]:
        """As `Neural.weights_version`."""
        return self.reader.weights_version()

    def with_network(self, network: ScorerModel) -> HeldList:
        """As `Neural.with_network`."""
        return HeldList(self.reader.with_network(network), self.held_items)

    def fit(self, split: Split, context: RunContext) -> None:
        """Nothing: its reader is fitted."""

    def save(self, folder: Path) -> None:
        """As its reader."""
        self.reader.save(folder)

    def describe(self, histories: Sequence[np.ndarray], candidates: np.ndarray) -> Description:
        """As its reader, which always reads the whole list."""
        return self.reader.describe(histories, np.tile(self.held_items, (len(histories), 1)))
