"""Will this person like that item? Labelled pairs with few labels: the like rate, and a small regression on top of it.

The n training prompts hold more than n labels: each brings a history of liked and disliked items. From these alone
comes an item's quality, how much more it was liked than its users' average; a training pair's own label is taken out
of its own feature. Nothing else is learned from: no rating outside of the n prompts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import optimize

from llmrec_core.data.regimes import Pairs

DECAYS = (0.95, 0.75)
SHRINK = 2.0  # pseudo-interactions of an item's quality
RECENT = 0.85  # decay of the like rate that stands alone
FEW = 128  # below that the recent like rate alone is steadier than anything fitted
# RECENT, FEW and the ridge were chosen on TALLRec's validation prompts, DECAYS checked there; SHRINK was not tuned.


def like_rate(pairs: Pairs, decay: float = 1.0) -> np.ndarray:
    """Share of liked items in each history, older ones counting decay^age; 0.5 for an empty history. Needs no training.

    >>> one = np.array([1])
    >>> like_rate(Pairs(one, [np.array([1, 2])], [np.array([1.0, 0.0])], one, one)).tolist()
    [0.5]
    """
    rates = []
    for labels in pairs.history_labels:
        age = decay ** np.arange(len(labels))[::-1]
        rates.append(float(labels @ age / age.sum()) if len(labels) else 0.5)
    return np.array(rates)


@dataclass(frozen=True)
class Quality:
    """Item sums over the training labels: deviations from the user's mean, counts, and the labels themselves."""

    deviations: np.ndarray
    counts: np.ndarray
    labels: dict[tuple[int, int], float]
    means: dict[int, float]

    @classmethod
    def of(cls, pairs: Pairs, items: int) -> Quality:
        """From histories and targets of the training pairs, each (user, item) once."""
        labels: dict[tuple[int, int], float] = {}
        for row in range(len(pairs)):
            user = int(pairs.users[row])
            labels.update(
                {(user, int(i)): float(y) for i, y in zip(pairs.histories[row], pairs.history_labels[row], strict=True)}
            )
            labels[user, int(pairs.targets[row])] = float(pairs.labels[row])
        by_user: dict[int, list[float]] = {}
        for (user, _), label in labels.items():
            by_user.setdefault(user, []).append(label)
        means = {user: (sum(own) + 1.5) / (len(own) + 3) for user, own in by_user.items()}
        deviations, counts = np.zeros(items), np.zeros(items)
        for (user, item), label in labels.items():
            deviations[item] += label - means[user]
            counts[item] += 1
        return cls(deviations, counts, labels, means)

    def targets(self, pairs: Pairs) -> np.ndarray:
        """Quality of each target, without that pair's own label."""
        total, count = self.deviations[pairs.targets].copy(), self.counts[pairs.targets].copy()
        for row, (user, item) in enumerate(zip(pairs.users.tolist(), pairs.targets.tolist(), strict=True)):
            if (user, item) in self.labels:
                total[row] -= self.labels[user, item] - self.means[user]
                count[row] -= 1
        return total / (count + SHRINK)


class PairModel:
    """Ridge logistic regression on the recent and the longer like rate and the target's quality.

    Args:
        items: size of the catalogue.
        ridge: pull of the weights towards 0.
    """

    def __init__(self, items: int, ridge: float = 30.0) -> None:
        self.items, self.ridge = items, ridge
        self.weights = np.zeros(0)

    def fit(self, pairs: Pairs) -> PairModel:
        """Learns from the pairs and their histories alone."""
        self.quality = Quality.of(pairs, self.items)
        raw = self._features(pairs)
        self.mean, self.spread = raw.mean(axis=0), raw.std(axis=0) + 1e-6
        self.few = len(pairs) < FEW
        self.weights = _logistic((raw - self.mean) / self.spread, pairs.labels, self.ridge)
        return self

    def predict(self, pairs: Pairs) -> np.ndarray:
        """Probability that the target is liked; below `FEW` training pairs the like rate of recent items."""
        if self.few:
            return like_rate(pairs, RECENT)
        scores = (self._features(pairs) - self.mean) / self.spread @ self.weights[1:] + self.weights[0]
        return 1 / (1 + np.exp(-scores))

    def _features(self, pairs: Pairs) -> np.ndarray:
        return np.stack([*(like_rate(pairs, decay) for decay in DECAYS), self.quality.targets(pairs)], axis=1)


def _logistic(features: np.ndarray, labels: np.ndarray, ridge: float) -> np.ndarray:
    """Intercept and weights that minimise the log loss plus ridge/2·|w|², intercept free."""
    design = np.column_stack([np.ones(len(features)), features])

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        score = design @ weights
        total = np.logaddexp(0, score).sum() - labels @ score + ridge / 2 * weights[1:] @ weights[1:]
        slope = design.T @ (1 / (1 + np.exp(-score)) - labels)
        slope[1:] += ridge * weights[1:]
        return float(total), slope

    return optimize.minimize(loss, np.zeros(design.shape[1]), jac=True, method="L-BFGS-B").x
