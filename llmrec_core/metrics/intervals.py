"""How sure a mean is, whether two differ, and whether a cheaper variant is as good: bootstrap over users, paired.

Deterministic by seed. 95 % intervals throughout.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_BLOCK = 4_000_000  # cells drawn at once: 32 MB of indices


@dataclass(frozen=True)
class Difference:
    """Mean of a − b over the same users, its interval, and the two-sided p of "no difference"."""

    mean: float
    low: float
    high: float
    p: float
    n: int

    @property
    def distinguishable(self) -> bool:
        """Whether the interval leaves out 0."""
        return not self.low <= 0 <= self.high


@dataclass(frozen=True)
class Gate:
    """Is a variant as good as its reference? `equal`, `worse`, or `undecided` with the users that would decide it."""

    verdict: str
    ratio: float
    low: float
    high: float
    users_needed: int | None = None


def _bootstrap_means(columns: np.ndarray, seed: int, resamples: int) -> np.ndarray:
    """Means of resampled rows, shape (resamples, columns)."""
    rng = np.random.default_rng(seed)
    n = len(columns)
    step = max(1, _BLOCK // n)
    parts = [
        columns[rng.integers(0, n, size=(min(step, resamples - start), n))].mean(axis=1)
        for start in range(0, resamples, step)
    ]
    return np.concatenate(parts)


def bootstrap_mean(values: np.ndarray, seed: int = 0, resamples: int = 2000) -> tuple[float, float, float]:
    """Mean over users with its 95 % percentile bootstrap interval: (mean, low, high).

    Raises:
        ValueError: when there is no value, or one is NaN.

    >>> bootstrap_mean(np.ones(5))
    (1.0, 1.0, 1.0)
    """
    values = np.asarray(values, dtype=float)
    if not len(values) or np.isnan(values).any():
        raise ValueError(
            f"{len(values)} values, {int(np.isnan(values).sum())} NaN: a mean needs at least one and no NaN"
        )
    low, high = np.quantile(_bootstrap_means(values[:, None], seed, resamples)[:, 0], (0.025, 0.975))
    return float(values.mean()), float(low), float(high)


def paired_difference(a: np.ndarray, b: np.ndarray, seed: int = 0, resamples: int = 2000) -> Difference:
    """Difference of two recommenders over the same users, in the same order.

    The interval is a paired percentile bootstrap; p is that of the studentised mean difference (normal tail), which
    unlike a bootstrap count can be small enough to survive Holm over many pairs.

    Raises:
        ValueError: when the two are not the same length.
    """
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if a.shape != b.shape:
        raise ValueError(f"{len(a)} and {len(b)} users: a paired test needs the same users in the same order")
    difference = a - b
    mean, low, high = bootstrap_mean(difference, seed, resamples)
    return Difference(mean, low, high, p_value(difference), len(difference))


def p_value(differences: np.ndarray) -> float:
    """Two-sided p of "the mean of these paired differences is 0": studentised mean, normal tail.

    >>> p_value(np.zeros(4)), round(p_value(np.array([1.0, 2.0, 3.0])), 4)  # 2 ÷ (1/√3) = 3.46 standard errors
    (1.0, 0.0005)
    """
    if len(differences) < 2:
        return 1.0  # one pair has no scatter: nothing can be told
    mean = float(differences.mean())
    error = differences.std(ddof=1) / math.sqrt(len(differences))
    return math.erfc(abs(mean) / error / math.sqrt(2)) if error > 0 else float(mean == 0)


def holm(p: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values, in the given order: they hold for all comparisons at once.

    >>> holm([0.01, 0.04, 0.03])  # 3·0.01, then max with 2·0.03, then max with 1·0.04
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p, kind="stable")
    adjusted = [0.0] * len(p)
    largest = 0.0
    for position, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p) - position) * p[index]))
        adjusted[index] = largest
    return adjusted


def gate(reference: np.ndarray, variant: np.ndarray, share: float = 0.99, seed: int = 0, resamples: int = 2000) -> Gate:
    """Whether the variant keeps at least `share` of the reference's mean: bootstrap of variant − share·reference.

    `equal` when the whole interval is at or above 0, `worse` when it is below 0, else `undecided`: then
    `users_needed` is about how many users would decide it if the means stay as they are (None when they are exactly
    at the border).
    """
    reference, variant = np.asarray(reference, dtype=float), np.asarray(variant, dtype=float)
    if reference.shape != variant.shape:
        raise ValueError(f"{len(reference)} and {len(variant)} users: the gate needs the same users in the same order")
    if not reference.mean() > 0:
        raise ValueError("the reference's mean is 0: a share of it means nothing")
    means = _bootstrap_means(np.stack([reference, variant], axis=1), seed, resamples)
    low, high = np.quantile(means[:, 1] - share * means[:, 0], (0.025, 0.975))
    positive = means[:, 0] > 0
    ratio_low, ratio_high = np.quantile(means[positive, 1] / means[positive, 0], (0.025, 0.975))
    margin = variant - share * reference
    verdict = "equal" if low >= 0 else "worse" if high < 0 else "undecided"
    needed = None
    if verdict == "undecided" and margin.mean() != 0:
        needed = math.ceil((1.96 * margin.std(ddof=1) / abs(margin.mean())) ** 2)
    return Gate(verdict, float(variant.mean() / reference.mean()), float(ratio_low), float(ratio_high), needed)
