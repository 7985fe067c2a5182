"""Item-kNN over what people took one after the other: cheap, no gradient, and on MovieLens hard to beat.

Similarity of j as a successor of i, both from training alone:

    s(i, j) = Σ over users, over positions with i before j at a distance d ≤ window:  d^-fade
              + backward · the same with j before i,      ÷ count(i)^0.5 · count(j)^power

so window = 0 (any distance), fade = 0, backward = 1, power = 0.5 is the plain cosine of item-kNN (Sarwar et al., WWW
2001); counting only neighbours in the sequence is the session-kNN idea (Ludewig & Jannach, UMUAI 2018). A user's
score of a candidate is Σ over the last `history_items` of decay^age · s(item, candidate).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from llmrec_core.errors import CheckpointError
from llmrec_core.recommenders.cooccurrence import co_occurrences
from llmrec_core.recommenders.storage import load_arrays, save_arrays
from llmrec_core.types import Description

if TYPE_CHECKING:
    from llmrec_core.data.dataset import Dataset
    from llmrec_core.data.splits import Split
    from llmrec_core.experiments.context import RunContext

ORDERED, UNORDERED = (
    (10, 0.8, 0.4),
    (0, 1.0, 0.5),
)  # window, decay, power; the first tuned on ml-100k's validation cases


class ItemKnn:
    """Scores by similarity to the most recent items.

    Args:
        history_items: most recent items that count; 0 = all.
        neighbours: kept per item, the most similar; 0 = all.
        window: largest distance in a sequence at which two items count as neighbours; 0 = any. None: 10, or 0 where
            the data set has no order; so with `decay` (0.8, or 1) and `power` (0.4, or 0.5).
        backward: weight of "j before i" against "i before j".
        fade: how fast a pair's weight falls with its distance.
        decay: weight of an item against the next more recent one.
        power: of the candidate's count in the denominator; lower lets popular items rise.
        popularity: weight of log popularity, which only breaks ties and fills in for empty histories.
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
        self._asked = (window, decay, power)
        self._settle(ORDERED)
        self.popularity = popularity
        self.similarity = sparse.csr_array((0, 0), dtype=np.float32)
        self.counts = np.zeros(0, np.int64)

    def fit(self, split: Split, context: RunContext) -> None:
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
            mine if asked is None else asked for asked, mine in zip(self._asked, usual, strict=True)
        )
        self.window, self.decay, self.power = int(window), float(decay), float(power)

    def score(self, histories: Sequence[np.ndarray], candidates: np.ndarray) -> np.ndarray:
        if not len(self.counts):
            raise CheckpointError("item-kNN was not fitted")
        weights, columns, starts = [], [], [0]
        for history in histories:
            recent = history[-self.history_items :] if self.history_items else history
            weights.append(self.decay ** np.arange(len(recent) - 1, -1, -1, dtype=np.float32))
            columns.append(recent)
            starts.append(starts[-1] + len(recent))
        profile = sparse.csr_array(
            (np.concatenate(weights), np.concatenate(columns).astype(np.int64), np.array(starts)),
            shape=(len(histories), len(self.counts)),
        )
        scores = np.take_along_axis((profile @ self.similarity).toarray(), candidates, axis=1)
        scores += self.popularity * np.log1p(self.counts)[candidates]
        return np.where(candidates >= 0, scores, -np.inf).astype(np.float32)

    def save(self, folder: Path) -> None:
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
        stored = load_arrays(folder, "item-knn", dataset)
        history_items, decay, popularity = stored["options"].tolist()
        made = cls(history_items=int(history_items), decay=decay, popularity=popularity)
        made.counts = stored["counts"]
        shape = (len(made.counts), len(made.counts))
        made.similarity = sparse.csr_array((stored["weights"], stored["columns"], stored["starts"]), shape=shape)
        return made

    def describe(self, history_items: float, candidates: int) -> Description:
        """One multiply-add per stored neighbour of each item of the history; candidates are picked after."""
        stored = self.similarity.nnz
        weight_bytes = sum(
            part.nbytes for part in (self.similarity.data, self.similarity.indices, self.similarity.indptr)
        )
        used = min(history_items, self.history_items) if self.history_items else history_items
        per_item = stored / max(len(self.counts), 1)
        return Description(stored, stored, weight_bytes, 2.0 * used * per_item, {"mean_neighbours": per_item})


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
    return sparse.csr_array((similarity.data[kept], (rows[kept], similarity.indices[kept])), shape=shape)
