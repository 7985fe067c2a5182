"""Groups of runs over seeds: intervals and comparisons that cover people and seeds.

A trained model is one draw of its training: another seed gives another one. What a group of S
seeds says about its mean has two parts. The people: each person's mean over the seeds, as in
metrics/belief.py. The seeds: the means of the seeds scatter by s, so their mean by s/√S, with
Student's t on S − 1 degrees of freedom, which makes few seeds count as few; for two groups the
errors add as Welch's (Biometrika 1947). The distances of both parts from the mean are added in
quadrature at every level, which recovers the variance of the sum from two intervals of any shape
(MOVER: Zou and Donner, Statistics in Medicine 2008).

A single seed, and a model that has none, adds nothing: its interval covers people alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtri, stdtrit

from llmrec_core.metrics.belief import ROUNDING, UNIT, Belief, Ends, believe
from llmrec_core.metrics.intervals import (
    SETTLED,
    Difference,
    Interval,
    difference_of,
    interval,
    mean_interval,
    p_of,
    paired_gap,
)

_PLACES = np.linspace(-7.0, 7.0, 43)
"""Where a belief is computed, in its standard deviations; between them it is interpolated."""
_SMALLEST = 1e-12
"""Chances below this are not told apart."""


@dataclass(frozen=True)
class SeedError:
    """What the choice of seeds adds to a mean."""

    error: float
    """Standard error of the mean over the seeds."""
    freedom: float
    """Degrees of freedom: seeds − 1, or Welch's for two groups."""


def seed_error(values: np.ndarray) -> SeedError | None:
    """What the seeds of a group add to its mean; `None` for a single seed and for equal ones.

    Args:
        values: shape (seeds, users).
    """
    seeds = len(values)
    scatter = float(values.mean(axis=1).std(ddof=1)) if seeds > 1 else 0.0
    return SeedError(scatter / math.sqrt(seeds), seeds - 1) if scatter > ROUNDING else None


def add_errors(a: SeedError | None, b: SeedError | None) -> SeedError | None:
    """The error of a difference of two groups, with Welch's degrees of freedom."""
    if a is None or b is None:
        return a or b
    variance = a.error**2 + b.error**2
    freedom = variance**2 / (a.error**4 / a.freedom + b.error**4 / b.freedom)
    return SeedError(math.sqrt(variance), freedom)


@dataclass(frozen=True)
class GroupMean:
    """The belief about a mean over people and seeds."""

    people: Belief
    seeds: SeedError

    @property
    def mean(self) -> float:
        """The mean over people and seeds."""
        return self.people.mean

    @cached_property
    def _people(self) -> tuple[np.ndarray, np.ndarray]:
        """Places of the people's part, and the normal quantiles of the chances to be below them."""
        half = (self.people.quantile(0.84) - self.people.quantile(0.16)) / 2
        places = self.mean + half * _PLACES
        chances = np.array([self.people.below(float(place)) for place in places])
        inside = (chances > _SMALLEST) & (chances < 1 - _SMALLEST)
        return places[inside], np.maximum.accumulate(ndtri(chances[inside]))

    def quantile(self, share: float) -> float:
        """The value that the mean is below with the chance `share`.

        Args:
            share: above 0 and below 1.
        """
        places, normal = self._people
        from_people = float(np.interp(ndtri(share), normal, places)) - self.mean
        from_seeds = self.seeds.error * float(stdtrit(self.seeds.freedom, share))
        return self.mean + math.copysign(math.hypot(from_people, from_seeds), share - 0.5)

    def below(self, value: float) -> float:
        """The chance that the mean is at most `value`.

        Args:
            value: in the unit of the mean.
        """
        low, high = (
            (_SMALLEST, 0.5 - _SMALLEST) if value < self.mean else (0.5 + _SMALLEST, 1 - _SMALLEST)
        )
        if self.quantile(low) >= value:
            return low
        if self.quantile(high) <= value:
            return high
        return float(brentq(lambda share: self.quantile(share) - value, low, high, xtol=1e-13))


def believe_group(values: np.ndarray, within: Ends = UNIT) -> Belief:
    """What a group of runs says about its mean over people and seeds.

    Args:
        values: shape (seeds, users).
        within: what a value can be at least and at most.

    Raises:
        ValueError: as `believe`.
    """
    people, seeds = believe(values.mean(axis=0), within), seed_error(values)
    return people if seeds is None else GroupMean(people, seeds)


def group_interval(values: np.ndarray, within: Ends = UNIT) -> Interval:
    """The mean of a group of runs with its 95 % interval over people and seeds.

    Args:
        values: shape (seeds, users).
        within: what a value can be at least and at most.
    """
    if len(values) == 1:
        return mean_interval(values[0], within)
    return interval(believe_group(values, within))


def group_difference(a: np.ndarray, b: np.ndarray) -> Difference:
    """Difference a − b of two groups of runs over the same users, covering people and seeds.

    Args:
        a: values in 0 … 1, shape (seeds, users).
        b: the other group's, shape (its seeds, users).

    Raises:
        ValueError: when the users are not as many, and as `believe`.
    """
    belief, gap = _believe_difference(a, b)
    return difference_of(belief, gap)


def group_p_value(a: np.ndarray, b: np.ndarray) -> float:
    """The p of `group_difference` alone, which takes a tenth of its time.

    Args:
        a: values in 0 … 1, shape (seeds, users).
        b: the other group's, shape (its seeds, users).
    """
    return p_of(_believe_difference(a, b)[0])


def _believe_difference(a: np.ndarray, b: np.ndarray) -> tuple[Belief, np.ndarray]:
    gap = paired_gap(a.mean(axis=0), b.mean(axis=0))
    people, seeds = believe(gap, (-1.0, 1.0)), add_errors(seed_error(a), seed_error(b))
    return (people if seeds is None else GroupMean(people, seeds)), gap


@dataclass(frozen=True)
class Needed:
    """What would settle an undecided difference if it stays as it is."""

    users: int | None
    """People in all; `None` when no number of them would, with the seeds there are."""
    seeds: int | None
    """Seeds a group; `None` when no number of them would, with the people there are."""


def needed(a: np.ndarray, b: np.ndarray) -> Needed:
    """How many people, or how many seeds a group, would settle which of two groups is better.

    Settled: four of five repetitions would see the difference. More people leave the error of the
    seeds as it is, and more seeds that of the people.

    Args:
        a: shape (seeds, users).
        b: shape (its seeds, users).
    """
    gap = paired_gap(a.mean(axis=0), b.mean(axis=0))
    seeds = add_errors(seed_error(a), seed_error(b))
    # the variance that a difference of this size would stand out from
    allowed = (float(gap.mean()) / SETTLED) ** 2
    from_seeds = 0.0 if seeds is None else seeds.error**2
    from_people = float(gap.var(ddof=1)) / len(gap)
    users = seeds_each = None
    if allowed > from_seeds:
        users = math.ceil(from_people * len(gap) / (allowed - from_seeds))
    if allowed > from_people and seeds is not None:
        seeds_each = math.ceil(from_seeds * max(len(a), len(b)) / (allowed - from_people))
    return Needed(users, seeds_each)
