"""Training windows of a sequence model: a stretch of a history, and the item after each place.

Window draw `n` of a run depends on (seed, n) alone, so that a resumed run sees exactly what an
uninterrupted one does. People are drawn by chance, or in epochs: everybody once before anybody
again, in batches of histories of like length, so that little is spent on padding.

Symbols: B histories of a draw, L items that the model reads, K negatives of a draw.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from llmrec_core.errors import DataError
from llmrec_core.language import t

SORTED_TOGETHER = 16
"""Batches of an epoch whose histories are sorted by length; more leave the order less to chance."""


@dataclass(frozen=True)
class Windows:
    """Histories and what is to be predicted after each of their items."""

    inputs: np.ndarray
    """Item codes, right-padded, int64, shape (B, L)."""
    targets: np.ndarray
    """Item codes, shape (B, L); any code where nothing is asked."""
    real: np.ndarray
    """True where something is asked, shape (B, L)."""
    negatives: np.ndarray | None = None
    """Distinct item codes against which all targets are told apart, shape (K,); None takes all."""
    people: np.ndarray | None = None
    """Which of the sampler's sequences each history is from, shape (B,); None where windows were
    put together from elsewhere."""
    at_end: np.ndarray | None = None
    """Whether each history ends where its person's sequence does, bool, shape (B,); None as for
    `people`."""


class WindowSampler:
    """Draws windows from the training sequences of a split."""

    def __init__(
        self,
        sequences: Sequence[np.ndarray],
        *,
        length: int,
        padding: int,
        seed: int,
        ahead: int = 1,
        in_epochs: bool = False,
        negatives: int = 0,
    ) -> None:
        """Keep the sequences that have a next item to learn.

        Args:
            sequences: item codes of each person, oldest first.
            length: L, most items that the model reads.
            padding: the item code that stands where there is none.
            seed: of all draws.
            ahead: a place's target is drawn from the next so many items; 1 takes the very next.
            in_epochs: everybody once before anybody again, instead of by chance.
            negatives: K, drawn uniformly of the items below `padding`; 0 draws none.

        Raises:
            DataError: when no sequence has two items.
        """
        self.sequences = [np.asarray(s) for s in sequences if len(s) >= 2]
        if not self.sequences:
            raise DataError(
                t(
                    "no user has two training interactions: there is no sequence to learn; use "
                    "popularity"
                )
            )
        self.length, self.padding, self.seed, self.ahead = length, padding, seed, ahead
        self.in_epochs, self.negatives = in_epochs, min(negatives, padding)
        self._epoch = lru_cache(maxsize=1)(self._draw_epoch)

    def draw(self, number: int, size: int) -> Windows:
        """Draw `number` of `size` histories; the last of an epoch may have fewer."""
        rng = np.random.default_rng((self.seed, number))
        if self.in_epochs:
            batches = -(-len(self.sequences) // size)
            people = self._epoch(number // batches, size)[number % batches]
        else:
            people = rng.integers(len(self.sequences), size=size)
        ends = [self._end(self.sequences[person], rng) for person in people]
        windows = [
            self.sequences[person][max(0, end - self.length - 1) : end]
            for person, end in zip(people, ends, strict=True)
        ]
        length = max(map(len, windows)) - 1 if self.in_epochs else self.length
        batch = np.full((len(people), length + 1), self.padding, dtype=np.int64)
        for row, window in zip(batch, windows, strict=True):
            row[: len(window)] = window
        lengths = np.array([[len(window)] for window in windows], dtype=np.int64)
        places = np.broadcast_to(np.arange(1, length + 1), (len(people), length))
        real = places < lengths
        if self.ahead > 1:
            places = np.minimum(places + rng.integers(self.ahead, size=places.shape), lengths - 1)
        negatives = rng.choice(self.padding, self.negatives, False) if self.negatives else None
        targets = np.take_along_axis(batch, places, 1)
        at_end = np.array(
            [end == len(self.sequences[person]) for person, end in zip(people, ends, strict=True)]
        )
        return Windows(batch[:, :-1], targets, real, negatives, np.asarray(people), at_end)

    def _draw_epoch(self, epoch: int, size: int) -> list[np.ndarray]:
        """Who is in which batch of an epoch: numbers of sequences, at most `size` a batch."""
        rng = np.random.default_rng((self.seed, epoch, size))
        lengths = np.array([min(len(s), self.length + 1) for s in self.sequences])
        order = rng.permutation(len(self.sequences))
        batches: list[np.ndarray] = []
        for start in range(0, len(order), size * SORTED_TOGETHER):
            some = order[start : start + size * SORTED_TOGETHER]
            some = some[np.argsort(lengths[some], kind="stable")]
            batches += [some[first : first + size] for first in range(0, len(some), size)]
        return [batches[place] for place in rng.permutation(len(batches))]

    def _end(self, sequence: np.ndarray, rng: np.random.Generator) -> int:
        """Where a window of at most L + 1 items ends: anywhere, so that each item is a target."""
        end = len(sequence)
        return end if end <= self.length + 1 else int(rng.integers(self.length + 1, end + 1))
