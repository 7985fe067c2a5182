"""NDCG@10 of models whose scores are mostly zero, over the whole catalogue, in seconds.

A training-free model gives most items no score, and all of those rank by popularity. So the place
of a target is counted from the few items that have one, and looked up among the rest. A test holds
it equal to `metrics.evaluate` over full rankings.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from llmrec_core.data.splits import Case
from llmrec_core.metrics import ranking
from llmrec_core.recommenders.recency import recent_profiles

K = 10
_AT_ONCE = 4_000
"""Histories scored at once."""


class SparseExam:
    """Cases with one withheld item each, asked among everything that is not in their history.

    Args:
        cases: of leave-one-out.
        counts: training interactions of each item, shape (items,).
        popularity: weight of log popularity, as the family's.
    """

    def __init__(self, cases: Sequence[Case], counts: np.ndarray, popularity: float = 1e-6) -> None:
        self.cases, self.items = cases, len(counts)
        self._prior = popularity * np.log1p(counts)
        self._sorted = np.sort(self._prior.astype(np.float32))

    def ndcg(self, matrix: sparse.csr_array, limit: int, decay: float) -> np.ndarray:
        """NDCG@10 of each case.

        Args:
            matrix: score of item b for an item a of the history, not below 0, shape (items, items).
            limit: most recent items that count; 0 takes all.
            decay: weight of an item against the next more recent one.
        """
        values = []
        for start in range(0, len(self.cases), _AT_ONCE):
            cases = self.cases[start : start + _AT_ONCE]
            profiles = recent_profiles([case.history for case in cases], limit, decay, self.items)
            ranks = self._ranks(cases, sparse.csr_array(profiles @ matrix))
            values.append(ranking.ndcg(ranks[:, None], K))
        return np.concatenate(values)

    def _ranks(self, cases: Sequence[Case], scores: sparse.csr_array) -> np.ndarray:
        """Mean rank of each target among equals, 1 = best."""
        users = len(cases)
        lengths = [len(case.history) for case in cases]
        seen_rows = np.repeat(np.arange(users), lengths)
        seen = np.concatenate([case.history for case in cases]).astype(np.int64)
        keys = np.unique(seen_rows * self.items + seen)  # a history may hold an item twice
        seen_rows, seen = np.divmod(keys, self.items)

        rows = np.repeat(np.arange(users), np.diff(scores.indptr))
        columns, values = scores.indices.astype(np.int64), scores.data
        scored = rows * self.items + columns
        new = keys[np.searchsorted(keys, scored).clip(max=len(keys) - 1)] != scored
        rows, columns, values = rows[new], columns[new], values[new]
        final = (values + self._prior[columns]).astype(np.float32)

        targets = np.array([case.relevant[0] for case in cases], dtype=np.int64)
        own = self._prior[targets].astype(np.float32)
        is_target = columns == targets[rows]
        own[rows[is_target]] = final[is_target]

        prior = self._prior.astype(np.float32)
        above = len(prior) - np.searchsorted(self._sorted, own, "right")
        equal = len(prior) - np.searchsorted(self._sorted, own, "left") - above
        for part_rows, part in ((rows, prior[columns]), (seen_rows, prior[seen])):
            # neither the scored items nor the history stand where popularity alone would put them
            above -= np.bincount(part_rows[part > own[part_rows]], minlength=users)
            equal -= np.bincount(part_rows[part == own[part_rows]], minlength=users)
        above += np.bincount(rows[final > own[rows]], minlength=users)
        equal += np.bincount(rows[final == own[rows]], minlength=users)
        ranks: np.ndarray = above + (equal + 1) / 2
        return ranks
