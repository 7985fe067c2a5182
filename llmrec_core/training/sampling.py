"""Training groups: a history, the items that followed, and items that the person never took.

Group `n` of a run depends on (seed, n) alone, so a resumed run sees exactly what an uninterrupted
one does. Negatives are drawn from what is allowed: never an item of the person's own. Where a
person left fewer than are wanted, the group has all of them and no more, and that is counted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from llmrec_core.data.candidates import PADDING
from llmrec_core.data.splits import Split
from llmrec_core.errors import DataError
from llmrec_core.language import t

REJECTIONS = 50
"""Rounds of draws from the whole catalogue before the allowed items are listed one by one.

One negative for somebody who has taken half of the catalogue needs more once in 2^50 groups.
"""


@dataclass(frozen=True)
class Group:
    """One history (item codes, oldest first) and its candidates, the positives first."""

    history: np.ndarray
    items: np.ndarray


@dataclass(frozen=True)
class GroupBatch:
    """Several groups; those with fewer negatives than the others end in padding."""

    histories: list[np.ndarray]
    items: np.ndarray
    """Item codes, int64, shape (groups, positives + negatives); `PADDING` where there is none."""

    @property
    def real(self) -> np.ndarray:
        """True where there is an item, shape (groups, positives + negatives)."""
        real: np.ndarray = self.items != PADDING
        return real


class GroupSampler:
    """Draws groups from the training sequences of a split.

    With several positives, the next few items are all learned from one reading of the history: a
    reading costs as much as its candidates, so a step of the same price sees more of what people
    did.
    """

    def __init__(
        self,
        split: Split,
        *,
        history_items: int,
        negatives: int,
        seed: int,
        positives: int = 1,
        popular: bool = False,
    ) -> None:
        """Find out who can be learned from.

        Args:
            split: only its training sequences are read.
            history_items: most recent items of a history that a group keeps.
            negatives: items per group that the person never took, at most.
            seed: of all draws.
            positives: items after the history that a group asks for.
            popular: draw negatives by their count in training, rather than uniformly.

        Raises:
            DataError: when there is no next item to learn, or nobody left an item untaken.
        """
        self.sequences = [np.asarray(s) for s in split.train]
        self.history_items, self.positives, self.negatives = history_items, positives, negatives
        self.seed = seed
        self.catalogue = split.dataset.n_items
        counts = np.asarray(split.item_counts, dtype=np.float64)
        self.weights = counts / counts.sum() if popular else None
        self.pool = int((counts > 0).sum()) if popular else self.catalogue
        learned_from = np.array([user for user, s in enumerate(self.sequences) if len(s) >= 2])
        if not len(learned_from):
            raise DataError(
                t(
                    "no user has two training interactions: there is no next item to learn; import "
                    "more data or use popularity"
                )
            )
        allowed = np.array([self.pool - len(set(self.sequences[u].tolist())) for u in learned_from])
        self.users = learned_from[allowed > 0]
        self.without_negatives = int((allowed <= 0).sum())
        """People who took every item there is, so that nothing can be learned against."""
        self.short_of_negatives = int(((allowed > 0) & (allowed < negatives)).sum())
        """People whose groups have fewer negatives than wanted."""
        if not len(self.users):
            raise DataError(
                t(
                    "all {count} people with two training interactions took every item of the "
                    "catalogue ({items} items): nothing is left to learn against; import a larger "
                    "catalogue or use popularity",
                    count=len(learned_from),
                    items=self.pool,
                )
            )

    def note(self) -> str:
        """A sentence about people who left too few items untaken; empty when nobody did."""
        if not (self.without_negatives or self.short_of_negatives):
            return ""
        return t(
            "{short} people left fewer than {negatives} items untaken: their groups have as many "
            "negatives as there are; {without} people took everything and are left out of training",
            short=self.short_of_negatives,
            negatives=self.negatives,
            without=self.without_negatives,
        )

    def group(self, number: int) -> Group:
        """Group `number`, the same for the same seed."""
        rng = np.random.default_rng((self.seed, number))
        sequence = self.sequences[rng.choice(self.users)]
        place = int(rng.integers(1, len(sequence)))
        negatives = self._negatives(sequence, rng)
        history = sequence[max(0, place - self.history_items) : place]
        # near the end of a sequence the items that followed are repeated
        followed = np.resize(sequence[place : place + self.positives], self.positives)
        return Group(history, np.array([*followed, *negatives], dtype=np.int64))

    def batch(self, step: int, size: int) -> GroupBatch:
        """The groups `step * size` … `(step + 1) * size - 1`."""
        groups = [self.group(step * size + offset) for offset in range(size)]
        widest = max(len(group.items) for group in groups)
        items = np.full((size, widest), PADDING, dtype=np.int64)
        for row, group in zip(items, groups, strict=True):
            row[: len(group.items)] = group.items
        return GroupBatch([group.history for group in groups], items)

    def _negatives(self, sequence: np.ndarray, rng: np.random.Generator) -> list[int]:
        """Up to `negatives` items that are not in the sequence."""
        own = set(sequence.tolist())
        if self.pool - len(own) >= self.negatives:
            drawn = self._by_rejection(own, rng)
            if len(drawn) == self.negatives:
                return drawn
        free = np.ones(self.catalogue, dtype=bool) if self.weights is None else self.weights > 0
        free[list(own)] = False
        allowed = np.flatnonzero(free)
        if len(allowed) <= self.negatives:
            return [int(item) for item in rng.permutation(allowed)]
        shares = None if self.weights is None else self.weights[allowed]
        if shares is not None:
            shares = shares / shares.sum()
        return [int(item) for item in rng.choice(allowed, size=self.negatives, p=shares)]

    def _by_rejection(self, own: set[int], rng: np.random.Generator) -> list[int]:
        """Draws from the whole catalogue without the person's own items, fewer when too few hit."""
        kept: list[int] = []
        for _ in range(REJECTIONS):
            drawn = (
                rng.integers(self.catalogue, size=self.negatives)
                if self.weights is None
                else rng.choice(self.catalogue, size=self.negatives, p=self.weights)
            )
            kept += [int(item) for item in drawn if item not in own]
            if len(kept) >= self.negatives:
                return kept[: self.negatives]
        return kept
