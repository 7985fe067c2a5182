"""The distribution of a mean whose weights are uncertain: exact, without drawing anything.

The people of a sample stand for all people like them, but nobody knows for how many each one
stands. The Bayesian bootstrap (Rubin, Annals of Statistics 1981) gives them Dirichlet weights, and
the mean under these weights is what the sample says about the mean.

A Dirichlet weight is a gamma variable over the sum of all, so the weighted mean is below θ exactly
when Σ gᵢ (xᵢ − θ) ≤ 0 with independent gammas gᵢ. The characteristic function of that sum is
Π (1 − i u (xᵢ − θ))^(−aᵢ), which Gil-Pelaez' formula (Biometrika 1951) turns into a probability.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq

_LOWEST, _HIGHEST = -24.0, 17.0
"""Range of log u: what lies outside changes a probability by less than 1e-10."""
_STEP = 0.15
"""Step of the trapezoidal rule in log u, where θ is within `_NEAR` standard deviations."""
_NEAR, _FAR = 6.0, 60.0


def chance_below_zero(terms: np.ndarray, shapes: np.ndarray) -> float:
    """P(Σ gᵢ termsᵢ ≤ 0) for independent gamma variables gᵢ.

    Args:
        terms: coefficients, shape (m,).
        shapes: shapes of the gamma variables, all above 0, shape (m,).

    >>> one_of_two = chance_below_zero(np.array([-1.0, 1.0]), np.array([1.0, 1.0]))
    >>> round(one_of_two, 9)  # of two exponential waiting times either is the shorter one
    0.5
    """
    if not (terms > 0).any():
        return 1.0
    if not (terms < 0).any():
        return 0.0
    scaled = terms / np.sqrt((shapes * terms * terms).sum())
    away = float((shapes * scaled).sum())  # mean of the sum in its standard deviations
    if abs(away) > _FAR:
        return float(away < 0)
    step = _STEP / max(1.0, abs(away) / _NEAR)  # the integrand turns faster the further away
    turns = np.outer(np.exp(np.arange(_LOWEST, _HIGHEST, step)), scaled)
    angle = np.arctan(turns) @ shapes
    log_size = np.log1p(turns * turns) @ shapes / 2
    chance = 0.5 - step / np.pi * (np.sin(angle) * np.exp(-log_size)).sum()
    return float(min(1.0, max(0.0, chance)))


def quantile(
    chance_below: Callable[[float], float], share: float, ends: tuple[float, float], near: float
) -> float:
    """The value below which the share `share` of a distribution lies.

    Args:
        chance_below: the distribution function.
        share: between 0 and 1.
        ends: where the function is 0 and 1.
        near: a first guess, between the ends.
    """
    low, high = ends
    width = (high - low) / 64
    left, right = max(low, near - width), min(high, near + width)
    while left > low and chance_below(left) > share:
        left, width = max(low, left - 2 * width), 2 * width
    while right < high and chance_below(right) < share:
        right, width = min(high, right + 2 * width), 2 * width
    return float(brentq(lambda value: chance_below(value) - share, left, right, xtol=1e-8))
