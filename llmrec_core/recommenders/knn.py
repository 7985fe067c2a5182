"""Item-kNN over what people took one after the other: cheap, and on MovieLens hard to beat.

Similarity of j as a successor of i, both from training alone:

    s(i, j) = Σ over users, over positions with i before j at a distance d ≤ window:  d^-fade
              + backward · the same with j before i,      ÷ count(i)^0.5 · count(j)^power

so window = 0 (any distance), fade = 0, backward = 1, power = 0.5 is the plain cosine of item-kNN
(Sarwar et al., WWW 2001). Counting only neighbours in the sequence is the session-kNN idea (Ludewig
& Jannach, UMUAI 2018). A user's score of a candidate is Σ over the last `history_items` of
decay^age · s(item, candidate).
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
    from llmrec_core.contract.spec import RunSpec
    from llmrec_core.data.dataset import Dataset
    from llmrec_core.data.splits import Split

ORDERED, UNORDERED = (10, 0.8, 0.4), (0, 1.0, 0.5)
"""Window, decay and power where a data set has an order of time and where it has none; the first
were tuned on ml-100k's validation cases."""


class ItemKnn(SumsByAge, MadeFromOptions):
    """Scores by similarity to the most recent items.

    Args:
        history_items: most recent items that count; 0 takes all.
        neighbours: most similar items kept of each item; 0 keeps all.
        window: largest distance in a sequence at which two items count as neighbours; 0 takes any.
            None is 10, or 0 where the data set has no order.
        backward: weight of "j before i" against "i before j".
        fade: how fast a pair's weight falls with its distance.
        decay: weight of an item against the next more recent one. None is 0.8, or 1 without order.
        power: power of the candidate's count in the denominator; a lower one lets popular items
            rise. None is 0.4, or 0.5 without order.
        popularity: weight of log popularity, which breaks ties and fills in for empty histories.
    """

    def __init__(
        self,
        history_items: int = 10,
        neighbours: int = 0,
        window: int | None = None,
        backward: float = 0.5,
        fade: float = 0.0,
        decay: float | None = None,
        power: float | None = None,
        popularity: float = 1e-6,
    ) -> None:
        self.history_items, self.neighbours = int(history_items), int(neighbours)
        self.backward, self.fade = backward, fade
        self._given = (window, decay, power)
        self._settle(ORDERED)
        self.popularity = popularity
        self.similarity = sparse.csr_array((0, 0), dtype=np.float32)
        self.counts = np.zeros(0, np.int64)

    @classmethod
    def constructor_values(cls, spec: RunSpec) -> dict[str, float]:
        """The options, and the length of history that the spec gives to every reader of it."""
        return {"history_items": spec.recommender.history_items, **spec.recommender.options}

    def fit(self, split: Split, context: RunContext) -> None:
        """Count neighbours in the training sequences and keep the most similar of each item."""
        items = split.dataset.n_items
        self.counts = split.item_counts
        self._settle(UNORDERED if split.dataset.order == "none" else ORDERED)
        pairs = co_occurrences(
            split.train,
            items,
            window=self.window,
            backward=self.backward,
            fade=self.fade,
            progress=lambda done, total: context.progress("fit", done, total),
        )
        counts = np.maximum(self.counts, 1).astype(np.float32)
        pairs = sparse.diags_array(counts**-0.5) @ pairs @ sparse.diags_array(counts**-self.power)
        self.similarity = _nearest(sparse.csr_array(pairs, dtype=np.float32), self.neighbours)

    def _settle(self, usual: tuple[int, float, float]) -> None:
        window, decay, power = (
            default if given is None else given
            for given, default in zip(self._given, usual, strict=True)
        )
        self.window, self.decay, self.power = int(window), float(decay), float(power)

    def score(self, histories: Sequence[np.ndarray], candidates: np.ndarray) -> np.ndarray:
        """As `Recommender.score`.

        Raises:
            CheckpointError: before the first fit.
        """
        if not len(self.counts):
            raise CheckpointError(t("item-kNN was not fitted"))
        profiles = recent_profiles(histories, self.history_items, self.decay, len(self.counts))
        scores = np.take_along_axis((profiles @ self.similarity).toarray(), candidates, axis=1)
        scores += self.popularity * np.log1p(self.counts)[candidates]
        return np.where(candidates >= 0, scores, -np.inf).astype(np.float32)

    def save(self, folder: Path) -> None:
        """Write the similarities, and the numbers that scoring needs."""
        save_arrays(
            folder,
            "item-knn",
            counts=self.counts,
            weights=self.similarity.data,
            columns=self.similarity.indices,
            starts=self.similarity.indptr,
            options=np.array([self.history_items, self.decay, self.popularity]),
        )

    @classmethod
    def load(cls, folder: Path, dataset: Dataset) -> ItemKnn:
        """The recommender that `save` wrote.

        Raises:
            CheckpointError: as `storage.load_arrays`.
        """
        stored = load_arrays(folder, "item-knn", dataset)
        history_items, decay, popularity = stored["options"].tolist()
        loaded = cls(history_items=int(history_items), decay=decay, popularity=popularity)
        loaded.counts = stored["counts"]
        shape = (len(loaded.counts), len(loaded.counts))
        loaded.similarity = sparse.csr_array(
            (stored["weights"], stored["columns"], stored["starts"]), shape=shape
        )
        return loaded

    def describe(self, histories: Sequence[np.ndarray], candidates: np.ndarray) -> Description:
        """One multiply-add per stored neighbour of each item of the history.

        Candidates are picked from the sums afterwards.
        """
        stored = self.similarity.nnz
        weight_bytes = sum(
            part.nbytes
            for part in (self.similarity.data, self.similarity.indices, self.similarity.indptr)
        )
        used = mean_items_read(histories, self.history_items)
        per_item = stored / max(len(self.counts), 1)
        return Description(
            stored, stored, weight_bytes, 2.0 * used * per_item, {"mean_neighbours": per_item}
        )


def _nearest(similarity: sparse.csr_array, neighbours: int) -> sparse.csr_array:
    """The `neighbours` largest of every row; 0 keeps all."""
    if not neighbours:
        return similarity
    row_sizes = np.diff(similarity.indptr)
    rows = np.repeat(np.arange(len(row_sizes)), row_sizes)
    order = np.lexsort((-similarity.data, rows))
    position = np.arange(similarity.nnz) - similarity.indptr[rows]
    kept = order[position < neighbours]
    shape = similarity.shape
    return sparse.csr_array(
        (similarity.data[kept], (rows[kept], similarity.indices[kept])), shape=shape
    )
