"""Will this person like that item? The like rate, and a small regression from few labelled pairs.

The n training prompts hold more than n labels: each brings a history of liked and disliked items.
From these alone comes an item's quality, which is how much more it was liked than its users'
average; a training pair's own label is taken out of its own feature. No rating outside of the n
prompts is learned from.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression

from llmrec_core.data.regimes import Pairs

DECAYS = (0.95, 0.75)
"""Decays of the regression's two like rates, checked on TALLRec's validation prompts."""
SHRINK = 2.0
"""Pseudo-interactions of an item's quality; not tuned."""
RECENT = 0.85
"""Decay of the like rate that stands alone, chosen on TALLRec's validation prompts."""
FEW = 128
"""Below so many pairs the recent like rate alone is steadier than anything fitted; chosen there."""
RIDGE = 30.0
"""Pull of the regression's weights towards 0; chosen there."""
PRIOR_LIKED, PRIOR_PAIRS = 1.5, 3.0
"""A person's mean starts from 1.5 liked ones of 3."""


def like_rate(pairs: Pairs, decay: float = 1.0) -> np.ndarray:
    """Share of liked items in each history; it needs no training.

    Args:
        pairs: whose histories are read.
        decay: weight of an item against the next more recent one.

    Returns:
        float64, shape (pairs,); 0.5 for an empty history.

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
    """How much more each item was liked than its users' average, in the training labels."""

    deviations: np.ndarray
    """Sum of an item's labels, each without its user's mean, shape (items,)."""
    counts: np.ndarray
    """Labels behind each sum, shape (items,)."""
    labels: dict[tuple[int, int], float]
    """By user and item."""
    means: dict[int, float]
    """By user."""

    @classmethod
    def of(cls, pairs: Pairs, items: int) -> Quality:
        """The quality from histories and targets of the training pairs, each (user, item) once.

        Args:
            pairs: the training pairs.
            items: size of the catalogue.
        """
        labels = _labels_of(pairs)
        by_user: dict[int, list[float]] = {}
        for (user, _), label in labels.items():
            by_user.setdefault(user, []).append(label)
        means = {
            user: (sum(own) + PRIOR_LIKED) / (len(own) + PRIOR_PAIRS)
            for user, own in by_user.items()
        }
        deviations, counts = np.zeros(items), np.zeros(items)
        for (user, item), label in labels.items():
            deviations[item] += label - means[user]
            counts[item] += 1
        return cls(deviations, counts, labels, means)

    def targets(self, pairs: Pairs) -> np.ndarray:
        """Quality of each target without that pair's own label, shape (pairs,)."""
        total, count = self.deviations[pairs.targets].copy(), self.counts[pairs.targets].copy()
        for row, (user, item) in enumerate(
            zip(pairs.users.tolist(), pairs.targets.tolist(), strict=True)
        ):
            if (user, item) in self.labels:
                total[row] -= self.labels[user, item] - self.means[user]
                count[row] -= 1
        return np.asarray(total / (count + SHRINK))


def _labels_of(pairs: Pairs) -> dict[tuple[int, int], float]:
    """The labels of histories and targets by user and item; the target's comes last."""
    labels: dict[tuple[int, int], float] = {}
    for row in range(len(pairs)):
        user = int(pairs.users[row])
        history = zip(pairs.histories[row], pairs.history_labels[row], strict=True)
        labels.update({(user, int(item)): float(label) for item, label in history})
        labels[user, int(pairs.targets[row])] = float(pairs.labels[row])
    return labels


class PairModel:
    """Ridge logistic regression on the recent and the longer like rate and the target's quality.

    Args:
        items: size of the catalogue.
        ridge: pull of the weights towards 0.
    """

    def __init__(self, items: int, ridge: float = RIDGE) -> None:
        self.items = items
        self.regression = LogisticRegression(C=1 / ridge, tol=1e-8, max_iter=1_000)

    def fit(self, pairs: Pairs) -> PairModel:
        """Learn from the pairs and their histories alone."""
        self.few = len(pairs) < FEW
        if self.few:
            return self
        self.quality = Quality.of(pairs, self.items)
        raw = self._features(pairs)
        self.mean, self.spread = raw.mean(axis=0), raw.std(axis=0) + 1e-6
        self.regression.fit((raw - self.mean) / self.spread, pairs.labels)
        return self

    def predict(self, pairs: Pairs) -> np.ndarray:
        """Probability that each target is liked, shape (pairs,).

        After fewer than `FEW` training pairs it is the like rate of recent items.
        """
        if self.few:
            return like_rate(pairs, RECENT)
        features = (self._features(pairs) - self.mean) / self.spread
        return np.asarray(self.regression.predict_proba(features)[:, 1])

    def _features(self, pairs: Pairs) -> np.ndarray:
        return np.stack(
            [*(like_rate(pairs, decay) for decay in DECAYS), self.quality.targets(pairs)], axis=1
        )
