"""Off-policy evaluation: what would clicks be worth without the bias of what was shown? IPS, SNIPS, variance shown.

Symbols: y_i = reward of logged event i (1 = hit); q_i = propensity, the probability that the logging policy let it
be seen; w_i = weight of the new policy for that event (1 = it would show it) over q_i.

Schnabel et al., ICML 2016 (arXiv:1602.05352); popularity propensities as in Yang et al., RecSys 2018: q_i ∝
count_i^((γ+1)/2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from llmrec_core.metrics.intervals import _bootstrap_means


@dataclass(frozen=True)
class Estimate:
    """An off-policy value with its interval and how few events carry it."""

    value: float
    low: float
    high: float
    effective_n: float
    """(Σ w)² ÷ Σ w²: events that the weighted mean is worth; far below n = high variance."""


def popularity_propensities(counts: np.ndarray, gamma: float = 1.5, floor: float = 1e-3) -> np.ndarray:
    """Relative propensity of each item to be seen, 1 for the most popular; clipped from below.

    >>> popularity_propensities(np.array([100, 1]), gamma=1.0).tolist()  # (1/100)^1
    [1.0, 0.01]
    """
    share = np.maximum(counts, 1) / max(counts.max(initial=1), 1)
    return np.maximum(share ** ((gamma + 1) / 2), floor)


def ips(
    rewards: np.ndarray, propensities: np.ndarray, clip: float = 100.0, seed: int = 0, resamples: int = 2000
) -> Estimate:
    """Inverse propensity score: mean of y/q, weights clipped at `clip`; unbiased unclipped, but of high variance.

    >>> ips(np.array([1.0, 0.0]), np.array([0.5, 0.5])).value  # (1/0.5 + 0) ÷ 2
    1.0
    """
    weights = np.minimum(1 / propensities, clip)
    means = _bootstrap_means((rewards * weights)[:, None], seed, resamples)[:, 0]
    low, high = np.quantile(means, (0.025, 0.975))
    return Estimate(float((rewards * weights).mean()), float(low), float(high), effective_n(weights))


def snips(
    rewards: np.ndarray, propensities: np.ndarray, clip: float = 100.0, seed: int = 0, resamples: int = 2000
) -> Estimate:
    """Self-normalised IPS: Σ y/q ÷ Σ 1/q (Swaminathan & Joachims, NeurIPS 2015): a little biased, bounded, steadier.

    >>> snips(np.array([1.0, 0.0]), np.array([0.25, 0.75])).value  # 4 ÷ (4 + 4/3)
    0.75
    """
    weights = np.minimum(1 / propensities, clip)
    means = _bootstrap_means(np.stack([rewards * weights, weights], axis=1), seed, resamples)
    low, high = np.quantile(means[:, 0] / means[:, 1], (0.025, 0.975))
    value = float((rewards * weights).sum() / weights.sum())
    return Estimate(value, float(low), float(high), effective_n(weights))


def effective_n(weights: np.ndarray) -> float:
    """Kish's effective sample size.

    >>> effective_n(np.ones(4)), effective_n(np.array([1.0, 0.0]))
    (4.0, 1.0)
    """
    return float(weights.sum() ** 2 / np.square(weights).sum())
