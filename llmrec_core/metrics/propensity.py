"""Off-policy evaluation: what would clicks be worth without the bias of what was shown?

Symbols: y_i = reward of logged event i (1 = hit); q_i = propensity, the probability that the
logging policy let it be seen.

Schnabel et al., ICML 2016 (arXiv:1602.05352); popularity propensities as in Yang et al., RecSys
2018: q_i ∝ count_i^((γ+1)/2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from llmrec_core.metrics.intervals import weighted_interval


@dataclass(frozen=True)
class Estimate:
    """An off-policy value with its interval and how few events carry it."""

    value: float
    low: float
    high: float
    effective_n: float
    """(Σ w)² ÷ Σ w²: events that the weighted mean is worth; far below n = high variance."""


def popularity_propensities(
    counts: np.ndarray, gamma: float = 1.5, floor: float = 1e-3
) -> np.ndarray:
    """Relative propensity of each item to be seen, 1 for the most popular; clipped from below.

    Args:
        counts: interactions of each item, shape (items,).
        gamma: γ of the model: a propensity goes as count^((γ + 1) / 2).
        floor: smaller propensities are raised to it.

    >>> popularity_propensities(np.array([100, 1]), gamma=1.0).tolist()  # (1/100)^1
    [1.0, 0.01]
    """
    share = np.maximum(counts, 1) / max(counts.max(initial=1), 1)
    propensities: np.ndarray = np.maximum(share ** ((gamma + 1) / 2), floor)
    return propensities


def snips(rewards: np.ndarray, propensities: np.ndarray, clip: float = 100.0) -> Estimate:
    """Self-normalised IPS: Σ y/q ÷ Σ 1/q: a little biased, bounded, steadier than Σ y/q ÷ n.

    Args:
        rewards: 0 … 1, shape (events,).
        propensities: above 0, shape (events,).
        clip: largest weight of an event.

    Source: Swaminathan and Joachims, NeurIPS 2015.

    >>> snips(np.array([1.0, 0.0]), np.array([0.25, 0.75])).value  # 4 ÷ (4 + 4/3)
    0.75
    """
    weights = np.minimum(1 / propensities, clip)
    return Estimate(*weighted_interval(rewards, weights), effective_n(weights))


def effective_n(weights: np.ndarray) -> float:
    """Kish's effective sample size.

    Args:
        weights: of each user, at least 0, shape (users,).

    >>> effective_n(np.ones(4)), effective_n(np.array([1.0, 0.0]))
    (4.0, 1.0)
    """
    return float(weights.sum() ** 2 / np.square(weights).sum())
