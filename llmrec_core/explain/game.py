"""Exact Shapley values of a user's history items for one recommendation.

The players are the most recent items of the history; leaving one out means the model reads the history without it.
The value of a coalition is the model's score of the recommended item. All 2^n coalitions are evaluated, so
attributions + base value = score to rounding (Shapley 1953; Lundberg & Lee, arXiv:1705.07874). No torch.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from llmrec_core.errors import UsageError
from llmrec_core.explain.shapley import shapley_from_table

MAX_EXACT = 12
Score = Callable[[Sequence[np.ndarray], np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Explanation:
    """Attributions of the players and what they add up to, in units of the model's score."""

    item: int
    players: list[int]  # item codes, oldest first
    values: np.ndarray  # (players,)
    base: float  # score with no player
    prediction: float  # score with all of them
    table: np.ndarray  # (2^players,) score of every coalition; bit i = player i present
    forwards: int
    seconds: float

    @property
    def additivity_gap(self) -> float:
        """|base + sum of values - prediction|: rounding alone."""
        return abs(self.base + float(self.values.sum()) - self.prediction)

    def to_shap(self, names: Sequence[str]) -> object:
        """A `shap.Explanation` of one row, with `names` as features."""
        import shap

        present = np.ones((1, len(self.players)))
        return shap.Explanation(self.values[None], np.array([self.base]), present, feature_names=list(names))


def explain_item(score: Score, history: np.ndarray, item: int, *, players: int = 8) -> Explanation:
    """Exact Shapley values of the last `players` history items; older ones stay in the history throughout.

    Args:
        score: as `Recommender.score`.
        history: item codes the model reads, oldest first; at least one.

    Raises:
        UsageError: for an empty history, more than 12 players, or an item that is already in the history.
    """
    history = np.asarray(history, dtype=np.int64)
    if not len(history):
        raise UsageError("this user has no history, so no past item can be a reason; choose a user with interactions")
    if item in history:
        raise UsageError("this item is already in the user's history: there is no recommendation to explain")
    if not 1 <= players <= MAX_EXACT:
        raise UsageError(f"{players} players; exact values take 1 to {MAX_EXACT}")
    n = min(players, len(history))
    fixed, varied = history[:-n], history[-n:]
    began = time.perf_counter()
    coalitions = [np.concatenate((fixed, varied[[bool(mask >> i & 1) for i in range(n)]])) for mask in range(1 << n)]
    table = np.asarray(score(coalitions, np.full((len(coalitions), 1), item, dtype=np.int64)), dtype=np.float64)[:, 0]
    values = shapley_from_table(table)
    return Explanation(
        item, varied.tolist(), values, float(table[0]), float(table[-1]), table, len(table), time.perf_counter() - began
    )
