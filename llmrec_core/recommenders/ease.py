"""EASE: the item-item weights that best rebuild everybody's history, in closed form.

B = I − P·diag(P)^-1 with P = (XᵀX + λI)^-1; a user's scores are x·B (Steck, arXiv:1905.03375). It
takes one matrix inverse, so the catalogue is limited. The paper's x is 0 or 1; here an item weighs
decay^age, which on ml-100k's validation cases lifts NDCG@10 from 0.079 to 0.125.

With relations of items it is CEASE (Jeunen, Van Balen & Goethals, RecSys 2020, section 3.1): what
items share by their relations, T (features × items), stands below the people's histories as further
rows, so that B = argmin ‖X − XB‖² + w‖T − TB‖² + λ‖B‖² with a diagonal of 0, which is the same
closed form over XᵀX + w·TᵀT. A score is still x·B.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import linalg, sparse

from llmrec_core.contract.recommender import mean_candidates, mean_items_read
from llmrec_core.data.relations import relation_features
from llmrec_core.errors import UnsupportedError
from llmrec_core.language import t
from llmrec_core.recommenders.options import MadeFromOptions
from llmrec_core.recommenders.recency import SumsByAge, age_weights, most_recent
from llmrec_core.recommenders.storage import load_arrays, save_arrays
from llmrec_core.types import Description

if TYPE_CHECKING:
    from llmrec_core.contract.run_context import RunContext
    from llmrec_core.data.dataset import Dataset
    from llmrec_core.data.splits import Split

SMALLEST_RIDGE = 1e-5
"""Of the largest eigenvalue of XᵀX: with less, 32-bit numbers leave no digit of the inverse."""
MAX_ITEMS = 20_000
"""A float32 inverse in place then takes 1.6 GB, and about a minute on 2 cores."""


class Ease(SumsByAge, MadeFromOptions):
    """Linear item-item model.

    Args:
        l2: λ, the ridge.
        history_items: most recent items that count when scoring; 0 takes all, as in the paper.
        decay: weight of an item against the next more recent one; 1 is the paper's EASE. None is
            0.9, or 1 where the data set has no order.
        popularity: weight of log popularity, which breaks ties and fills in for empty histories.
        relations: w, the weight of the items' relations; 0 does without them.
    """

    def __init__(
        self,
        l2: float = 500.0,
        history_items: int = 0,
        decay: float | None = None,
        popularity: float = 1e-6,
        relations: float = 0.0,
    ) -> None:
        self.relations = relations
        self.l2, self.history_items, self.popularity = l2, int(history_items), popularity
        self._given_decay = decay
        self.decay = 0.9 if decay is None else decay
        self.weights = np.zeros((0, 0), np.float32)
        self.counts = np.zeros(0, np.int64)

    def fit(self, split: Split, context: RunContext) -> None:
        """Solve for the item-item weights.

        Raises:
            UnsupportedError: when the catalogue is too large for the inverse, the ridge too small
                for 32-bit numbers, or the data set has no relations to weigh.
        """
        items = split.dataset.n_items
        if items > MAX_ITEMS:
            raise UnsupportedError(
                t(
                    "EASE inverts a matrix of {items:,} × {items:,} ({size_gb:.0f} GB); the limit "
                    "here is {limit:,} items: use item-knn or sasrec, or import with a k-core "
                    "filter",
                    items=items,
                    size_gb=4 * items**2 / 1e9,
                    limit=MAX_ITEMS,
                )
            )
        self.counts = split.item_counts
        if self._given_decay is None and split.dataset.order == "none":
            self.decay = 1.0
        users = np.repeat(np.arange(len(split.train)), [len(sequence) for sequence in split.train])
        flat = np.concatenate(split.train)
        seen = sparse.csr_array(
            (np.ones(len(flat), np.float32), (users, flat)), shape=(len(split.train), items)
        )
        gram = (seen.T @ seen).toarray()
        if self.relations:
            _add_relations(gram, split.dataset, self.relations)
        self._require_ridge(gram)
        gram[np.diag_indices(items)] += self.l2
        context.progress("fit", 1, 2)
        # The matrix is symmetric positive definite: Cholesky, then the inverse from it, in place.
        # Its transpose is the same matrix in the column order that LAPACK works in.
        factor, failed = linalg.lapack.spotrf(gram.T, lower=1, clean=0, overwrite_a=1)
        assert not failed, "XᵀX + λI with λ > 0 is positive definite"
        inverse, failed = linalg.lapack.spotri(factor, lower=1, overwrite_c=1)
        assert not failed, "a Cholesky factor has an inverse"
        self.weights = inverse.T
        _mirror_upper(self.weights)
        self.weights /= -np.diag(self.weights).copy()
        self.weights[np.diag_indices(items)] = 0
        context.progress("fit", 2, 2)

    def _require_ridge(self, gram: np.ndarray) -> None:
        """Refuse a ridge that drowns in the rounding of XᵀX.

        Its largest eigenvalue is at most the largest sum of a row.
        """
        least = SMALLEST_RIDGE * float(gram.sum(axis=0).max(initial=0.0))
        if self.l2 < least:
            raise UnsupportedError(
                t(
                    "recommender.options.l2 is {l2:g}, which drowns in the rounding of 32-bit "
                    "numbers for this data; expected at least {least:.2g}",
                    l2=self.l2,
                    least=least,
                )
            )

    def score(self, histories: Sequence[np.ndarray], candidates: np.ndarray) -> np.ndarray:
        """As `Recommender.score`."""
        scores = np.empty(candidates.shape, np.float32)
        prior = (self.popularity * np.log1p(self.counts)).astype(np.float32)
        for row, (history, items) in enumerate(zip(histories, candidates, strict=True)):
            recent = most_recent(history, self.history_items)
            age = age_weights(len(recent), self.decay)
            scores[row] = age @ self.weights[np.ix_(recent, items)] + prior[items]
        return np.where(candidates >= 0, scores, np.float32(-np.inf))

    def save(self, folder: Path) -> None:
        """Write the weights, and the numbers that scoring needs."""
        options = np.array([self.l2, self.history_items, self.decay, self.popularity])
        save_arrays(folder, "ease", counts=self.counts, weights=self.weights, options=options)

    @classmethod
    def load(cls, folder: Path, dataset: Dataset) -> Ease:
        """The recommender that `save` wrote.

        Raises:
            CheckpointError: as `storage.load_arrays`.
        """
        stored = load_arrays(folder, "ease", dataset)
        l2, history_items, decay, popularity = stored["options"].tolist()
        loaded = cls(l2, int(history_items), decay, popularity)
        loaded.counts, loaded.weights = stored["counts"], stored["weights"]
        return loaded

    def describe(self, histories: Sequence[np.ndarray], candidates: np.ndarray) -> Description:
        """One multiply-add per item of the history and candidate."""
        used = mean_items_read(histories, self.history_items)
        return Description(
            self.weights.size,
            self.weights.size,
            self.weights.nbytes,
            2.0 * used * mean_candidates(candidates),
        )


def _add_relations(gram: np.ndarray, dataset: Dataset, weight: float) -> None:
    """Add w·TᵀT in place, a block of rows at a time: few of its cells are 0.

    Args:
        gram: XᵀX, shape (items, items).
        dataset: whose relations are read.
        weight: w.

    Raises:
        UnsupportedError: when the data set has no relations.
    """
    shared = relation_features(dataset, "EASE").tocsc()
    for start in range(0, len(gram), 1024):
        block = shared[:, start : start + 1024]
        gram[start : start + 1024] += weight * (block.T @ shared).toarray()


def _mirror_upper(matrix: np.ndarray, block: int = 1024) -> None:
    """Copy the upper triangle onto the lower one, block by block, without a second matrix."""
    for start in range(0, len(matrix), block):
        end = start + block
        matrix[start:end, :start] = matrix[:start, start:end].T
        corner = np.triu(matrix[start:end, start:end])
        matrix[start:end, start:end] = corner + np.triu(corner, 1).T
