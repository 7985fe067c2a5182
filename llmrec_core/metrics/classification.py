"""Metrics of yes/no predictions on labelled pairs: AUC, GAUC, LogLoss and how far a probability can be believed.

Symbols: y_i = label of pair i, 0 or 1; p_i = predicted probability; s_i = score, any real number, higher = more
likely yes. A metric that the data cannot define (one class only) is NaN here and "undefined" in a record, never 0.5.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

_LEAST = 1e-7  # probabilities are kept this far from 0 and 1 in LogLoss


def auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Share of (yes, no) pairs that the scores put in the right order; a tie counts half. NaN for one class.

    >>> auc(np.array([1, 0, 1, 0]), np.array([0.9, 0.8, 0.7, 0.1]))  # 3 of 4 pairs
    0.75
    """
    labels = np.asarray(labels) > 0
    yes, no = int(labels.sum()), int((~labels).sum())
    if not yes or not no:
        return float("nan")
    _, place, size = np.unique(scores, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(size) - (size - 1) / 2  # 1 = lowest score, ties share the mean
    return float((mean_rank[place][labels].sum() - yes * (yes + 1) / 2) / (yes * no))


def gauc(labels: np.ndarray, scores: np.ndarray, groups: np.ndarray) -> float:
    """AUC within each group (user), averaged by the group's number of pairs; groups of one class are left out.

    >>> gauc(np.array([1, 0, 1, 0, 1]), np.array([2, 1, 1, 2, 9]), np.array([0, 0, 1, 1, 2]))  # 1, 0, undefined
    0.5
    """
    total = weight = 0.0
    for group in np.unique(groups):
        mine = groups == group
        value = auc(labels[mine], scores[mine])
        if value == value:
            total, weight = total + value * mine.sum(), weight + mine.sum()
    return float(total / weight) if weight else float("nan")


def log_loss(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """−y ln p − (1 − y) ln(1 − p) per pair, in nats; its mean is LogLoss.

    >>> log_loss(np.array([1, 0]), np.array([0.5, 0.5])).round(4).tolist()
    [0.6931, 0.6931]
    """
    p = np.clip(probabilities, _LEAST, 1 - _LEAST)
    return -np.where(np.asarray(labels) > 0, np.log(p), np.log1p(-p))


def calibration_error(labels: np.ndarray, probabilities: np.ndarray, bins: int = 10) -> float:
    """ECE = Σ_b n_b/n · |mean y − mean p| over equal-width bins of p (Naeini et al., AAAI 2015).

    >>> calibration_error(np.array([1, 1, 0, 0]), np.array([0.9, 0.9, 0.1, 0.3]))  # ½·0.1 + ¼·0.1 + ¼·0.3
    0.15
    """
    which = np.minimum((np.asarray(probabilities) * bins).astype(int), bins - 1)
    n = np.bincount(which, minlength=bins)
    gap = np.abs(np.bincount(which, labels, bins) - np.bincount(which, probabilities, bins))
    return float(gap.sum() / max(n.sum(), 1))


def bootstrap(
    metric: Callable[..., float], *columns: np.ndarray, seed: int = 0, resamples: int = 1000
) -> tuple[float, float, float]:
    """A metric of whole columns with its 95 % percentile interval over resampled rows: (value, low, high).

    Resamples in which it is undefined are left out. Rows of one user are not independent: with few users resample
    those, see `bootstrap_groups`.

    Raises:
        ValueError: when it is undefined on the data itself.
    """
    value = metric(*columns)
    if value != value:
        raise ValueError("the metric is undefined on these rows (one class only)")
    rng = np.random.default_rng(seed)
    n = len(columns[0])
    values = [
        metric(*(column[rows] for column in columns)) for rows in (rng.integers(0, n, n) for _ in range(resamples))
    ]
    low, high = np.nanquantile(values, (0.025, 0.975))
    return float(value), float(low), float(high)


def bootstrap_groups(
    metric: Callable[..., float], groups: np.ndarray, *columns: np.ndarray, seed: int = 0, resamples: int = 1000
) -> tuple[float, float, float]:
    """As `bootstrap`, but whole groups (users) are drawn: honest when a user has many rows."""
    value = metric(*columns)
    rng = np.random.default_rng(seed)
    _, which = np.unique(groups, return_inverse=True)
    order = np.argsort(which, kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(which))[:-1])
    values = []
    for _ in range(resamples):
        rows = np.concatenate([parts[group] for group in rng.integers(0, len(parts), len(parts))])
        values.append(metric(*(column[rows] for column in columns)))
    low, high = np.nanquantile(values, (0.025, 0.975))
    return float(value), float(low), float(high)
