"""Metrics of yes/no predictions on labelled pairs: AUC, GAUC, LogLoss and calibration.

Symbols: y_i is the label of pair i, 0 or 1; p_i its predicted probability; s_i its score, any real
number, higher for a likelier yes. A metric that the data cannot define (one class only) is NaN here
and "undefined" in a record, never 0.5.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.stats import rankdata
from sklearn import metrics

from llmrec_core.language import t

_LEAST = 1e-7
"""Probabilities are kept this far from 0 and 1 in LogLoss."""


def auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Share of (yes, no) pairs that the scores put in the right order.

    It equals scikit-learn's, which takes ten times as long (2.4 ms for 5,000 pairs): intervals ask
    for thousands of these.

    Args:
        labels: y, shape (pairs,).
        scores: s, shape (pairs,); a tie counts half.

    Returns:
        NaN where all labels are alike.

    >>> auc(np.array([1, 0, 1, 0]), np.array([0.9, 0.8, 0.7, 0.1]))  # 3 of 4 pairs
    0.75
    """
    liked = np.asarray(labels) > 0
    yes, no = int(liked.sum()), int((~liked).sum())
    if not yes or not no:
        return float("nan")
    ranks = rankdata(scores)  # 1 for the lowest; ties share their mean
    return float((ranks[liked].sum() - yes * (yes + 1) / 2) / (yes * no))


def gauc(labels: np.ndarray, scores: np.ndarray, groups: np.ndarray) -> float:
    """AUC within each group, averaged by the group's number of pairs.

    Groups of one class are left out.

    Args:
        labels: y, shape (pairs,).
        scores: s, shape (pairs,).
        groups: which user a pair is of, shape (pairs,).

    >>> labels, scores = np.array([1, 0, 1, 0, 1]), np.array([2, 1, 1, 2, 9])
    >>> gauc(labels, scores, np.array([0, 0, 1, 1, 2]))  # 1, 0, undefined
    0.5
    """
    total = weight = 0.0
    for group in np.unique(groups):
        inside = groups == group
        value = auc(labels[inside], scores[inside])
        if not np.isnan(value):
            total, weight = total + value * inside.sum(), weight + inside.sum()
    return float(total / weight) if weight else float("nan")


def log_loss(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean of −y ln p − (1 − y) ln(1 − p), in nats, as scikit-learn's.

    Args:
        labels: y, shape (pairs,).
        probabilities: p, shape (pairs,).

    >>> round(log_loss(np.array([1, 0]), np.array([0.5, 0.5])), 4)  # ln 2
    0.6931
    """
    kept = np.clip(probabilities, _LEAST, 1 - _LEAST)
    return float(metrics.log_loss(np.asarray(labels) > 0, kept, labels=[False, True]))


def calibration_error(labels: np.ndarray, probabilities: np.ndarray, bins: int = 10) -> float:
    """ECE = Σ_b n_b/n · |mean y − mean p| over equal-width bins of p (Naeini et al., AAAI 2015).

    Args:
        labels: y, shape (pairs,).
        probabilities: p, shape (pairs,).
        bins: of equal width.

    >>> labels, probabilities = np.array([1, 1, 0, 0]), np.array([0.9, 0.9, 0.1, 0.3])
    >>> calibration_error(labels, probabilities)  # ½·0.1 + ¼·0.1 + ¼·0.3
    0.15
    """
    which = np.minimum((np.asarray(probabilities) * bins).astype(int), bins - 1)
    n = np.bincount(which, minlength=bins)
    gap = np.abs(np.bincount(which, labels, bins) - np.bincount(which, probabilities, bins))
    return float(gap.sum() / max(n.sum(), 1))


def bootstrap(
    metric: Callable[..., float], *columns: np.ndarray, seed: int = 0, resamples: int = 1000
) -> tuple[float, float, float]:
    """A metric of whole columns with its 95 % percentile interval over resampled rows.

    Resamples in which it is undefined are left out. Rows of one user are not independent: with few
    users resample those, see `bootstrap_groups`.

    Args:
        metric: takes the columns.
        *columns: arrays of one length, resampled together.
        seed: of the draws.
        resamples: number of draws.

    Returns:
        Value, lower and upper end.

    Raises:
        ValueError: when it is undefined on the rows themselves.
    """
    value = metric(*columns)
    if np.isnan(value):
        raise ValueError(t("the metric is undefined on these rows (one class only)"))
    rng = np.random.default_rng(seed)
    n = len(columns[0])
    values = [
        metric(*(column[rows] for column in columns))
        for rows in (rng.integers(0, n, n) for _ in range(resamples))
    ]
    low, high = np.nanquantile(values, (0.025, 0.975))
    return float(value), float(low), float(high)


def bootstrap_groups(
    metric: Callable[..., float],
    groups: np.ndarray,
    *columns: np.ndarray,
    seed: int = 0,
    resamples: int = 1000,
) -> tuple[float, float, float]:
    """As `bootstrap`, but whole groups (users) are drawn: honest when a user has many rows.

    Args:
        metric: takes the columns.
        groups: which user a row is of, shape (rows,).
        *columns: arrays of one length, resampled together.
        seed: of the draws.
        resamples: number of draws.
    """
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
