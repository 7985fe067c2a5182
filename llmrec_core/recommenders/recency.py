"""Recent items count more: the last few of a history, each weighing decay^age."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse


def most_recent(history: np.ndarray, limit: int) -> np.ndarray:
    """The last `limit` items of a history; 0 takes all.

    >>> most_recent(np.array([4, 7, 9]), 2).tolist()
    [7, 9]
    """
    return history[-limit:] if limit else history


def age_weights(count: int, decay: float) -> np.ndarray:
    """Weights decay^age of `count` items, oldest first, float32.

    >>> age_weights(3, 0.5).tolist()
    [0.25, 0.5, 1.0]
    """
    return np.asarray(decay ** np.arange(count - 1, -1, -1, dtype=np.float32), dtype=np.float32)


def recent_profiles(
    histories: Sequence[np.ndarray], limit: int, decay: float, items: int
) -> sparse.csr_array:
    """What each history weighs each item with, shape (histories, items).

    Args:
        histories: item codes, oldest first.
        limit: most recent items that count; 0 takes all.
        decay: weight of an item against the next more recent one.
        items: how many items there are.
    """
    recent = [most_recent(history, limit) for history in histories]
    starts = np.cumsum([0, *map(len, recent)])
    weights = [age_weights(len(part), decay) for part in recent]
    return sparse.csr_array(
        (np.concatenate(weights), np.concatenate(recent).astype(np.int64), starts),
        shape=(len(histories), items),
    )


class ReadsRecent:
    """Gives `ReadsLatest` to a class with a `history_items`."""

    history_items: int

    def reads(self, history: np.ndarray) -> int:
        """As `ReadsLatest.reads`."""
        return len(most_recent(history, self.history_items))


class SumsByAge(ReadsRecent):
    """Gives `SumsItems` to a class whose score is Σ decay^age · value(item, candidate)."""

    decay: float

    def item_decay(self) -> float:
        """As `SumsItems.item_decay`."""
        return self.decay
