"""How sure a mean is, whether two differ, and whether a cheaper variant is as good.

They hold from two people on: interval and p come from one belief (metrics/belief.py). Shares, where
every value is 0 or 1, have the exact interval of Clopper and Pearson (Biometrika 1934). All are
95 % intervals and none is without width; `tests/benchmarks/seeds.py` measures how often they cover
the truth.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import betaincinv

from llmrec_core.language import t
from llmrec_core.metrics.belief import UNIT, Belief, Ends, believe, believe_ratio, checked

LEVEL = 0.95
TAILS = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
SETTLED = 1.96 + 0.84
"""Standard errors between a difference and 0 with which four of five repetitions see it."""


class Interval(NamedTuple):
    """A mean with its 95 % interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """Mean of a − b over the same users, its interval, and the two-sided p of "no difference"."""

    mean: float
    low: float
    high: float
    p: float
    n: int
    differing: int
    """Users for whom the two are not equal."""

    @property
    def distinguishable(self) -> bool:
        """Whether the interval leaves out 0."""
        return not self.low <= 0 <= self.high


@dataclass(frozen=True)
class Gate:
    """Whether a variant is as good as its reference: `equal`, `worse` or `undecided`."""

    verdict: str
    ratio: float
    low: float
    high: float
    users_needed: int | None = None
    """About how many users would decide an undecided gate; `None` when no number would."""


def interval(belief: Belief) -> Interval:
    """The mean of a belief with its 95 % interval."""
    low, high = (belief.quantile(share) for share in TAILS)
    return Interval(belief.mean, min(low, belief.mean), max(high, belief.mean))


def p_of(belief: Belief) -> float:
    """Two-sided p of "the mean is 0"."""
    below = belief.below(0.0)
    return 2 * min(below, 1 - below)


def share_interval(hits: int, n: int) -> Interval:
    """The share `hits` of `n` with its exact interval (Clopper and Pearson 1934).

    Args:
        hits: how many of them.
        n: how many in all.

    >>> [round(end, 3) for end in share_interval(0, 7)]  # 1 − 0.025^(1/7)
    [0.0, 0.0, 0.41]
    """
    low = float(betaincinv(hits, n - hits + 1, TAILS[0])) if hits else 0.0
    high = float(betaincinv(hits + 1, n - hits, TAILS[1])) if hits < n else 1.0
    return Interval(hits / n, low, high)


def mean_interval(values: np.ndarray, within: Ends | None = UNIT) -> Interval:
    """Mean over users with its 95 % interval.

    Args:
        values: as for `believe`.
        within: as for `believe`.

    Raises:
        ValueError: as `believe`.

    >>> [round(end, 2) for end in mean_interval(np.ones(5))]  # five of five: at least 0.025^(1/5)
    [1.0, 0.48, 1.0]
    """
    values = checked(values, within)
    if within == UNIT and np.isin(values, (0.0, 1.0)).all():
        return share_interval(int(values.sum()), len(values))
    return interval(believe(values, within))


def weighted_interval(values: np.ndarray, weights: np.ndarray) -> Interval:
    """Mean of values in 0 … 1 that count by `weights`, with its 95 % interval over users.

    Args:
        values: shape (users,).
        weights: above 0, shape (users,); half an observation at either end has the mean weight.
    """
    values, usual = checked(values, UNIT), float(weights.mean())
    extremes = ((0.0, usual), (usual, usual))
    return interval(believe_ratio(values * weights, weights, extremes, UNIT))


def paired_difference(a: np.ndarray, b: np.ndarray, within: Ends = UNIT) -> Difference:
    """Difference of two recommenders over the same users, in the same order.

    Args:
        a: one value for each user, shape (users,).
        b: the other recommender's, shape (users,).
        within: what each value can be at least and at most.

    Raises:
        ValueError: when the two are not the same length, and as `believe`.
    """
    gap = paired_gap(a, b)
    width = within[1] - within[0]
    return difference_of(believe(gap, (-width, width)), gap)


def difference_of(belief: Belief, gap: np.ndarray) -> Difference:
    """A belief about the mean of the differences `gap`, shape (users,), as a record.

    Args:
        belief: about the mean.
        gap: a − b of each user, from which it was learned.
    """
    mean, low, high = interval(belief)
    return Difference(mean, low, high, p_of(belief), len(gap), int((gap != 0).sum()))


def paired_gap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The differences a − b, shape (users,); refused when the users are not as many.

    Args:
        a: one value of each user, shape (users,).
        b: values of the same users in the same order.
    """
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if a.shape != b.shape:
        raise ValueError(
            t(
                "{n_a} and {n_b} users: a comparison needs the same users in the same order",
                n_a=len(a),
                n_b=len(b),
            )
        )
    gap: np.ndarray = a - b
    return gap


def users_needed(differences: np.ndarray) -> int | None:
    """About how many users would settle on which side of 0 the mean lies, if it stays as it is.

    With so many users four of five repetitions would see it; `None` when the mean is 0.

    Args:
        differences: of each user, shape (users,).
    """
    mean = float(differences.mean())
    if mean == 0 or len(differences) < 2:
        return None
    return math.ceil((SETTLED * float(differences.std(ddof=1)) / mean) ** 2)


def holm(p: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values, in the given order: they hold for all comparisons at once.

    Args:
        p: of each comparison, as it is alone.

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


def gate(reference: np.ndarray, variant: np.ndarray, share: float = 0.99) -> Gate:
    """Whether the variant keeps at least `share` of the reference's mean.

    `equal` when the whole interval of variant − share · reference is at or above 0, `worse` when it
    is below 0, else `undecided`. A variant changes little for everybody, so that Student's t holds.

    Args:
        reference: one value for each user, shape (users,).
        variant: the same users, shape (users,).
        share: what must be kept, 0 … 1.

    Raises:
        ValueError: when the two are not the same length, or the reference's mean is 0.
    """
    paired_gap(reference, variant)
    if not reference.mean() > 0:
        raise ValueError(t("the reference's mean is 0: a share of it means nothing"))
    margin = variant - share * reference
    kept = interval(believe(margin, None))
    verdict = "equal" if kept.low >= 0 else "worse" if kept.high < 0 else "undecided"
    scale = float(reference.mean())
    ratio, low, high = (share + value / scale for value in kept)
    needed = users_needed(margin) if verdict == "undecided" else None
    return Gate(verdict, ratio, low, high, needed)
