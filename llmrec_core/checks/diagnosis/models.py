"""The models of a diagnosis: nothing is trained, so each is measured in a second or two."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import sparse

from llmrec_core.checks.diagnosis.sparse_exam import K, SparseExam
from llmrec_core.contract.protocol import ProtocolSpec
from llmrec_core.contract.run_context import RunContext
from llmrec_core.data.candidates import sample_cases
from llmrec_core.data.dataset import Dataset
from llmrec_core.data.splits import Split
from llmrec_core.data.ties import item_places
from llmrec_core.metrics.exam import protocol_split
from llmrec_core.metrics.ranking import ndcg
from llmrec_core.recommenders.directed_counts import DirectedCounts
from llmrec_core.recommenders.knn import ItemKnn

USERS = 25_000
"""Most people asked."""


@dataclass(frozen=True)
class Measured:
    """NDCG@10 of each person, by model; shape (users,) each, in the order of user codes."""

    users: np.ndarray
    """User codes."""
    directed_counts: np.ndarray
    item_knn: np.ndarray
    next_numbers: np.ndarray


@dataclass(frozen=True)
class Fitted:
    """The models of one data set, and whom they are asked about."""

    split: Split
    exam: SparseExam
    directed_counts: DirectedCounts
    item_knn: ItemKnn

    def measure(self) -> Measured:
        """Ask every model about everybody."""
        counts, knn = self.directed_counts, self.item_knn
        return Measured(
            np.array([case.user for case in self.exam.cases], dtype=np.int64),
            self.exam.ndcg(counts.successors, counts.history_items, counts.decay),
            self.knn_of_last(knn.history_items),
            self.next_numbers(),
        )

    def knn_of_last(self, items: int) -> np.ndarray:
        """Item-kNN that reads only the last items; 0 reads all."""
        return self.exam.ndcg(self.item_knn.similarity, items, self.item_knn.decay)

    def popularity(self) -> np.ndarray:
        """NDCG@10 of the most popular items."""
        items = self.split.dataset.n_items
        return self.exam.ndcg(sparse.csr_array((items, items), dtype=np.float32), 1, 1.0)

    def next_numbers(self) -> np.ndarray:
        """NDCG@10 of the next ten item numbers after the last item's: a canary, not a model.

        Where it is above chance, numbers were given in the order of what people do, or the file is
        sorted by them.
        """
        place = item_places(self.split.dataset)
        ranks = []
        for case in self.exam.cases:
            last, target = place[case.history[-1]], place[case.relevant[0]]
            passed = place[case.history]
            # numbers of the history are no answer, so that the list goes on behind them
            skipped = np.count_nonzero((np.unique(passed) > last) & (np.unique(passed) < target))
            ranks.append(target - last - skipped if target > last else K + 1)
        return ndcg(np.array(ranks, dtype=float)[:, None], K)


def fit(dataset: Dataset, users: int = USERS) -> Fitted:
    """Count what the models count.

    Args:
        dataset: with at least one person of three items.
        users: most people asked, drawn by a fixed seed, the same for every order of ties.

    Raises:
        DataError: when nobody can be asked.
    """
    parts = protocol_split(dataset, ProtocolSpec(candidates="full"))
    counts, knn = DirectedCounts(), ItemKnn()
    with tempfile.TemporaryDirectory() as folder:
        context = RunContext(Path(folder))
        counts.fit(parts, context)
        knn.fit(parts, context)
    cases = sample_cases(parts.test, users, seed=0)
    return Fitted(parts, SparseExam(cases, parts.item_counts), counts, knn)
