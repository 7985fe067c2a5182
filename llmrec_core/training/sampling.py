"""Training groups: a history, the items that followed, and items that did not.

Group `n` of a run depends on (seed, n) alone, so a resumed run sees exactly what an uninterrupted one does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from llmrec_core.data.splits import Split
from llmrec_core.errors import DataError


@dataclass(frozen=True)
class Group:
    """One history (item codes, oldest first) and its candidates, the positives first."""

    history: np.ndarray
    items: np.ndarray


class GroupSampler:
    """Draws groups from the training sequences of a split.

    With several `positives`, the next few items are all learned from one reading of the history: a reading costs as much
    as its candidates, so a step of the same price sees more of what people did.
    """

    def __init__(
        self, split: Split, *, history_items: int, negatives: int, seed: int, positives: int = 1, popular: bool = False
    ) -> None:
        self.sequences = [np.asarray(s) for s in split.train]
        self.users = np.array([user for user, s in enumerate(self.sequences) if len(s) >= 2])
        if not len(self.users):
            raise DataError(
                "no user has two training interactions: there is no next item to learn; import more data or use popularity"
            )
        self.history_items = history_items
        self.positives = positives
        self.negatives = negatives
        self.seed = seed
        self.catalogue = split.dataset.n_items
        if negatives >= self.catalogue:
            raise DataError(f"{negatives} negatives from a catalogue of {self.catalogue} items; choose fewer")
        counts = np.asarray(split.item_counts, dtype=np.float64)
        self.weights = counts / counts.sum() if popular else None

    def group(self, number: int) -> Group:
        """Group `number`, the same for the same seed."""
        rng = np.random.default_rng((self.seed, number))
        sequence = self.sequences[rng.choice(self.users)]
        place = int(rng.integers(1, len(sequence)))
        seen = set(sequence.tolist())
        negatives: list[int] = []
        while len(negatives) < self.negatives:
            drawn = (
                rng.integers(self.catalogue, size=self.negatives)
                if self.weights is None
                else rng.choice(self.catalogue, size=self.negatives, p=self.weights)
            )
            fresh = [int(item) for item in drawn if item not in seen]
            negatives.extend(fresh)
            if not fresh and len(seen) >= self.catalogue - self.negatives:
                negatives.extend(int(item) for item in drawn)  # a user who saw nearly everything
        history = sequence[max(0, place - self.history_items) : place]
        followed = np.resize(sequence[place : place + self.positives], self.positives)  # near the end: repeated
        return Group(history, np.array([*followed, *negatives[: self.negatives]], dtype=np.int64))

    def batch(self, step: int, size: int) -> tuple[list[np.ndarray], np.ndarray]:
        """Histories and candidate items (size, positives + negatives) of one step."""
        groups = [self.group(step * size + offset) for offset in range(size)]
        return [g.history for g in groups], np.stack([g.items for g in groups])
