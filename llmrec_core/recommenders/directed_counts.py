"""Directed counts: how often b came straight after a. What any trained model has to clear.

    score(b) = Σ over the last five items a of the history:  0.5^age · count(a → b)

with the age of the latest item 0. The counts are of neighbours in the training sequences; nothing
is trained and no number is tuned. It is a Markov chain of order one (Rendle et al., WWW 2010)
without its smoothing. Where a data set has no order, pairs count both ways at any distance, and all
five items alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from llmrec_core.contract.recommender import mean_items_read
from llmrec_core.errors import CheckpointError
from llmrec_core.language import t
from llmrec_core.recommenders.cooccurrence import co_occurrences
from llmrec_core.recommenders.options import MadeFromOptions
from llmrec_core.recommenders.recency import SumsByAge, recent_profiles
from llmrec_core.recommenders.storage import load_arrays, save_arrays
from llmrec_core.types import Description

if TYPE_CHECKING:
    from llmrec_core.contract.run_context import RunContext
    from llmrec_core.data.dataset import Dataset
    from llmrec_core.data.splits import Split


class DirectedCounts(SumsByAge, MadeFromOptions):
    """Scores an item by how often it came straight after the latest items.

    Args:
        history_items: most recent items that count; 0 takes all.
        decay: weight of an item against the next more recent one. None is 0.5, or 1 without order.
        popularity: weight of log popularity, which breaks ties and fills in for empty histories.
    """

    def __init__(
        self, history_items: int = 5, decay: float | None = None, popularity: float = 1e-6
    ) -> None:
        self.history_items, self.popularity = int(history_items), popularity
        self._given_decay = decay
        self.decay = 0.5 if decay is None else decay
        self.successors = sparse.csr_array((0, 0), dtype=np.float32)
        self.counts = np.zeros(0, np.int64)

    def fit(self, split: Split, context: RunContext) -> None:
        """Count the pairs of neighbours in the training sequences."""
        self.counts = split.item_counts
        is_ordered = split.dataset.order != "none"
        if self._given_decay is None:
            self.decay = 0.5 if is_ordered else 1.0
        self.successors = co_occurrences(
            split.train,
            split.dataset.n_items,
            window=1 if is_ordered else 0,
            backward=0.0,
            progress=lambda done, total: context.progress("fit", done, total),
        )

    def score(self, histories: Sequence[np.ndarray], candidates: np.ndarray) -> np.ndarray:
        """As `Recommender.score`.

        Raises:
            CheckpointError: before the first fit.
        """
        if not len(self.counts):
            raise CheckpointError(t("directed counts were not fitted"))
        profiles = recent_profiles(histories, self.history_items, self.decay, len(self.counts))
        scores = np.take_along_axis((profiles @ self.successors).toarray(), candidates, axis=1)
        scores += self.popularity * np.log1p(self.counts)[candidates]
        return np.where(candidates >= 0, scores, -np.inf).astype(np.float32)

    def save(self, folder: Path) -> None:
        """Write the counts, and the numbers that scoring needs."""
        save_arrays(
            folder,
            "directed-counts",
            counts=self.counts,
            weights=self.successors.data,
            columns=self.successors.indices,
            starts=self.successors.indptr,
            options=np.array([self.history_items, self.decay, self.popularity]),
        )

    @classmethod
    def load(cls, folder: Path, dataset: Dataset) -> DirectedCounts:
        """The recommender that `save` wrote.

        Raises:
            CheckpointError: as `storage.load_arrays`.
        """
        stored = load_arrays(folder, "directed-counts", dataset)
        history_items, decay, popularity = stored["options"].tolist()
        loaded = cls(int(history_items), decay, popularity)
        loaded.counts = stored["counts"]
        loaded.successors = sparse.csr_array(
            (stored["weights"], stored["columns"], stored["starts"]),
            shape=(len(loaded.counts), len(loaded.counts)),
        )
        return loaded

    def describe(self, histories: Sequence[np.ndarray], candidates: np.ndarray) -> Description:
        """One multiply-add per known successor of each item that is read."""
        stored = self.successors.nnz
        parts = (self.successors.data, self.successors.indices, self.successors.indptr)
        per_item = stored / max(len(self.counts), 1)
        read = mean_items_read(histories, self.history_items)
        return Description(
            stored,
            stored,
            sum(part.nbytes for part in parts),
            2.0 * read * per_item,
            {"mean_successors": per_item},
        )
