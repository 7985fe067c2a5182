"""What a sample of users says about a mean over all users like them: from two users on.

One belief gives the interval and the p of a mean, so that the two never contradict each other:

- values between known ends (every ranking metric lies in 0 … 1, a paired difference in −1 … 1):
  the Bayesian bootstrap (Rubin 1981) with half an observation at either end. Four misses are no
  proof that nobody is ever served, and the half observations say how far they are from one. For
  shares it is the interval of Jeffreys (Brown, Cai and DasGupta, Statistical Science 2001);
- values without known ends, and more different ones than `MANY`: Student's t.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.special import stdtr, stdtrit

from llmrec_core.language import t
from llmrec_core.metrics.weighted_mean import chance_below_zero, quantile

UNIT = (0.0, 1.0)
"""Ends of every ranking metric."""
END_WEIGHT = 0.5
"""Observations that stand at either end of what a value can be."""
MANY = 300
"""With more different values than this Student's t is used: the same within its last digit."""
ROUNDING = 1e-9
"""Share of the range by which a computed value may lie outside of it."""

Ends = tuple[float, float]


class Belief(Protocol):
    """What a sample says about a mean."""

    @property
    def mean(self) -> float:
        """The mean of the sample."""

    def below(self, value: float) -> float:
        """The chance that the mean is at most `value`.

        Args:
            value: in the unit of the mean.
        """

    def quantile(self, share: float) -> float:
        """The value that the mean is below with the chance `share`.

        Args:
            share: above 0 and below 1.
        """


@dataclass(frozen=True)
class WeightedMean:
    """The belief from values with known ends: every user has a gamma weight.

    The mean may be one of ratios, Σ weight · top ÷ Σ weight · bottom; else all bottoms are 1.
    """

    mean: float
    tops: np.ndarray
    """Values, those at the ends of the range among them, shape (m,)."""
    bottoms: np.ndarray
    shapes: np.ndarray
    """How many observations stand at each value, shape (m,)."""
    ends: Ends
    """Between what the mean lies."""

    def below(self, value: float) -> float:
        """The chance that the mean is at most `value`.

        Args:
            value: in the unit of the mean.
        """
        return chance_below_zero(self.tops - value * self.bottoms, self.shapes)

    def quantile(self, share: float) -> float:
        """The value that the mean is below with the chance `share`.

        Args:
            share: above 0 and below 1.
        """
        whole = float((self.bottoms * self.shapes).sum())
        centre = float((self.tops * self.shapes).sum()) / whole
        rest = self.tops - centre * self.bottoms
        spread = math.sqrt(float((self.shapes * rest**2).sum())) / whole
        near = centre + spread * float(stdtrit(30, share))
        return quantile(self.below, share, self.ends, float(np.clip(near, *self.ends)))


@dataclass(frozen=True)
class StudentMean:
    """The belief from values without known ends: Student's t."""

    mean: float
    error: float
    """Standard error of the mean."""
    freedom: float
    """Degrees of freedom."""

    def below(self, value: float) -> float:
        """The chance that the mean is at most `value`.

        Args:
            value: in the unit of the mean.
        """
        return float(stdtr(self.freedom, (value - self.mean) / self.error))

    def quantile(self, share: float) -> float:
        """The value that the mean is below with the chance `share`.

        Args:
            share: above 0 and below 1.
        """
        return self.mean + self.error * float(stdtrit(self.freedom, share))


def believe(values: np.ndarray, within: Ends | None = UNIT) -> Belief:
    """What the values of some users say about the mean over all users like them.

    Args:
        values: one for each user, shape (users,).
        within: what a value can be at least and at most; `None` when there is no such limit.

    Raises:
        ValueError: without a value, with NaN, with a value outside `within`, and without limits
            when there is no scatter to judge by (fewer than two values, or all of them 0).
    """
    values = checked(values, within)
    mean, n = float(values.mean()), len(values)
    if within is None:
        return StudentMean(mean, _standard_error(values), max(1, n - 1))
    different, counts = np.unique(np.concatenate([values, within]), return_counts=True)
    if len(different) > MANY:
        return StudentMean(mean, _standard_error(values), n - 1)
    shapes = counts.astype(float)
    shapes[[0, -1]] -= 1 - END_WEIGHT
    return WeightedMean(mean, different, np.ones(len(different)), shapes, within)


def believe_ratio(
    tops: np.ndarray, bottoms: np.ndarray, extremes: tuple[Ends, Ends], ends: Ends
) -> Belief:
    """What some users say about Σ top ÷ Σ bottom over all users like them.

    Args:
        tops: shape (users,).
        bottoms: 0 or above, not all 0, shape (users,).
        extremes: top and bottom of the users who would pull the ratio down and up the most.
        ends: between what the ratio lies.
    """
    mean = float(tops.sum() / bottoms.sum())
    if len(tops) > MANY:  # the ratio is nearly linear in the means: the delta method
        error = math.sqrt(float(((tops - mean * bottoms) ** 2).sum())) / float(bottoms.sum())
        return StudentMean(mean, error, len(tops) - 1)
    lowest, highest = extremes
    shapes = np.concatenate([np.ones(len(tops)), [END_WEIGHT, END_WEIGHT]])
    tops = np.concatenate([tops, [lowest[0], highest[0]]])
    bottoms = np.concatenate([bottoms, [lowest[1], highest[1]]])
    return WeightedMean(mean, tops, bottoms, shapes, ends)


def checked(values: np.ndarray, within: Ends | None) -> np.ndarray:
    """The values as floats, refused with the reasons of `believe`.

    Args:
        values: one of each person, shape (users,).
        within: the ends that a value cannot pass; None where there are none.
    """
    values = np.asarray(values, dtype=float)
    unknown = int(np.isnan(values).sum())
    if not len(values) or unknown:
        raise ValueError(
            t(
                "{n_values} values, {unknown} NaN: a mean needs at least one and no NaN",
                n_values=len(values),
                unknown=unknown,
            )
        )
    if within is None:
        return values
    slack = ROUNDING * (within[1] - within[0])
    if values.min() < within[0] - slack or values.max() > within[1] + slack:
        raise ValueError(
            t(
                "values from {lowest} to {highest} leave the range {low} to {high}; pass the "
                "range that they can have in within=",
                lowest=values.min(),
                highest=values.max(),
                low=within[0],
                high=within[1],
            )
        )
    inside: np.ndarray = np.clip(values, *within)
    return inside


def _standard_error(values: np.ndarray) -> float:
    """Standard error of the mean; of values that are all alike the one that a sign test implies."""
    n, mean = len(values), float(values.mean())
    scatter = float(values.std(ddof=1)) if n > 1 else 0.0
    if scatter > 0:
        return scatter / math.sqrt(n)
    if n < 2 or mean == 0:
        raise ValueError(
            t("{n} values, all {mean}: without scatter there is no interval", n=n, mean=mean)
        )
    return abs(mean) / float(stdtrit(n - 1, 1 - 0.5**n))  # n of n signs alike: p = 2 · 0.5ⁿ
